// check_objective.cpp -- an objective's derivatives against finite differences, and its edges: nothing, one row, one token.
//
// d loss / d logp is asked of loss() with logp moved by h and logp_const kept: (L(x + h) - L(x - h)) / 2h. Where the two
// one-sided differences disagree there is a kink (a clip), and any slope between them is right.
#include <cmath>
#include <numeric>

#include "core/plugin/check_parts.h"
#include "hone/ext/objective.h"

namespace hone {
namespace {

// Columns as vectors; a hone_batch is a view of them.
struct Columns {
  std::vector<uint32_t> row_start{0}, group, version, position;
  std::vector<float> reward, baseline, label, margin;
  std::vector<uint8_t> truncated, chosen;
  std::vector<float> logp, logp_const, logp_old, logp_rollout, logp_ref, logp_teacher, value, value_old, entropy, kl, step_reward, weight;
  std::vector<float> advantage, target;
  uint64_t all_rows = 0, all_tokens = 0, all_groups = 0;
  double all_weight = 0;

  uint32_t rows() const { return static_cast<uint32_t>(group.size()); }
  uint32_t tokens() const { return row_start.back(); }
  uint32_t groups() const {
    uint32_t n = 0;
    for (size_t i = 0; i < group.size(); ++i) n += i == 0 || group[i] != group[i - 1];
    return n;
  }

  // A number in [-1, 1) that depends on where it stands.
  static float noise(uint64_t i) {
    i = (i + 1) * 0x9E3779B97F4A7C15u;
    i ^= i >> 29;
    i *= 0xBF58476D1CE4E5B9u;
    return static_cast<float>(static_cast<int32_t>(i >> 32)) * 0x1p-31f;
  }
  void add_row(uint32_t its_group, uint32_t length, float its_reward, bool its_chosen) {
    group.push_back(its_group);
    version.push_back(1);
    reward.push_back(its_reward);
    baseline.push_back(0.25f);
    label.push_back(its_reward > 0.5f ? 1.0f : 0.0f);
    margin.push_back(0.125f);
    truncated.push_back(0);
    chosen.push_back(its_chosen);
    for (uint32_t t = 0; t < length; ++t) {
      const uint64_t at = tokens() * 16 + t * 16;
      const float p = -1.5f + noise(at);
      position.push_back(t);
      logp.push_back(p);
      logp_const.push_back(p);
      logp_old.push_back(p + 0.15f * noise(at + 1));
      logp_rollout.push_back(logp_old.back());
      logp_ref.push_back(p + 0.4f * noise(at + 2));
      logp_teacher.push_back(p + 0.4f * noise(at + 3));
      value.push_back(0.8f * noise(at + 4));
      value_old.push_back(value.back() + 0.1f * noise(at + 5));
      entropy.push_back(1 + 0.5f * noise(at + 6));
      kl.push_back(0.1f + 0.05f * noise(at + 7));
      step_reward.push_back(0.5f + 0.5f * noise(at + 8));
      weight.push_back(1);
    }
    row_start.push_back(static_cast<uint32_t>(logp.size()));
  }
  void count_all() {
    all_rows = rows(), all_tokens = tokens(), all_groups = groups();
    all_weight = std::accumulate(weight.begin(), weight.end(), 0.0);
    advantage.assign(tokens(), 0);
    target.assign(tokens(), 0);
  }

