// testing.hpp -- tests a plugin where it is written: link the plugin's source with the test, create its components here.
//
//   int main() {
//     hone::testing::Component brevity("brevity", {{"scale", 10.0}});
//     HONE_EXPECT(hone::testing::score(brevity, "short") > hone::testing::score(brevity, "a longer one"));
//     return hone::testing::result();
//   }
#pragma once

#include <cmath>
#include <map>
#include <variant>

#include "hone/ext/objective.h"
#include "hone/ext/optimizer.h"
#include "hone/ext/reward.h"
#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {
namespace testing {

inline int &failures() {
  static int count = 0;
  return count;
}
inline void expect(bool good, const char *what, const char *file, int line) {
  if (good) return;
  ++failures();
  std::fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
}
inline int result() { return failures() == 0 ? 0 : 1; }

#define HONE_EXPECT(condition) ::hone::testing::expect((condition), #condition, __FILE__, __LINE__)

using Value = std::variant<bool, int, double, std::string>;  // lists and tables: JSON text; handles: an int

// A component of this program's own plugin, alive. Settings that are not given have their defaults. `services`: by id.
class Component {
 public:
  explicit Component(std::string_view name, const std::map<std::string, Value> &settings = {},
                     std::map<std::string, const void *> services = {})
      : services_(std::move(services)) {
    for (uint32_t i = 0; i < hone_plugin_abi1.n_components; ++i)
      if (hone_plugin_abi1.components[i]->name == name) component_ = hone_plugin_abi1.components[i];
    if (!component_) throw Error("this plugin has no component \"" + std::string(name) + "\"");
    std::vector<hone_value> values;
    for (uint32_t i = 0; i < component_->n_params; ++i) values.push_back(component_->params[i].fallback);
    for (const auto &[key, value] : settings) {
      uint32_t i = 0;
      while (i < component_->n_params && component_->params[i].name != key) ++i;
      if (i == component_->n_params) throw Error("\"" + std::string(name) + "\" has no setting \"" + key + "\"");
      hone_value &v = values[i];
      if (const auto *b = std::get_if<bool>(&value)) v.as.i = *b;
      else if (const auto *n = std::get_if<int>(&value)) {
        if (v.type == HONE_FLOAT) v.as.f = *n;
        else v.as.i = *n;
      } else if (const auto *d = std::get_if<double>(&value)) v.as.f = *d;
      else v.as.s = detail::str(std::get<std::string>(value));
    }
    host_ = {sizeof host_, HONE_ABI_MINOR, this, [](const hone_host *host, const char *id) -> const void * {
               const auto &services = static_cast<const Component *>(host->ctx)->services_;
               const auto found = services.find(id);
               return found == services.end() ? nullptr : found->second;
             }};
    hone_error err{};
    detail::check(component_->create(&host_, values.data(), &self_, &err), err);
  }
  ~Component() { component_->destroy(self_); }
  Component(const Component &) = delete;

  void *self() const { return self_; }
  template <class T>
  const T &methods() const {
    return *static_cast<const T *>(component_->methods);
  }

 private:
  const hone_component *component_ = nullptr;
  void *self_ = nullptr;
  hone_host host_{};
  std::map<std::string, const void *> services_;
};

// A reward's score of one response; NaN: none.
inline float score(const Component &reward, std::string_view text, std::string_view answer = "", std::string_view columns = "{}",
                   bool truncated = false) {
  hone_response in{};
  in.struct_size = sizeof in;
  in.finish = truncated ? HONE_TRUNCATED : HONE_FINISHED;
  in.text = detail::str(text), in.answer = detail::str(answer), in.columns = detail::str(columns);
  float score = std::numeric_limits<float>::quiet_NaN();
  hone_error why{}, err{};
  hone_scores out{sizeof out, &score, nullptr, &why};
  detail::check(reward.methods<hone_reward>().score(reward.self(), &in, 1, &out, &err), err);
  return score;
}

// Rows for an objective: the columns that it reads start as copies of logp, or as zeroes.
class Rows {
 public:
  void add(uint32_t group, float reward, const std::vector<float> &logp, bool chosen = false) {
    groups_.push_back(group), rewards_.push_back(reward), chosen_.push_back(chosen);
    logp_.insert(logp_.end(), logp.begin(), logp.end());
    for (uint32_t t = 0; t < logp.size(); ++t) position_.push_back(t);
    start_.push_back(static_cast<uint32_t>(logp_.size()));
    logp_old = logp_ref = logp_;
    value.assign(logp_.size(), 0);
    entropy = kl = step_reward = value;
  }
  std::vector<float> logp_old, logp_ref, value, entropy, kl, step_reward;

