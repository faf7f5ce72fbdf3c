// collapse.cpp -- see collapse.h.
#include "core/stage/collapse.h"

#include <cmath>

#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace hone {

CollapseWatch::CollapseWatch(const nlohmann::json &settings, std::string where)
    : where_(std::move(where)),
      warn_(settings.at("on_collapse") == "warn"),
      max_kl_(settings.at("max_kl")),
      min_entropy_(settings.at("min_entropy")),
      max_flat_steps_(settings.at("max_flat_steps")) {}

void CollapseWatch::tell(const char *kind, const std::string &what) {
  const std::string text = where_ + ": " + what;
  if (!warn_) throw Failure(text + ". The last checkpoint is from before; with on_collapse = \"warn\" in the script a new run goes on");
  if (!told_[kind]) log_warning(text);
  told_[kind] = true;
}

void CollapseWatch::look(uint32_t step, const std::map<std::string, double> &metrics, bool taught, uint32_t &flat_steps) {
  const auto value = [&](const char *name) {
    const auto found = metrics.find(name);
    return found == metrics.end() ? std::nan("") : found->second;
  };
  const std::string at = "in step " + std::to_string(step) + " ";
  const bool to_reference = metrics.count("kl") > 0;
  const double kl = value(to_reference ? "kl" : "approx_kl");
  if (max_kl_ > 0 && kl > max_kl_)
    tell("max_kl", at + "the KL " + (to_reference ? "to the reference" : "from the policy that sampled") + " is " + number_text(kl) + " per token, above max_kl = " +
                       number_text(max_kl_) + ": the policy runs away. A lower learning rate, or more weight on the KL, usually helps");
  const double entropy = value("entropy");
  if (min_entropy_ > 0 && entropy < min_entropy_)
    tell("min_entropy", at + "the entropy is " + number_text(entropy) + " per token, below min_entropy = " + number_text(min_entropy_) +
                            ": the policy hardly explores any more. entropy_coef, a higher epsilon_high or a higher temperature keep it up");
  flat_steps = taught ? 0 : flat_steps + 1;
  if (max_flat_steps_ > 0 && flat_steps >= max_flat_steps_)
    tell("max_flat_steps", "for " + std::to_string(flat_steps) + " steps up to step " + std::to_string(step) +
                               " no response had an advantage, so nothing was learnt. The prompts are too easy or too hard, or the rewards do not tell responses apart");
}

}  // namespace hone