  hone_batch view(uint64_t needs, bool with_advantages) const {
    hone_batch b{};
    b.struct_size = sizeof b;
    b.n_rows = rows(), b.n_tokens = tokens(), b.n_groups = groups();
    b.all_rows = all_rows, b.all_tokens = all_tokens, b.all_groups = all_groups, b.all_weight = all_weight;
    b.row_start = row_start.data(), b.group = group.data(), b.policy_version = version.data();
    b.reward = reward.data(), b.reward_baseline = baseline.data(), b.label = label.data(), b.margin = margin.data();
    b.truncated = truncated.data(), b.chosen = chosen.data();
    b.position = position.data(), b.logp = logp.data(), b.logp_const = logp_const.data(), b.weight = weight.data();
    const auto asked = [&](uint64_t column, const std::vector<float> &values) { return needs & column ? values.data() : nullptr; };
    b.logp_old = asked(HONE_LOGP_OLD, logp_old), b.logp_rollout = asked(HONE_LOGP_ROLLOUT, logp_rollout);
    b.logp_ref = asked(HONE_LOGP_REF, logp_ref), b.logp_teacher = asked(HONE_LOGP_TEACHER, logp_teacher);
    b.value = asked(HONE_VALUE, value), b.value_old = asked(HONE_VALUE, value_old);
    b.entropy = asked(HONE_ENTROPY, entropy), b.kl = asked(HONE_KL, kl), b.step_reward = asked(HONE_STEP_REWARD, step_reward);
    if (with_advantages) b.advantage = advantage.data(), b.target = needs & HONE_VALUE ? target.data() : nullptr;
    return b;
  }

  // Groups [first, last), with the counts and the advantages of the whole step.
  Columns part(uint32_t first, uint32_t last) const {
    Columns out;
    std::vector<float> its_advantage, its_target;
    const auto cut = [&](std::vector<float> &to, const std::vector<float> &from, size_t row) {
      to.insert(to.end(), from.begin() + row_start[row], from.begin() + row_start[row + 1]);
    };
    uint32_t g = 0;
    for (size_t r = 0; r < group.size(); ++r) {
      if (r > 0 && group[r] != group[r - 1]) ++g;
      if (g < first || g >= last) continue;
      out.group.push_back(group[r]), out.version.push_back(version[r]), out.reward.push_back(reward[r]);
      out.baseline.push_back(baseline[r]), out.label.push_back(label[r]), out.margin.push_back(margin[r]);
      out.truncated.push_back(truncated[r]), out.chosen.push_back(chosen[r]);
      out.position.insert(out.position.end(), position.begin() + row_start[r], position.begin() + row_start[r + 1]);
      cut(out.logp, logp, r), cut(out.logp_const, logp_const, r), cut(out.logp_old, logp_old, r), cut(out.logp_rollout, logp_rollout, r);
      cut(out.logp_ref, logp_ref, r), cut(out.logp_teacher, logp_teacher, r), cut(out.value, value, r), cut(out.value_old, value_old, r);
      cut(out.entropy, entropy, r), cut(out.kl, kl, r), cut(out.step_reward, step_reward, r), cut(out.weight, weight, r);
      cut(its_advantage, advantage, r), cut(its_target, target, r);
      out.row_start.push_back(static_cast<uint32_t>(out.logp.size()));
    }
    out.all_rows = all_rows, out.all_tokens = all_tokens, out.all_groups = all_groups, out.all_weight = all_weight;
    out.advantage = its_advantage, out.target = its_target;
    return out;
  }
};

struct Losses {
  bool ok = false;
  double loss = 0;
  std::vector<float> dlogp, dvalue, dentropy, dkl;
};

class ObjectiveCheck {
 public:
  ObjectiveCheck(const Instance &instance, Findings &found)
      : methods_(known_methods<hone_objective>(instance.component())), self_(instance.self()), found_(found) {}

