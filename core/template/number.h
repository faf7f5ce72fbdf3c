// number.h -- numbers as Python writes, reads and computes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/template/value.h"

namespace hone::jinja {

std::string real_text(double);  // repr(float): shortest digits that read back, an exponent from 1e16 and below 1e-4

// What int(text, base) and float(text) read; nothing when Python raises ValueError. Refusal when an int needs over 64
// bits.
std::optional<int64_t> read_whole(std::string_view text, int base = 10);
std::optional<double> read_real(std::string_view text);

enum class Operator { add, subtract, multiply, divide, floor_divide, modulo, power };
// Of two numbers. Refusal for a division by zero and for whole numbers beyond 64 bits.
Value compute(Operator, const Value &, const Value &);
Value negative(const Value &);
double round_to(double, int64_t digits);     // round(float, digits)
int64_t whole_of(double, const char *what);  // int(float); Refusal for what is not finite or too large

}  // namespace hone::jinja
