// think_format.cpp -- one point for a response of the form <think>...</think> answer.
#include <hone/reward.hpp>

namespace {

class ThinkFormat final : public hone::Reward {
 public:
  std::string open = "<think>";
  std::string close = "</think>";

  static auto params() {
    return hone::params(hone::param("open", &ThinkFormat::open, "tag that starts the reasoning"),
                        hone::param("close", &ThinkFormat::close, "tag that ends the reasoning"));
  }

  float score(const hone::Response &response) const override {
    const std::string_view text = response.text;
    const size_t end = text.find(close);
    if (!text.starts_with(open) || end == text.npos || end != text.rfind(close)) return 0;
    const size_t answer = text.find_first_not_of(" \n", end + close.size());
    return answer == text.npos ? 0 : 1;
  }
};

}  // namespace

HONE_PLUGIN("org.example.think_format", "1.0.0", hone::component<ThinkFormat>("think_format", "1 for <think>...</think> and an answer after it"));
