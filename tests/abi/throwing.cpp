// throwing.cpp -- throws wherever a plugin can.
#include <hone/reward.hpp>

namespace {

class Throwing final : public hone::Reward {
 public:
  std::string when = "never";
  static auto params() {
    return hone::params(hone::param("when", &Throwing::when, "where to throw", {.choices = {"never", "start", "score", "odd"}}));
  }
  void start(const hone::Services &services) {
    hone::Log(services).info("started");
    if (when == "start") throw hone::Error("cannot start: the cellar is locked");
  }
  float score(const hone::Response &response) const override {
    if (when == "score") throw std::runtime_error("cannot score");
    if (when == "odd") throw 7;
    return static_cast<float>(response.text.size());
  }
};

}  // namespace

HONE_PLUGIN("org.example.throwing", "1.0.0", hone::component<Throwing>("throwing", "throws"));
