// rational.h -- reads a number or a simple expression exactly: + - * / ^ ( ), decimals, percent, LaTeX fractions.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <optional>
#include <string_view>

namespace math {

using Rational = boost::multiprecision::cpp_rational;

struct Value {
  Rational number;
  bool decimal = false;            // written with a decimal point or an exponent somewhere: compared with the tolerance
  std::optional<Rational> percent; // written as x%: number is x / 100, and this is x
};

// nullopt for what is no such expression, divides by zero, or would be too large to be worth it.
std::optional<Value> read_value(std::string_view text);

// Whether two values are the same answer. "20%" equals both 0.2 and, as people write it, 20.
bool same(const Value &given, const Value &expected, double tolerance);

}  // namespace math
