// policy_gradient_formula.h -- the losses and advantages that the headers of the policy-gradient objectives and the papers state,
// written again without a helper of the SDK's: a row at a time, in double, as slowly as the formula reads.
#pragma once

#include "tests/plugins/stages/objectives.h"

namespace hone::judge {

// What an objective's header promises when nothing is set, and over it what is.
struct Settings {
  Settings(const std::string &objective, const json &set) {
    all = {{"epsilon", 0.2},
           {"epsilon_high", 0},
           {"delta", 0},
           {"beta", 0},
           {"kl_estimator", "k3"},
           {"kl_gradient", "own"},
           {"entropy_coef", 0},
           {"aggregation", "token-mean"},
           {"max_completion_length", 256},
           {"importance_sampling_mode", "none"},
           {"importance_sampling_cap", 3}};
    if (objective == "grpo" || objective == "gspo" || objective == "rloo") all["aggregation"] = "sequence-mean-token-mean";
    if (objective == "dr_grpo") all["aggregation"] = "sequence-mean-token-sum-norm";
    if (objective == "remax") all["aggregation"] = "sequence-mean-token-sum";
    if (objective == "dapo") all["epsilon_high"] = 0.28;
    if (objective == "gspo") all["epsilon"] = 3e-4, all["epsilon_high"] = 4e-4;
    if (objective == "cispo") all["epsilon"] = 1, all["epsilon_high"] = 0.28;
    if (objective == "reinforce_plus_plus_baseline") all["kl_estimator"] = "k2";
    for (const auto &[name, value] : set.items()) all[name] = value;
    if (objective == "rloo") all["beta"] = 0;  // rloo's beta is of its reward, and its loss has no KL
  }
  double number(const char *name) const { return all.at(name).get<float>(); }  // a setting is a float
  bool is(const char *name, const char *value) const { return all.at(name) == value; }
  json all;
};

inline double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

// token: PPO's surrogate with the dual clip. weight: CISPO's. product and mean: the response as one action.
enum class Ratio { token, weight, product, mean };

// What a token's loss counts for in the step's.
inline double share_of(const Settings &s, const Rows &step, const Response &row, const Token &t) {
  if (t.weight == 0) return 0;  // even where nothing else counts and a mean would be 0 / 0
  double of_step = 0, of_row = 0;
  for (const Response &other : step)
    for (const Token &u : other.tokens) of_step += u.weight;
  for (const Token &u : row.tokens) of_row += u.weight;
  const double rows = double(step.size());
  if (s.is("aggregation", "token-mean")) return t.weight / of_step;
  if (s.is("aggregation", "sequence-mean-token-mean")) return t.weight / (rows * of_row);
  if (s.is("aggregation", "sequence-mean-token-sum")) return t.weight / rows;
  return t.weight / (rows * s.number("max_completion_length"));
}

inline double policy_gradient_loss(const Settings &s, Ratio form, const Rows &rows) {
  const double low = 1 - s.number("epsilon"), high = 1 + s.number(s.number("epsilon_high") > 0 ? "epsilon_high" : "epsilon");
  const double delta = s.number("delta"), cap = s.number("importance_sampling_cap");
  const auto surrogate = [&](double ratio, double A) {
    return A == 0 ? 0 : -std::min((delta > 0 ? std::min(ratio, delta) : ratio) * A, clip(ratio, low, high) * A);
  };
  double loss = 0;
  for (const Response &row : rows) {
    double weight = 0, moved = 0, row_ratio = 1;
    for (const Token &t : row.tokens) {
      weight += t.weight;
      moved += t.weight * (t.logp - t.logp_old);
      row_ratio *= std::exp(t.logp_old - t.logp_rollout);
    }
    for (const Token &t : row.tokens) {
      const double share = share_of(s, rows, row, t);
      if (share == 0) continue;
      double w = 1;
      if (s.is("importance_sampling_mode", "token_truncate")) w = std::min(std::exp(t.logp_old - t.logp_rollout), cap);
      if (s.is("importance_sampling_mode", "sequence_mask")) w = row_ratio > cap ? 0 : row_ratio;

      double l = 0;
      if (form == Ratio::token) l = surrogate(std::exp(t.logp - t.logp_old), t.advantage);
      if (form == Ratio::weight) l = -clip(std::exp(t.logp_const - t.logp_old), low, high) * t.advantage * t.logp;
      if (form == Ratio::product) l = surrogate(std::exp(moved), t.advantage);
      if (form == Ratio::mean) l = surrogate(std::exp(moved / weight), t.advantage);

      const auto kl_of = [&](double logp) {
        const double d = logp - t.logp_ref;
        if (s.is("kl_estimator", "k1")) return d;
        if (s.is("kl_estimator", "k2")) return d * d / 2;
        return std::exp(-d) - 1 + d;
      };
      double kl = kl_of(t.logp);
      if (s.is("kl_gradient", "unbiased"))
        kl = kl_of(t.logp_const) + std::pow(t.logp - t.logp_ref, 2) / 2 - std::pow(t.logp_const - t.logp_ref, 2) / 2;

      loss += share * (w * l + s.number("beta") * kl - s.number("entropy_coef") * t.entropy);
    }
  }
  return loss;
}

using Advantages = std::vector<std::vector<double>>;  // of each row's tokens

struct Moments {
  double mean = 0, variance = 0, n = 0;  // of the population
  bool equal = true;
};
inline Moments moments(const std::vector<double> &all) {
  Moments m;
  m.n = double(all.size());
  for (double x : all) m.mean += x / m.n;
  for (double x : all) m.variance += (x - m.mean) * (x - m.mean) / m.n, m.equal = m.equal && x == all[0];
  return m;
}

inline Advantages as_rows(const Rows &rows, const std::function<double(const Response &)> &of) {
  Advantages out;
  for (const Response &row : rows) out.emplace_back(row.tokens.size(), of(row));
  return out;
}

// (r - mean of the group) / deviation: of the group, of the batch, or 1. reward: what counts as a row's.
inline Advantages group_relative(const Rows &rows, const std::string &scale, const std::function<double(const Response &)> &reward) {
  return as_rows(rows, [&](const Response &row) {
    std::vector<double> group, batch;
    for (const Response &other : rows) {
      batch.push_back(reward(other));
      if (other.group == row.group) group.push_back(reward(other));
    }
    const Moments its = moments(group);
    if (its.equal) return 0.0;
    return (reward(row) - its.mean) / (scale == "none" ? 1 : std::sqrt(scale == "group" ? its.variance : moments(batch).variance));
  });
}

// The KL penalty of each token and at the last one the reward.
inline std::vector<double> token_rewards(const Response &row, double kl_coef) {
  std::vector<double> out;
  for (const Token &t : row.tokens) out.push_back(-kl_coef * (t.logp_old - t.logp_ref));
  out.back() += row.reward;
  return out;
}

// sum over s >= t of discount^(s - t) x_s
inline std::vector<double> to_come(const std::vector<double> &x, double discount) {
  std::vector<double> out(x.size(), 0);
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t s = t; s < x.size(); ++s) out[t] += std::pow(discount, double(s - t)) * x[s];
  return out;
}

