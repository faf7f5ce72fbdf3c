// my_plugin.cpp -- an objective: REINFORCE with the group's mean as its baseline.
//
//   A = r - mean(r over the responses to one prompt)        loss = -mean over the step's tokens of A log p
#include <hone/objective.hpp>

namespace {

class MyPlugin final : public hone::Objective {
 public:
  float scale = 1;

  static auto params() { return hone::params(hone::param("scale", &MyPlugin::scale, "the advantages are multiplied by it", {.min = 0})); }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    for (const hone::Group &group : batch.groups())
      for (const hone::Row &row : group.rows)
        std::fill(out.advantage + row.begin, out.advantage + row.end, static_cast<float>(scale * (row.reward - group.mean)));
  }

  double loss(const hone::Batch &batch, hone_loss &out) override {
    double total = 0;
    for (uint32_t t = 0; t < batch->n_tokens; ++t) {
      const double weight = batch->advantage[t] / static_cast<double>(batch->all_tokens);
      total -= weight * batch->logp[t];
      out.dlogp[t] = static_cast<float>(-weight);
    }
    return total;
  }
};

}  // namespace

HONE_PLUGIN("org.example.my_plugin", "0.1.0", hone::component<MyPlugin>("my_plugin", "REINFORCE with the group's mean as baseline"));
