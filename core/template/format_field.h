// format_field.h -- one place of a format: what "%-8.2f" and "{:>8,.2f}" say, and the text that a value becomes by it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hone::jinja {

constexpr int64_t widest_field = 10'000;  // and its most digits

struct Field {
  std::string fill = " ";
  char align = 0;  // '<', '>', '^', '='; 0: the type's own
  char sign = '-';
  bool alternate = false, zero = false;
  int64_t width = 0, precision = -1;
  char grouping = 0;
  char type = 0;
};

// The digits at `at`, which moves behind them; 0 when there are none. Refusal beyond widest_field.
int64_t read_field_number(std::string_view text, size_t &at);

std::string whole_field(const Field &, int64_t number);
std::string real_field(const Field &, double number, bool percent_style);
// `body` in the field's width; own_align: of the type, when the field names none.
std::string padded_field(const Field &, const std::string &sign, const std::string &body, char own_align);
std::string cut_text(const std::string &, int64_t most);  // characters; below 0: all

}  // namespace hone::jinja