inline std::vector<double> flat(const Advantages &rows) {
  std::vector<double> out;
  for (const auto &row : rows) out.insert(out.end(), row.begin(), row.end());
  return out;
}

// (A - mean) / sqrt(max(variance, 1e-8)) over all tokens
inline Advantages standardized(Advantages rows) {
  const Moments all = moments(flat(rows));
  for (auto &row : rows)
    for (double &a : row) a = all.equal ? 0 : (a - all.mean) / std::sqrt(std::max(all.variance, 1e-8));
  return rows;
}

struct PolicyGradients : Objectives {
  // Settings of one objective drawn at random: each is left alone half of the time.
  json some_of(const json &choices) {
    json out = json::object();
    for (const auto &[name, values] : choices.items())
      if (one_in(2)) out[name] = any_of(values);
    return out;
  }
  static json shared_choices(const std::string &objective) {
    json all = {{"epsilon", {0.1, 0.25, 0}},
                {"epsilon_high", {0, 0.15, 0.4}},
                {"entropy_coef", {0.01, -0.02}},
                {"aggregation", {"token-mean", "sequence-mean-token-mean", "sequence-mean-token-sum", "sequence-mean-token-sum-norm"}},
                {"max_completion_length", {1, 9, 100}},
                {"importance_sampling_mode", {"token_truncate", "sequence_mask"}},
                {"importance_sampling_cap", {1.1, 2}}};
    if (objective != "cispo") all["delta"] = {1.05, 1.3, 3};
    if (objective != "rloo") all["beta"] = {0.04, 0.5}, all["kl_estimator"] = {"k1", "k2", "k3"}, all["kl_gradient"] = {"own", "unbiased"};
    return all;
  }

  using AdvantagesFormula = std::function<Advantages(const Rows &, const json &set)>;
  // Many random batches under the defaults and under random settings, the objective's own (choices) and the shared ones.
  void expect_follows(const std::string &name, Ratio form, const json &choices, const AdvantagesFormula &formula) {
    json all = shared_choices(name);
    all.update(choices);
    for (int i = 0; i < 40; ++i) {
      const json set = i < 5 ? json::object() : some_of(all);
      SCOPED_TRACE(name + " " + set.dump());
      const Asked objective(host, name, set);
      EXPECT_EQ(objective.source, HONE_ON_POLICY);
      Rows rows = trained(ragged(whole(1, 8)));
      expect_column(objective.advantages(rows).advantage, formula(rows, set), "the advantage");
      const Settings settings(name, set);
      expect_loss(objective, rows, [&](const Rows &at) { return policy_gradient_loss(settings, form, at); });
      if (HasFailure()) return;
    }
  }
  static std::string text(const json &set, const char *name, const std::string &otherwise) { return set.value(name, otherwise); }
  static double number(const json &set, const char *name, float otherwise) { return set.value(name, otherwise); }
};

}  // namespace hone::judge
