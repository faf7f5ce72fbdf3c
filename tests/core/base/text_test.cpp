// text_test.cpp -- nearest names, UTF-8, numbers.
#include "core/base/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

namespace hone {
namespace {

TEST(Text, FindsTheNearestName) {
  const std::vector<std::string> names = {"epsilon", "epsilon_high", "beta", "num_generations", "temperature"};
  EXPECT_EQ(nearest_name("epsilom", names), "epsilon");
  EXPECT_EQ(nearest_name("espilon", names), "epsilon");  // neighbours swapped count once
  EXPECT_EQ(nearest_name("num_generation", names), "num_generations");
  EXPECT_EQ(nearest_name("bta", names), "beta");
  EXPECT_EQ(nearest_name("zebra_crossing", names), "");
  EXPECT_EQ(nearest_name("x", names), "");
  EXPECT_EQ(nearest_name("epsilon", {}), "");
  EXPECT_EQ(nearest_name(std::string(100000, 'a'), names), "");
}

TEST(Text, KnowsValidUtf8) {
  for (const char *good : {"", "plain", "\xC3\xA9", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"})
    EXPECT_EQ(invalid_utf8(good), std::string::npos) << good;
  struct Bad {
    const char *text;
    size_t at;
  };
  for (const Bad &bad : {Bad{"a\x80", 1}, {"\xC0\xAF", 0}, {"\xE0\x80\x80", 0}, {"\xED\xA0\x80", 0}, {"\xF4\x90\x80\x80", 0},
                         {"ab\xE4\xB8", 2}, {"\xFF", 0}, {"\xF8\x88\x80\x80\x80", 0}})
    EXPECT_EQ(invalid_utf8(bad.text), bad.at);
  EXPECT_EQ(with_replaced_invalid_utf8("a\xFF\xC3\xA9"), "a\xEF\xBF\xBD\xC3\xA9");
}

TEST(Text, NumbersReadBackTheSame) {
  for (double x : {0.1, 1e-300, 3.0, -2.5e17, std::nextafter(1.0, 2.0), std::numeric_limits<double>::max()})
    EXPECT_EQ(std::strtod(number_text(x).c_str(), nullptr), x);
  EXPECT_EQ(number_text(0.2), "0.2");
}

TEST(Text, SpeaksOfSizesAndTimesAsPeopleDo) {
  EXPECT_EQ(human_bytes(1), "1 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(3ull << 30), "3.0 GiB");
  EXPECT_EQ(human_seconds(0.4), "0.4 s");
  EXPECT_EQ(human_seconds(200), "3 m 20 s");
  EXPECT_EQ(human_seconds(3720), "1 h 02 m");
  EXPECT_EQ(human_seconds(59.7), "1 m 00 s");
  EXPECT_EQ(join({"a", "b"}, ", "), "a, b");
}

TEST(Text, TellsWhyJsonIsWrongWithoutTheNamesOfExceptions) {
  EXPECT_EQ(json_reason("[json.exception.parse_error.101] parse error at line 2, column 5: syntax error"), "at line 2, column 5: syntax error");
  EXPECT_EQ(json_reason("[json.exception.parse_error.101] parse error at line 1, column 5: syntax error"), "at column 5: syntax error");
  EXPECT_EQ(json_reason("[json.exception.type_error.304] cannot use at() with array"), "cannot use at() with array");
  EXPECT_EQ(json_reason("anything else"), "anything else");
}

TEST(Text, TellsAPlaceOnce) {
  EXPECT_EQ(after_place("s.lua:3: stage eval", "stage eval: no x: y"), "s.lua:3: stage eval: no x: y");
  EXPECT_EQ(after_place("s.lua:3: stage eval", "stage evaluate: no x"), "s.lua:3: stage eval: stage evaluate: no x");
  EXPECT_EQ(after_place("s.lua:3", "no x"), "s.lua:3: no x");
}

}  // namespace
}  // namespace hone
