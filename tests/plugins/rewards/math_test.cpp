// math_test.cpp -- answers that are equal are found equal, and others are not.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/plugins/rewards/open_reward.h"

namespace hone {
namespace {

struct Pair { const char *given, *answer; bool same; };

TEST(Math, ComparesAnswersAsPeopleDo) {
  OpenReward math("math");
  const Pair table[] = {
      {"7", "7", true}, {"8", "7", false}, {" 7 ", "7", true}, {"7.", "7", true}, {"07", "7", true}, {"+7", "7", true},
      {"-7", "7", false}, {"\xE2\x88\x92" "7", "-7", true}, {"- 7", "-7", true},
      // integers of any size, exactly
      {"123456789012345678901234567890", "123456789012345678901234567890", true},
      {"123456789012345678901234567891", "123456789012345678901234567890", false},
      {"2^100", "1267650600228229401496703205376", true}, {"10^20+1", "100000000000000000001", true},
      {"10^20", "100000000000000000001", false},
      // separators
      {"1,234,567", "1234567", true}, {"1,234", "1234", true}, {"1{,}234", "1234", true}, {"12,34", "1234", false}, {"1,2345", "12345", false},
      {"1234,567", "1234567", false}, {"$1,234.50", "1234.5", true}, {"\\$18", "18", true}, {"$18$", "18", true},
      // fractions
      {"1/2", "0.5", true}, {"\\frac{1}{2}", "1/2", true}, {"\\dfrac12", "0.5", true}, {"\\frac{-3}{4}", "-0.75", true}, {"2/4", "1/2", true},
      {"1/3", "0.333333333", true}, {"1/3", "0.33", false}, {"3/2", "1\\frac{1}{2}", true}, {"1 1/2", "1.5", true}, {"-1 1/2", "-1.5", true},
      {"1/0", "1", false}, {"\\frac{1}{0}", "1/0", false}, {"0/5", "0", true},
      // decimals
      {"0.1", ".1", true}, {"1.50", "1.5", true}, {"3.0", "3", true}, {"3.", "3", true}, {"1e3", "1000", true}, {"1.5e-3", "0.0015", true},
      {"2.5E+2", "250", true}, {"0.30000000000000004", "0.3", true}, {"0.31", "0.3", false}, {"1000000.4", "1000000", true},
      {"1000001", "1000000", false},
      // percent
      {"50%", "0.5", true}, {"50\\%", "1/2", true}, {"50%", "50", true}, {"20", "20%", true}, {"5%", "50%", false}, {"0.5", "50%", true},
      // expressions
      {"(1+2)*3", "9", true}, {"1+2*3", "7", true}, {"2^3^2", "512", true}, {"-2^2", "-4", true}, {"(-2)^2", "4", true}, {"2^{-1}", "0.5", true},
      {"2**10", "1024", true}, {"6 \\times 7", "42", true}, {"6 \\cdot 7", "42", true}, {"84 \\div 2", "42", true}, {"6\xC3\x97" "7", "42", true},
      {"\\left(1+1\\right)^2", "4", true}, {"0^0", "1", true}, {"0^{-1}", "1", false}, {"8/2/2", "2", true}, {"10-4-3", "3", true},
      {"2--3", "5", true}, {"1+", "1", false}, {"(1", "1", false}, {"2^0.5", "1.4142135", false},
      // words around
      {"x = 5", "5", true}, {"18 dollars", "18", true}, {"5 or 6", "5", false}, {"18\\text{ cm}", "18", true}, {"the answer is 4", "4", true},
      // text
      {"Paris", "Paris", true}, {"Paris.", "Paris", true}, {"Berlin", "Paris", false}, {"paris", "Paris", false}, {"1,2 ; 3", "1,2 ; 3", true},
      {"x^2+1", "x^2+1", true}, {"x^2+1", "x^2+2", false},
      // whole solutions as the answer
      {"72", "Natalia sold 48/2 = 24 clips.\n#### 72", true}, {"1,080", "so\n#### 1,080", true}, {"72", "thus \\boxed{72}.", true}};
  for (const Pair &pair : table) {
    EXPECT_EQ(math("<answer>" + std::string(pair.given) + "</answer>", pair.answer), pair.same ? 1 : 0)
        << "'" << pair.given << "' against '" << pair.answer << "'";
    EXPECT_EQ(math.why, "");
  }
}

TEST(Math, FindsTheAnswerAfterTheThinking) {
  OpenReward math("math");
  EXPECT_EQ(math("<think>3 + 4 = 7</think> <answer>7</answer>", "7"), 1);
  EXPECT_EQ(math("<think>3 + 4 = 7</think> <answer>8</answer>", "7"), 0);
  EXPECT_EQ(math("<think>7</think> <answer></answer>", "7"), 0);
  EXPECT_EQ(math("<think>it must be \\boxed{7}", "7"), 0) << "thinking that never ended has no answer";
  EXPECT_EQ(math("3 + 4 = 7</think> <answer>7</answer>", "7"), 1) << "the prompt ended with <think>";
  EXPECT_EQ(math("<answer>6</answer> no: <answer>7</answer>", "7"), 1);
  EXPECT_EQ(math("<answer>6</answer> no: \\boxed{7}", "7"), 1) << "boxed comes first by default";
  EXPECT_EQ(math("\\boxed{6}, or \\boxed{\\frac{14}{2}}", "7"), 1);
  EXPECT_EQ(math("\\boxed{7} and \\boxed{", "7"), 1);
  EXPECT_EQ(math("so 3 and 4 make\n#### 7\nbye 5", "7"), 1);
  EXPECT_EQ(math("3 plus 4 is 7", "7"), 1);
  EXPECT_EQ(math("it is -7", "-7"), 1);
  EXPECT_EQ(math("10-7", "7"), 1) << "a minus between two numbers is no sign";
  EXPECT_EQ(math("about 1,234.5", "1234.5"), 1);
  EXPECT_EQ(math("it is 7 of 12", "7"), 0);
  EXPECT_EQ(math("no number", "7"), 0);
  EXPECT_EQ(math("", "7"), 0);
}

TEST(Math, TheLastNumberOfATruncatedResponseIsNoAnswer) {
  OpenReward math("math");
  EXPECT_EQ(math("it is 12", "12", true), 0);
  EXPECT_EQ(math("it is \\boxed{12} and", "12", true), 1);
}

TEST(Math, LooksOnlyWhereItIsTold) {
  OpenReward tags("math", {{"extract", {"answer"}}});
  EXPECT_EQ(tags("\\boxed{7}", "7"), 0);
  EXPECT_EQ(tags("<answer>7</answer>", "7"), 1);
  OpenReward order("math", {{"extract", {"answer", "boxed"}}});
  EXPECT_EQ(order("<answer>6</answer> \\boxed{7}", "6"), 1);
  OpenReward others("math", {{"open", "[T]"}, {"close", "[/T]"}, {"answer_open", "[A]"}, {"answer_close", "[/A]"}});
  EXPECT_EQ(others("[T]8[/T][A]7[/A]", "7"), 1);
  OpenReward exact("math", {{"tolerance", 0}});
  EXPECT_EQ(exact("0.3333333333", "1/3"), 0);
  EXPECT_EQ(exact("0.25", "1/4"), 1);
}

TEST(Math, SettingsThatMeanNothingAreSentences) {
  for (const nlohmann::json &extract : {nlohmann::json::array(), nlohmann::json{"box"}, nlohmann::json{3}}) {
    try {
      OpenReward math("math", {{"extract", extract}});
      FAIL() << extract;
    } catch (const std::exception &error) {
      EXPECT_NE(std::string(error.what()).find("extract"), std::string::npos) << error.what();
    }
  }
}

TEST(Math, ARowWithoutAnAnswerHasNoScore) {
  OpenReward math("math");
  EXPECT_TRUE(std::isnan(math("<answer>7</answer>", "")));
  EXPECT_NE(math.why.find("no answer to compare"), std::string::npos);
}

TEST(Math, EvaluatesAsIntegersDo) {
  // Random expressions over small integers, evaluated beside in 128-bit integers.
  OpenReward math("math");
  std::mt19937 random(5);
  for (int i = 0; i < 2000; ++i) {
    std::string text = std::to_string(random() % 100);
    __int128 sum = 0, term = std::stoi(text);
    for (int k = 0; k < 6; ++k) {
      const int n = int(random() % 100);
      const char op = "+-*"[random() % 3];
      text += std::string(random() % 2, ' ') + op + std::to_string(n);
      if (op == '*') term *= n;
      else sum += term, term = op == '+' ? n : -n;
    }
    const auto value = static_cast<long long>(sum + term);
    EXPECT_EQ(math("<answer>" + text + "</answer>", std::to_string(value)), 1) << text;
    EXPECT_EQ(math("<answer>" + text + "</answer>", std::to_string(value + 1)), 0) << text;
  }
}

TEST(Math, NothingMakesItHangOrFail) {
  OpenReward math("math");
  const std::vector<std::string> nasty = {std::string(100'000, '('),        std::string(100'000, '-'),    std::string(4000, '9') + "^65000",
                                          "9^9^9^9^9",                      "10^65536",                   "1e999999999",
                                          "1e4096^100",                     std::string(1'000'000, '9'),  std::string(3000, '(') + "1" + std::string(3000, ')'),
                                          "1/" + std::string(4000, '0'),    std::string(2000, '\xff'),    std::string("7\0 8", 4),
                                          "\\frac{\\frac{\\frac{1}{2}}{3}}", "\\frac", "\\frac{", "\\frac1", ".", "-", "%", "^", "1^", "{}", "()", "1..2"};
  for (const std::string &text : nasty) {
    EXPECT_EQ(math("<answer>" + text + "</answer>", "7"), 0) << text.substr(0, 40);
    EXPECT_EQ(math(text, "7"), 0) << text.substr(0, 40);
    math("<answer>7</answer>", text);
  }
  std::string boxes;
  for (int i = 0; i < 200'000; ++i) boxes += "\\boxed{";
  EXPECT_EQ(math(boxes, "7"), 0);
  std::mt19937 random(9);
  const std::string alphabet = "0123456789+-*/^(){}.,%$\\ e=fracboxed#<>answer/";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (size_t n = random() % 24; n > 0; --n) text += alphabet[random() % alphabet.size()];
    const float score = math("<answer>" + text + "</answer>", "31337.125");
    EXPECT_TRUE(score == 0 || score == 1);
  }
}

}  // namespace
}  // namespace hone
