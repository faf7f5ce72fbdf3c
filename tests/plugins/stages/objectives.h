// objectives.h -- the judge's side of an objective: random ragged batches as plain rows of double, and a way to ask a built plugin
// about them that shares nothing with the host's (its host's columns are compared with this one in objective_host_test.cpp).
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "core/base/failure.h"
#include "core/train/objective_columns.h"
#include "tests/support/built_component.h"

namespace hone::judge {

using nlohmann::json;
using Column = std::vector<float>;
constexpr double none = std::numeric_limits<double>::quiet_NaN();

// Every number is one that a float holds, so that the plugin and the formula are given the same.
struct Token {
  double logp = -1, logp_const = -1, logp_old = -1, logp_rollout = -1, logp_ref = -1, logp_teacher = -1;
  double value = 0, value_old = 0, entropy = 1, step_reward = none, weight = 1;
  bool masked = false;
  double advantage = 0, target = 0;  // once they are known
};
struct Response {
  uint32_t group = 0;
  double reward = 0, baseline = 0, margin = 0;
  bool chosen = false;
  std::vector<Token> tokens;
};
using Rows = std::vector<Response>;

inline size_t tokens_of(const Rows &rows) {
  size_t n = 0;
  for (const Response &row : rows) n += row.tokens.size();
  return n;
}

// What trains: scored rows and unmasked tokens; of pairs, whole ones.
inline Rows trained(const Rows &rows, bool pairs = false) {
  Rows out;
  for (const Response &row : rows) {
    Response kept = row;
    std::erase_if(kept.tokens, [](const Token &t) { return t.masked; });
    if (!std::isnan(row.reward) && !kept.tokens.empty()) out.push_back(kept);
  }
  if (pairs)
    std::erase_if(out, [all = out](const Response &row) {
      return std::count_if(all.begin(), all.end(), [&](const Response &other) { return other.group == row.group; }) != 2;
    });
  return out;
}

struct Answer {
  double loss = 0;
  Column advantage, target, dlogp, dvalue, dentropy;  // of all tokens, in order
};

// A built objective, called as the ABI has it: columns that it did not ask for are null.
class Asked {
 public:
  Asked(const Host &host, const ComponentInfo &component, const json &settings = json::object())
      : name(component.name),
        instance(component, host.abi(), check_settings(component.settings, settings, name)),
        methods(known_methods<hone_objective>(instance.component())),
        needs(methods.needs(self())),
        source(methods.source(self())) {}
  Asked(const Host &host, const std::string &name, const json &settings = json::object())
      : Asked(host, built_component("stage", name), settings) {}

  // Advantages and targets, written into the rows as well: the loss's formula is then judged on the very floats that the plugin had.
  Answer advantages(Rows &rows) const {
    const Packed in(rows, needs, rows, false);
    Answer out;
    out.advantage.assign(tokens_of(rows), 0), out.target.assign(tokens_of(rows), 0);
    hone_advantages raw{sizeof raw, out.advantage.data(), needs & HONE_VALUE ? out.target.data() : nullptr};
    hone_error error{};
    if (methods.advantages) check_call(methods.advantages(self(), &in.batch, &raw, &error), error, name);
    size_t at = 0;
    for (Response &row : rows)
      for (Token &t : row.tokens) t.advantage = out.advantage[at], t.target = out.target[at++];
    return out;
  }
  // Of some rows of a step.
  Answer loss(const Rows &rows, const Rows &step) const {
    const Packed in(rows, needs, step, true);
    const size_t n = tokens_of(rows);
    Answer out;
    out.dlogp.assign(n, 0), out.dvalue.assign(n, 0), out.dentropy.assign(n, 0);
    hone_loss raw{};
    raw.struct_size = sizeof raw;
    raw.dlogp = out.dlogp.data();
    if (needs & HONE_VALUE) raw.dvalue = out.dvalue.data();
    if (needs & HONE_ENTROPY) raw.dentropy = out.dentropy.data();
    hone_error error{};
    check_call(methods.loss(self(), &in.batch, &raw, &error), error, name);
    out.loss = raw.loss;
    return out;
  }
  Answer loss(const Rows &rows) const { return loss(rows, rows); }

