// template.cpp -- see template.h.
#include "core/template/template.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/template/evaluator.h"
#include "core/template/lexer.h"
#include "core/template/parser.h"

namespace hone {
namespace {

constexpr size_t largest = 4 << 20;  // bytes; the longest that models ship have some 20 thousand

std::string at(const std::string &name, uint32_t line) { return name + ":" + std::to_string(line) + ": "; }

}  // namespace

Template::Template(const std::string &text, std::string name) : text_(text), name_(std::move(name)) {
  if (text.size() > largest)
    throw Failure(name_ + ": has " + human_bytes(text.size()) + ", more than the " + human_bytes(largest) +
                  " that a chat template may have");
  if (const size_t bad = invalid_utf8(text); bad != std::string_view::npos)
    throw Failure(name_ + ": invalid UTF-8 at byte " + std::to_string(bad) + "; save the template as UTF-8");
  try {
    syntax_ = std::make_shared<const jinja::Syntax>(jinja::parse(text));
  } catch (const jinja::SyntaxTrouble &trouble) {
    throw Failure(at(name_, trouble.line) + trouble.what);
  }
}

std::string Template::render(const nlohmann::ordered_json &variables, const std::tm &now,
                             const jinja::Limits &limits) const {
  jinja::Evaluator evaluator(*syntax_, limits, now);
  try {
    return evaluator.run(variables);
  } catch (const jinja::Refusal &refusal) {
    throw Failure(at(name_, evaluator.line()) + refusal.what());
  }
}

std::tm day_of(const std::string &date) {
  std::tm day{};
  if (date.empty()) {
    const std::time_t now = std::time(nullptr);
    localtime_r(&now, &day);
    return day;
  }
  int year = 0, month = 0, number = 0, bytes = 0;
  const bool read = std::sscanf(date.c_str(), "%4d-%2d-%2d%n", &year, &month, &number, &bytes) == 3 &&
                    static_cast<size_t>(bytes) == date.size();
  std::tm asked{};
  asked.tm_year = year - 1900;
  asked.tm_mon = month - 1;
  asked.tm_mday = number;
  day = asked;
  day.tm_isdst = -1;
  // timegm() fills in the day of the week, and turns a 31st of February into another day.
  const bool known =
      read && year >= 1 && timegm(&day) != -1 && day.tm_mon == asked.tm_mon && day.tm_mday == asked.tm_mday;
  if (!known) throw Failure("the date \"" + date + "\" is not a day such as 2024-12-31");
  return day;
}

}  // namespace hone