  struct Result {
    double loss;
    std::vector<float> advantage, dlogp, dvalue;
  };
  Result run(const Component &objective) const {
    const auto &methods = objective.methods<hone_objective>();
    const size_t n = logp_.size(), rows = groups_.size();
    Result out{0, std::vector<float>(n), std::vector<float>(n), std::vector<float>(n)};
    std::vector<float> target(n), dentropy(n), dkl(n), ones(n, 1), zeroes(rows + 1);
    std::vector<uint32_t> version(rows + 1);
    std::vector<uint8_t> truncated(rows + 1);
    hone_batch in{};
    in.struct_size = sizeof in;
    in.n_rows = static_cast<uint32_t>(rows), in.n_tokens = static_cast<uint32_t>(n);
    for (size_t i = 0; i < rows; ++i) in.n_groups += i == 0 || groups_[i] != groups_[i - 1];
    in.all_rows = in.n_rows, in.all_tokens = in.n_tokens, in.all_groups = in.n_groups, in.all_weight = static_cast<double>(n);
    in.row_start = start_.data(), in.group = groups_.data(), in.policy_version = version.data();
    in.reward = rewards_.data(), in.reward_baseline = in.label = in.margin = zeroes.data();
    in.truncated = truncated.data(), in.chosen = chosen_.data(), in.position = position_.data();
    in.logp = in.logp_const = in.logp_rollout = in.logp_teacher = logp_.data();
    in.logp_old = logp_old.data(), in.logp_ref = logp_ref.data(), in.value = in.value_old = value.data();
    in.entropy = entropy.data(), in.kl = kl.data(), in.step_reward = step_reward.data(), in.weight = ones.data();
    hone_error err{};
    if (methods.advantages) {
      hone_advantages advantages{sizeof advantages, out.advantage.data(), target.data()};
      detail::check(methods.advantages(objective.self(), &in, &advantages, &err), err);
    }
    in.advantage = out.advantage.data(), in.target = target.data();
    hone_loss loss{sizeof loss, 0, out.dlogp.data(), out.dvalue.data(), dentropy.data(), dkl.data()};
    detail::check(methods.loss(objective.self(), &in, &loss, &err), err);
    out.loss = loss.loss;
    return out;
  }

 private:
  std::vector<uint32_t> start_{0}, groups_, position_;
  std::vector<float> rewards_, logp_;
  std::vector<uint8_t> chosen_;
};

// One update of a small parameter; `state` is made on the first step and kept by the caller.
inline void update(const Component &optimizer, uint64_t step, std::vector<float> &parameter, const std::vector<float> &gradient,
                   std::vector<std::vector<float>> &state) {
  const auto &methods = optimizer.methods<hone_optimizer>();
  state.resize(methods.n_states(optimizer.self()), std::vector<float>(parameter.size()));
  std::vector<float *> pointers;
  for (auto &s : state) pointers.push_back(s.data());
  const hone_span span{sizeof span, HONE_SPAN_DECAY, detail::str("weight"), parameter.size(), 1, parameter.size(), parameter.data(),
                       gradient.data(), pointers.data()};
  const hone_update how{sizeof how, sizeof span, step, 1, 1};
  hone_error err{};
  detail::check(methods.update(optimizer.self(), &how, &span, 1, &err), err);
}

}  // namespace testing
}  // namespace hone