  void *self() const { return instance.self(); }

  const std::string name;
  const Instance instance;
  const hone_objective methods;
  const uint64_t needs;
  const uint32_t source;

 private:
  struct Packed {
    hone_batch batch{};
    std::vector<uint32_t> start{0}, group, version, position;
    Column reward, baseline, label, margin, token[13];
    std::vector<uint8_t> truncated, chosen;

    Packed(const Rows &rows, uint64_t needs, const Rows &step, bool with_advantages) {
      for (const Response &row : rows) {
        group.push_back(row.group), version.push_back(0), label.push_back(0), truncated.push_back(0), chosen.push_back(row.chosen);
        reward.push_back(float(row.reward)), baseline.push_back(float(row.baseline)), margin.push_back(float(row.margin));
        uint32_t place = 0;
        for (const Token &t : row.tokens) {
          position.push_back(place++);
          const double all[13] = {t.logp,      t.logp_const, t.logp_old,    t.logp_rollout, t.logp_ref,  t.logp_teacher, t.value,
                                  t.value_old, t.entropy,    t.step_reward, t.weight,       t.advantage, t.target};
          for (int i = 0; i < 13; ++i) token[i].push_back(float(all[i]));
        }
        start.push_back(uint32_t(position.size()));
      }
      const auto groups = [](const Rows &of) {
        uint32_t n = 0;
        for (size_t i = 0; i < of.size(); ++i) n += i == 0 || of[i].group != of[i - 1].group;
        return n;
      };
      batch.struct_size = sizeof batch;
      batch.n_rows = uint32_t(rows.size()), batch.n_tokens = start.back(), batch.n_groups = groups(rows);
      batch.all_rows = step.size(), batch.all_tokens = tokens_of(step), batch.all_groups = groups(step);
      for (const Response &row : step)
        for (const Token &t : row.tokens) batch.all_weight += t.weight;
      batch.row_start = start.data(), batch.group = group.data(), batch.policy_version = version.data();
      batch.reward = reward.data(), batch.reward_baseline = baseline.data(), batch.label = label.data(), batch.margin = margin.data();
      batch.truncated = truncated.data(), batch.chosen = chosen.data(), batch.position = position.data();
      const auto asked = [&](uint64_t column, int i) { return needs & column ? token[i].data() : nullptr; };
      batch.logp = token[0].data(), batch.logp_const = token[1].data(), batch.weight = token[10].data();
      batch.logp_old = asked(HONE_LOGP_OLD, 2), batch.logp_rollout = asked(HONE_LOGP_ROLLOUT, 3);
      batch.logp_ref = asked(HONE_LOGP_REF, 4), batch.logp_teacher = asked(HONE_LOGP_TEACHER, 5);
      batch.value = asked(HONE_VALUE, 6), batch.value_old = asked(HONE_VALUE, 7);
      batch.entropy = asked(HONE_ENTROPY, 8), batch.step_reward = asked(HONE_STEP_REWARD, 9);
      if (with_advantages) batch.advantage = token[11].data(), batch.target = asked(HONE_VALUE, 12);
    }
  };
};

using Formula = std::function<double(const Rows &)>;

struct Objectives : testing::Test {
  Pool pool{1};
  Host host{pool, 1};
  std::mt19937 random{20250122};

  double uniform(double a, double b) { return float(std::uniform_real_distribution<double>(a, b)(random)); }
  uint32_t whole(uint32_t a, uint32_t b) { return std::uniform_int_distribution<uint32_t>(a, b)(random); }
  bool one_in(uint32_t n) { return whole(1, n) == 1; }