  void run() {
    found_.doing("asking for its source and its columns");
    source_ = methods_.source(self_);
    needs_ = methods_.needs(self_);
    if (source_ < HONE_ON_POLICY || source_ > HONE_TEACHER) return found_.problem("source() answers " + std::to_string(source_) + ", which is none");

    found_.doing("a batch without rows");
    Columns empty;
    empty.all_rows = 10, empty.all_tokens = 100, empty.all_groups = 5, empty.all_weight = 100;
    advantages(empty);
    if (const Losses none = loss(empty, true); none.ok && none.loss != 0) found_.problem("the loss of no rows is not 0");

    const bool pairs = source_ == HONE_PAIRS, on_policy = source_ == HONE_ON_POLICY;
    struct Shape {
      const char *name;
      std::vector<uint32_t> groups, lengths;
      bool equal;
    };
    const std::vector<Shape> shapes = {{"one row of one token", {pairs ? 2u : 1u}, {1}, false},
                                       {"one group", {pairs ? 2u : on_policy ? 4u : 1u}, {5, 1, 3}, false},
                                       {"a group of equal rewards", {pairs ? 2u : on_policy ? 3u : 1u}, {2, 4}, true},
                                       {"several groups", pairs       ? std::vector<uint32_t>{2, 2, 2}
                                                          : on_policy ? std::vector<uint32_t>{4, 1, 3}
                                                                      : std::vector<uint32_t>{1, 1, 1, 1},
                                        {3, 7, 1, 4}, false}};
    for (const Shape &shape : shapes) {
      Columns c;
      uint32_t row = 0;
      for (uint32_t g = 0; g < shape.groups.size(); ++g)
        for (uint32_t i = 0; i < shape.groups[g]; ++i, ++row)
          c.add_row(g, shape.lengths[row % shape.lengths.size()], shape.equal ? 0.7f : Columns::noise(row + 77) > 0 ? 1.0f : 0.0f, i % 2 == 0);
      c.count_all();
      try_batch(c, shape.name);
    }
  }

 private:
  void failed(const char *call, int32_t code, const hone_error &error, const std::string &of) {
    const std::string wrong = wrong_with_error(code, error);
    found_.problem(std::string(call) + "() fails for " + of + (wrong.empty() ? ": " + std::string(error.text) : ", and " + wrong));
  }

  bool advantages(Columns &c) {
    if (!methods_.advantages) return true;
    Guarded<float> advantage(c.tokens()), target(c.tokens());
    hone_advantages out{sizeof out, advantage.data(), needs_ & HONE_VALUE ? target.data() : nullptr};
    const hone_batch in = c.view(needs_, false);
    hone_error error{};
    const int32_t code = methods_.advantages(self_, &in, &out, &error);
    if (!advantage.intact() || !target.intact()) found_.problem("advantages() writes past its buffers");
    if (code != HONE_OK) return failed("advantages", code, error, std::to_string(c.rows()) + " rows"), false;
    c.advantage.assign(advantage.begin(), advantage.begin() + c.tokens());
    c.target.assign(target.begin(), target.begin() + c.tokens());
    for (const float a : c.advantage)
      if (!std::isfinite(a)) return found_.problem("advantages() gives a number that is not finite"), false;
    return true;
  }

  Losses loss(const Columns &c, bool tell) {
    const size_t n = c.tokens();
    Guarded<float> dlogp(n), dvalue(n), dentropy(n), dkl(n);
    hone_loss out{};
    out.struct_size = sizeof out;
    out.dlogp = dlogp.data();
    if (needs_ & HONE_VALUE) out.dvalue = dvalue.data();
    if (needs_ & HONE_ENTROPY) out.dentropy = dentropy.data();
    if (needs_ & HONE_KL) out.dkl = dkl.data();
    const hone_batch in = c.view(needs_, true);
    hone_error error{};
    const int32_t code = methods_.loss(self_, &in, &out, &error);
    Losses result;
    if (tell && !(dlogp.intact() && dvalue.intact() && dentropy.intact() && dkl.intact())) found_.problem("loss() writes past its buffers");
    if (code != HONE_OK) {
      if (tell) failed("loss", code, error, std::to_string(c.rows()) + " rows");
      return result;
    }
    result.loss = out.loss;
    const auto copy = [n](Guarded<float> &from) { return std::vector<float>(from.begin(), from.begin() + n); };
    result.dlogp = copy(dlogp), result.dvalue = copy(dvalue), result.dentropy = copy(dentropy), result.dkl = copy(dkl);
    result.ok = std::isfinite(result.loss);
    for (const auto *list : {&result.dlogp, &result.dvalue, &result.dentropy, &result.dkl})
      for (const float d : *list) result.ok = result.ok && std::isfinite(d);
    if (tell && !result.ok) found_.problem("loss() gives a loss or a derivative that is not finite");
    return result;
  }

