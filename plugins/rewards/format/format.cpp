// format.cpp -- the format reward of DeepSeek-R1-Zero (arXiv 2501.12948, 2.2.2): 1 for <think>…</think>
// <answer>…</answer>.
#include <hone/response.hpp>
#include <hone/reward.hpp>

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
        hone::param("answer_open", &Format::answer_open,
                    "tag that starts the answer; empty: the answer is what follows the thinking"),
        hone::param("answer_close", &Format::answer_close, "tag that ends the answer; empty together with answer_open"),
        hone::param("opened", &Format::opened,
                    "whether the prompt already ends with the tag that starts the thinking"));
  }

  void start(const hone::Services &) {
    if (open.empty() || close.empty()) throw hone::Error("open and close must not be empty");
    if (answer_open.empty() != answer_close.empty())
      throw hone::Error("give both answer_open and answer_close, or leave both empty");
    tags_ = {open, close, answer_open, answer_close};
  }

  // 1 or 0, nothing between.
  float score(const hone::Response &response) const override {
    return hone::well_formed(response.text, response.truncated, tags_, opened);
  }

 private:
  hone::Tags tags_;
};

}  // namespace

HONE_PLUGIN("org.hone.format", "1.0.0",
            hone::component<Format>("format",
                                    "1 for a response of thinking and answer, each in its tags, and nothing else"));