  Token token() {
    Token t;
    t.logp_old = uniform(-3, -0.6);
    t.logp = float(t.logp_old + uniform(-0.5, 0.5));
    t.logp_const = float(t.logp + uniform(-0.3, 0.3));  // the host gives logp; a formula may read only one of them
    t.logp_rollout = float(t.logp_old + uniform(-0.4, 0.4));
    t.logp_ref = float(t.logp_old + uniform(-0.7, 0.7)), t.logp_teacher = float(t.logp_old + uniform(-0.7, 0.7));
    t.value = uniform(-1, 1), t.value_old = float(t.value + uniform(-0.4, 0.4));
    t.entropy = uniform(0, 3);
    t.step_reward = one_in(3) ? whole(0, 4) / 4.0 : none;
    t.weight = one_in(3) ? 1 : one_in(6) ? 0 : uniform(0.2, 2);
    t.masked = one_in(5);
    return t;
  }
  // Groups of 1 .. 5 rows (or pairs) of 1 .. 9 tokens; some groups of equal rewards, some rows unscored, some tokens masked, even
  // all of a row.
  Rows ragged(uint32_t groups, bool pairs = false) {
    Rows rows;
    for (uint32_t g = 0; g < groups; ++g) {
      const uint32_t n = pairs ? 2 : whole(1, 5);
      const bool equal = one_in(5), first = one_in(2);
      for (uint32_t i = 0; i < n; ++i) {
        Response row;
        row.group = 3 * g + 1;
        row.reward = one_in(10) ? none : equal ? 0.7f : whole(0, 4) / 4.0;
        row.baseline = uniform(0, 1), row.margin = uniform(0, 1);
        row.chosen = (i == 0) == first;
        row.tokens.resize(one_in(5) ? 1 : whole(1, 9));
        for (Token &t : row.tokens) t = token();
        rows.push_back(row);
      }
    }
    return rows;
  }
  // One setting of some, each as likely.
  json any_of(const json &choices) { return choices[whole(0, uint32_t(choices.size()) - 1)]; }
};

// The plugin's loss against the formula's, and its derivatives by a column against central differences of the formula and, more
// loosely since its columns are floats, of its own loss; logp_const stays. Where the one-sided differences disagree there is a
// corner, and any slope between them is right.
inline void expect_loss(const Asked &objective, Rows rows, const Formula &formula) {
  const Answer here = objective.loss(rows);
  const double loss = formula(rows);
  ASSERT_NEAR(here.loss, loss, 1e-12 + 1e-9 * std::fabs(loss));
  const Formula own = [&](const Rows &moved) { return objective.loss(moved).loss; };
  struct {
    double Token::*column;
    const Column *claimed;
    const char *name;
  } const columns[] = {
      {&Token::logp, &here.dlogp, "dlogp"}, {&Token::value, &here.dvalue, "dvalue"}, {&Token::entropy, &here.dentropy, "dentropy"}};
  for (const auto &[column, claimed, name] : columns) {
    double scale = 0;
    for (const float d : *claimed) scale = std::max(scale, std::fabs(double(d)));
    size_t at = 0, corners = 0;
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t i = 0; i < rows[r].tokens.size(); ++i, ++at) {
        double &x = rows[r].tokens[i].*column;
        const double is = (*claimed)[at], middle = x;
        const auto expect_between = [&](const Formula &of, double of_middle, double above, double below, double slack, const char *whose) {
          x = above;
          const double right = (of(rows) - of_middle) / (above - middle);
          x = below;
          const double left = (of_middle - of(rows)) / (middle - below);
          x = middle;
          corners += std::fabs(right - left) > slack;
          ASSERT_TRUE(is >= std::min(left, right) - slack && is <= std::max(left, right) + slack)
              << name << " is " << is << " at row " << r << ", token " << i << "; " << left << " and " << right << " are the slopes of "
              << whose;
        };
        expect_between(formula, loss, middle + 1e-6, middle - 1e-6, 1e-5 * std::fabs(is) + 1e-8, "the formula");
        expect_between(own, here.loss, float(middle + 0x1p-11), float(middle - 0x1p-11), 2e-3 * scale + 1e-8, "its own loss");
      }
    EXPECT_LE(corners, at / 4 + 4) << name << ": too many corners for differences to say much";
  }
}

// One number for each token of the rows, in order.
inline void expect_column(const Column &is, const std::vector<std::vector<double>> &expected, const char *name) {
  size_t at = 0;
  for (size_t r = 0; r < expected.size(); ++r)
    for (size_t i = 0; i < expected[r].size(); ++i, ++at)
      ASSERT_NEAR(is.at(at), expected[r][i], 2e-6 + 2e-6 * std::fabs(expected[r][i])) << name << " of row " << r << ", token " << i;
  ASSERT_EQ(at, is.size());
}

}  // namespace hone::judge