  void try_batch(Columns &c, const std::string &name) {
    found_.doing("advantages of " + name);
    if (!advantages(c)) return;
    found_.doing("the loss of " + name);
    const Losses whole = loss(c, true);
    if (!whole.ok) return;
    if (const Losses again = loss(c, true); again.loss != whole.loss || again.dlogp != whole.dlogp) found_.problem("loss() gives another result the second time");
    found_.doing("finite differences over " + name);
    differences(c, c.logp, whole.dlogp, "dlogp", name);
    if (needs_ & HONE_VALUE) differences(c, c.value, whole.dvalue, "dvalue", name);
    if (needs_ & HONE_ENTROPY) differences(c, c.entropy, whole.dentropy, "dentropy", name);
    if (needs_ & HONE_KL) differences(c, c.kl, whole.dkl, "dkl", name);
    if (c.groups() > 1) {
      found_.doing("micro-batches of " + name);
      double sum = 0;
      std::vector<float> dlogp, dvalue;
      for (uint32_t g = 0; g < c.groups(); ++g) {
        const Losses part = loss(c.part(g, g + 1), true);
        if (!part.ok) return;
        sum += part.loss;
        dlogp.insert(dlogp.end(), part.dlogp.begin(), part.dlogp.end());
        dvalue.insert(dvalue.end(), part.dvalue.begin(), part.dvalue.end());
      }
      bool same = std::fabs(sum - whole.loss) <= 1e-6 * (1 + std::fabs(whole.loss));
      for (size_t t = 0; t < dlogp.size(); ++t)
        same = same && std::fabs(dlogp[t] - whole.dlogp[t]) <= 1e-6 && std::fabs(dvalue[t] - whole.dvalue[t]) <= 1e-6;
      if (!same)
        found_.problem("the losses of micro-batches do not add up to the loss of the whole step; average over all_rows, all_tokens, all_groups or all_weight");
    }
  }

  void differences(Columns &c, std::vector<float> &column, const std::vector<float> &slope, const char *what, const std::string &name) {
    const double here = loss(c, false).loss;
    double scale = 0;
    for (const float s : slope) scale = std::max(scale, std::fabs(static_cast<double>(s)));
    for (size_t t = 0; t < column.size(); ++t) {
      const float x = column[t];
      column[t] = x + 0x1p-9f;
      const Losses up = loss(c, false);
      const double h_up = static_cast<double>(column[t]) - x;
      column[t] = x - 0x1p-9f;
      const Losses down = loss(c, false);
      const double h_down = x - static_cast<double>(column[t]);
      column[t] = x;
      if (!up.ok || !down.ok) continue;
      const double right = (up.loss - here) / h_up, left = (here - down.loss) / h_down;
      const double low = std::min(left, right), high = std::max(left, right);
      // Half of the curvature between the one-sided slopes, and what rounding of inputs and of the loss leaves.
      const double slack = 2e-3 * (scale + std::max(std::fabs(low), std::fabs(high))) + 1e-7;
      if (slope[t] < low - slack || slope[t] > high + slack) {
        char text[200];
        std::snprintf(text, sizeof text, "%s is %.6g at token %zu of %s, where finite differences give %.6g", what, static_cast<double>(slope[t]), t,
                      name.c_str(), (left + right) / 2);
        return found_.problem(text);
      }
    }
  }

  const hone_objective methods_;
  void *const self_;
  Findings &found_;
  uint32_t source_ = 0;
  uint64_t needs_ = 0;
};

}  // namespace

void check_objective(const Instance &instance, Findings &found) { ObjectiveCheck(instance, found).run(); }

}  // namespace hone
