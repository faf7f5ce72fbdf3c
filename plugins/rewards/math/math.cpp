// math.cpp -- the accuracy reward of DeepSeek-R1 (arXiv 2501.12948, 2.2.2) for answers that are numbers or simple
// expressions.
#include <hone/json.hpp>
#include <hone/response.hpp>
#include <hone/reward.hpp>

#include "extract.h"
#include "rational.h"

namespace {

using hone::trimmed;

enum class Way { boxed, answer, hashes, last_number };

class Math final : public hone::Reward {
 public:
  hone::JsonList extract{R"(["boxed","answer","hashes","last_number"])"};
  double tolerance = 1e-6;
  std::string open = "<think>";
  std::string close = "</think>";
  std::string answer_open = "<answer>";
  std::string answer_close = "</answer>";

  static auto params() {
    return hone::params(hone::param("extract", &Math::extract,
                                    "where the answer is looked for, in this order, after the thinking: boxed (the "
                                    "last \\boxed{}), answer (between the "
                                    "answer's tags), hashes (after ####), last_number (not of a truncated response, "
                                    "which may have lost digits)"),
                        hone::param("tolerance", &Math::tolerance,
                                    "largest relative error (absolute below 1) when either side is written as a "
                                    "decimal; integers and fractions are exact",
                                    {.min = 0, .max = 1}),
                        hone::param("open", &Math::open, "tag that starts the thinking"),
                        hone::param("close", &Math::close, "tag that ends the thinking"),
                        hone::param("answer_open", &Math::answer_open, "tag that starts the answer"),
                        hone::param("answer_close", &Math::answer_close, "tag that ends the answer"));
  }

  void start(const hone::Services &) {
    const hone::Json list = hone::Json::parse(extract.text);
    for (const hone::Json &entry : list.as_list()) {
      const std::string name = entry.is_string() ? entry.as_string() : entry.text();
      if (name == "boxed")
        ways_.push_back(Way::boxed);
      else if (name == "answer")
        ways_.push_back(Way::answer);
      else if (name == "hashes")
        ways_.push_back(Way::hashes);
      else if (name == "last_number")
        ways_.push_back(Way::last_number);
      else
        throw hone::Error("extract holds \"" + name + "\"; it may hold boxed, answer, hashes and last_number");
    }
    if (ways_.empty())
      throw hone::Error("extract is empty; give at least one of boxed, answer, hashes and last_number");
    tags_ = {open, close, answer_open, answer_close};
  }

  // 1 or 0. A response in which no answer is found is wrong; a row without an answer to compare with has no score.
  float score(const hone::Response &response) const override {
    const std::string_view expected = reference(response.answer);
    if (expected.empty()) throw hone::Error("the row has no answer to compare with");
    const auto given = find(response);
    return given && equal(tidy(*given), expected);
  }

 private:
  // Data sets keep whole solutions as the answer: "… #### 72" (GSM8K), "… \boxed{72}" (MATH).
  static std::string_view reference(std::string_view answer) {
    if (const auto hashes = math::after_hashes(answer)) return tidy(*hashes);
    if (const auto boxed = math::last_boxed(answer)) return tidy(*boxed);
    return tidy(answer);
  }

  std::optional<std::string_view> find(const hone::Response &response) const {
    const hone::ResponseParts parts = hone::split_response(response.text, tags_);
    for (const Way way : ways_) {
      std::optional<std::string_view> found;
      switch (way) {
        case Way::boxed:
          found = math::last_boxed(parts.rest);
          break;
        case Way::answer:
          found = parts.answer;
          break;
        case Way::hashes:
          found = math::after_hashes(parts.rest);
          break;
        case Way::last_number:
          if (!response.truncated) found = math::last_number(parts.rest);
          break;
      }
      if (found && !trimmed(*found).empty()) return found;
    }
    return std::nullopt;
  }

  // Without white space, a final full stop, and dollar signs of mathematics around it.
  static std::string_view tidy(std::string_view text) {
    text = trimmed(text);
    while (text.size() > 1 && text.ends_with('.')) text = trimmed(text.substr(0, text.size() - 1));
    if (text.size() >= 2 && text.starts_with('$') && text.ends_with('$'))
      text = trimmed(text.substr(1, text.size() - 2));
    return text;
  }

  bool equal(std::string_view given, std::string_view expected) const {
    if (given == expected) return true;
    const auto wanted = math::read_value(expected);
    if (!wanted) return false;
    if (const auto value = math::read_value(given)) return math::same(*value, *wanted, tolerance);
    // "x = 5", "18 dollars": the right side, or the only number there is.
    if (const size_t sign = given.rfind('='); sign != given.npos)
      if (const auto value = math::read_value(trimmed(given.substr(sign + 1))))
        return math::same(*value, *wanted, tolerance);
    if (const auto only = math::only_number(given))
      if (const auto value = math::read_value(*only)) return math::same(*value, *wanted, tolerance);
    return false;
  }

  std::vector<Way> ways_;
  hone::Tags tags_;
};

}  // namespace

HONE_PLUGIN("org.hone.math", "1.0.0",
            hone::component<Math>(
                "math", "1 when the final answer equals the row's answer as a number or simple expression, else 0"));
