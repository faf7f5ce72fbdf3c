// collapse.h -- says when a run on policy has gone wrong: the KL explodes, the entropy is gone, or nothing is left to learn. (A loss or a
// gradient that is no number always stops a run; the trainer says so.)
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace hone {

class CollapseWatch {
 public:
  // settings: the stage's checked ones: on_collapse, max_kl, min_entropy, max_flat_steps.
  CollapseWatch(const nlohmann::json &settings, std::string where);
  // Of a step's metrics: `kl` (to the reference), or else `approx_kl` (from the policy that sampled), and `entropy`. taught: whether any
  // token had an advantage. flat_steps: how many of the last steps had none, which this counts on.
  // Failure that says what is wrong, or a warning, once for each kind, when on_collapse is "warn".
  void look(uint32_t step, const std::map<std::string, double> &metrics, bool taught, uint32_t &flat_steps);

 private:
  void tell(const char *kind, const std::string &what);
  std::string where_;
  bool warn_;
  double max_kl_, min_entropy_;
  uint32_t max_flat_steps_;
  std::map<std::string, bool> told_;
};

}  // namespace hone
