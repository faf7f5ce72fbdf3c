// length.cpp -- rewards by a response's length in tokens: linear between two limits, or DAPO's soft overlong punishment.
#include <hone/reward.hpp>

#include <algorithm>

namespace {

class Length final : public hone::Reward {
 public:
  std::string mode = "short";
  int64_t min_tokens = 0;
  int64_t max_tokens = 1024;
  int64_t cache = 256;

  static auto params() {
    return hone::params(
        hone::param("mode", &Length::mode,
                    "short: 1 up to min_tokens, falling to 0 at max_tokens; long: the reverse; overlong: 0 up to max_tokens - cache, "
                    "falling to -1 at max_tokens and beyond (DAPO, arXiv 2503.14476, eq. 13)",
                    {.choices = {"short", "long", "overlong"}}),
        hone::param("min_tokens", &Length::min_tokens, "tokens where the slope begins (short, long)", {.min = 0, .max = 1e9}),
        hone::param("max_tokens", &Length::max_tokens, "tokens where the slope ends", {.min = 1, .max = 1e9}),
        hone::param("cache", &Length::cache, "width of the slope in tokens (overlong)", {.min = 1, .max = 1e9}));
  }

  void start(const hone::Services &) {
    if (mode != "overlong" && min_tokens >= max_tokens)
      throw hone::Error("min_tokens is " + std::to_string(min_tokens) + " and must be below max_tokens, " + std::to_string(max_tokens));
    if (mode == "overlong" && cache > max_tokens)
      throw hone::Error("cache is " + std::to_string(cache) + " and must not exceed max_tokens, " + std::to_string(max_tokens));
  }

  float score(const hone::Response &response) const override {
    const double tokens = double(response.ids.size());
    if (mode == "overlong") {
      const double limit = double(max_tokens - cache);
      return float(std::clamp((limit - tokens) / double(cache), -1.0, 0.0));
    }
    const double share = std::clamp((tokens - double(min_tokens)) / double(max_tokens - min_tokens), 0.0, 1.0);
    return float(mode == "long" ? share : 1 - share);
  }
};

}  // namespace

HONE_PLUGIN("org.hone.length", "1.0.0", hone::component<Length>("length", "rewards short or long responses, or punishes overlong ones"));
