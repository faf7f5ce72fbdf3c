// my_plugin.cpp -- a reward: 1 for a response that holds the row's answer, less as it grows longer than `limit` bytes.
#include <hone/reward.hpp>

namespace {

class MyPlugin final : public hone::Reward {
 public:
  int64_t limit = 1000;

  static auto params() {
    return hone::params(hone::param("limit", &MyPlugin::limit, "bytes that a response may have without loss", {.min = 1}));
  }

  // Calls overlap: const. Throw hone::Error, or return NaN, when this response cannot be scored.
  float score(const hone::Response &response) const override {
    if (response.answer.empty()) throw hone::Error("the row has no answer");
    if (response.text.find(response.answer) == response.text.npos) return 0;
    const double share = static_cast<double>(limit) / static_cast<double>(response.text.size());
    return static_cast<float>(share < 1 ? share : 1);
  }
};

}  // namespace

HONE_PLUGIN("org.example.my_plugin", "0.1.0", hone::component<MyPlugin>("my_plugin", "1 for a response that holds the answer"));
