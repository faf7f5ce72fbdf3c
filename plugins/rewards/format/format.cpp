// format.cpp -- the format reward of DeepSeek-R1-Zero (arXiv 2501.12948, 2.2.2): 1 for <think>…</think> <answer>…</answer>.
#include <hone/reward.hpp>
#include <hone/thinking.hpp>

namespace {

class Format final : public hone::Reward {
 public:
  std::string open = "<think>";
  std::string close = "</think>";
  std::string answer_open = "<answer>";
  std::string answer_close = "</answer>";
  bool opened = false;

  static auto params() {
    return hone::params(
        hone::param("open", &Format::open, "tag that starts the thinking"),
        hone::param("close", &Format::close, "tag that ends the thinking"),
        hone::param("answer_open", &Format::answer_open, "tag that starts the answer; empty: the answer is what follows the thinking"),
        hone::param("answer_close", &Format::answer_close, "tag that ends the answer; empty together with answer_open"),
        hone::param("opened", &Format::opened, "whether the prompt already ends with the tag that starts the thinking"));
  }

  void start(const hone::Services &) {
    if (open.empty() || close.empty()) throw hone::Error("open and close must not be empty");
    if (answer_open.empty() != answer_close.empty()) throw hone::Error("give both answer_open and answer_close, or leave both empty");
  }

  // Each tag exactly once and in order, only white space outside, neither part empty; 1 or 0, nothing between.
  float score(const hone::Response &response) const override {
    if (response.truncated) return 0;
    std::string_view rest = response.text;
    if (!opened) {
      rest = hone::trimmed(rest);
      if (!rest.starts_with(open)) return 0;
      rest.remove_prefix(open.size());
    }
    const size_t end = rest.find(close);
    if (end == rest.npos) return 0;
    const std::string_view thinking = rest.substr(0, end);
    std::string_view answer = hone::trimmed(rest.substr(end + close.size()));
    if (!answer_open.empty()) {
      if (answer.size() < answer_open.size() + answer_close.size() || !answer.starts_with(answer_open) || !answer.ends_with(answer_close))
        return 0;
      answer = answer.substr(answer_open.size(), answer.size() - answer_open.size() - answer_close.size());
    }
    return filled(thinking) && filled(answer);
  }

 private:
  bool filled(std::string_view part) const {
    for (const std::string *tag : {&open, &close, &answer_open, &answer_close})
      if (!tag->empty() && part.find(*tag) != part.npos) return false;
    return !hone::trimmed(part).empty();
  }
};

}  // namespace

HONE_PLUGIN("org.hone.format", "1.0.0", hone::component<Format>("format", "1 for a response of thinking and answer, each in its tags, and nothing else"));
