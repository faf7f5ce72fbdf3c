// objective_columns.cpp -- packs rows for an objective, calls it, and checks what comes back.
#include "core/train/objective_columns.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "core/base/failure.h"
#include "core/base/text.h"

namespace hone {
namespace {

void check_length(const std::vector<float> &list, const char *name, size_t tokens, size_t row) {
  if (!list.empty() && list.size() != tokens)
    throw Failure("row " + std::to_string(row) + ": " + name + " has " + std::to_string(list.size()) + " values for " +
                  std::to_string(tokens) + " tokens");
}

void check_row(const TrainRow &row, size_t i) {
  const std::string where = "row " + std::to_string(i);
  if (row.ids.empty()) throw Failure(where + " has no tokens");
  if (row.begin == 0) throw Failure(where + " is trained from its first token, which nothing predicts; begin at 1");
  if (row.begin > row.ids.size())
    throw Failure(where + " is trained from token " + std::to_string(row.begin) + " but has " +
                  std::to_string(row.ids.size()));
  const size_t tokens = row.ids.size() - row.begin;
  check_length(row.weight, "weight", tokens, i);
  check_length(row.logp_rollout, "logp_rollout", tokens, i);
  check_length(row.logp_old, "logp_old", tokens, i);
  check_length(row.logp_ref, "logp_ref", tokens, i);
  check_length(row.logp_teacher, "logp_teacher", tokens, i);
  check_length(row.step_reward, "step_reward", tokens, i);
  if (!row.masked.empty() && row.masked.size() != tokens)
    throw Failure(where + ": the mask has " + std::to_string(row.masked.size()) + " values for " +
                  std::to_string(tokens) + " tokens");
  for (float weight : row.weight)
    if (!(weight >= 0) || std::isinf(weight))
      throw Failure(where + ": a token's weight is " + number_text(weight) + "; it must be 0 or more, and finite");
  if (std::isinf(row.reward)) throw Failure(where + ": its reward is infinite");
}

// Of rows of data with labels of steps, only the tokens that end one are learnt.
bool left_out(const TrainRow &row, size_t t, bool labelled_steps) {
  if (!row.masked.empty() && row.masked[t]) return true;
  return labelled_steps && !row.step_reward.empty() && std::isnan(row.step_reward[t]);
}

bool takes_part(const TrainRow &row, bool labelled_steps) {
  if (std::isnan(row.reward)) return false;
  for (size_t t = 0; t < row.ids.size() - row.begin; ++t)
    if (!left_out(row, t, labelled_steps)) return true;
  return false;
}

// Rows of data stand for themselves; responses and pairs belong together by their group.
bool grouped(uint32_t source) { return source == HONE_ON_POLICY || source == HONE_PAIRS; }

void check_groups(const std::vector<TrainRow> &rows, uint32_t source) {
  std::set<uint32_t> ended;
  for (size_t i = 0, end; i < rows.size(); i = end) {
    for (end = i + 1; end < rows.size() && rows[end].group == rows[i].group;) ++end;
    if (!ended.insert(rows[i].group).second)
      throw Failure("row " + std::to_string(i) + ": group " + std::to_string(rows[i].group) +
                    " began earlier and was interrupted; rows of one group must be adjacent");
    if (source == HONE_PAIRS && (end - i != 2 || rows[i].chosen == rows[i + 1].chosen))
      throw Failure("pair " + std::to_string(rows[i].group) + " (from row " + std::to_string(i) + ") has " +
                    std::to_string(end - i) + " rows; it needs one chosen and one rejected");
  }
}

// The list at the tokens left in; empty when any row that takes part has none.
std::vector<float> gather(const ObjectiveColumns &columns, const std::vector<TrainRow> &rows,
                          const std::vector<float> TrainRow::*list) {
  std::vector<float> out;
  for (uint32_t r = 0; r < columns.rows(); ++r) {
    const std::vector<float> &from = rows[columns.row[r]].*list;
    if (from.empty()) return {};
    for (uint32_t t = columns.row_start[r]; t < columns.row_start[r + 1]; ++t) out.push_back(from[columns.token[t]]);
  }
  return out;
}

// A column that was asked for; an objective must never meet a null there.
const float *wanted(const std::vector<float> &column, uint64_t asked, uint32_t from, const char *name) {
  if (!asked) return nullptr;
  if (column.empty()) throw Failure(std::string("the objective reads ") + name + ", which not every row has");
  return column.data() + from;
}
const float *written(const std::vector<float> &column, uint32_t from) {
  return column.empty() ? nullptr : column.data() + from;
}

}  // namespace

std::string ObjectiveColumns::place(uint32_t t) const {
  const uint32_t r =
      static_cast<uint32_t>(std::upper_bound(row_start.begin(), row_start.end(), t) - row_start.begin()) - 1;
  return "row " + std::to_string(row[r]) + ", token " + std::to_string(token[t]);
}

ObjectiveColumns columns_of(const std::vector<TrainRow> &rows, uint32_t source, bool labelled_steps) {
  labelled_steps = labelled_steps && source == HONE_ROWS;
  for (size_t i = 0; i < rows.size(); ++i) check_row(rows[i], i);
  if (grouped(source)) check_groups(rows, source);

  ObjectiveColumns columns;
  for (size_t i = 0; i < rows.size(); ++i) {
    const TrainRow &row = rows[i];
    if (!takes_part(row, labelled_steps)) continue;
    if (source == HONE_PAIRS) {
      const bool second = i > 0 && rows[i - 1].group == row.group;
      if (!takes_part(rows[second ? i - 1 : i + 1], labelled_steps)) continue;
    }
    const uint32_t group = grouped(source) ? row.group : static_cast<uint32_t>(i);
    if (columns.group.empty() || columns.group.back() != group) ++columns.groups;
    columns.row.push_back(static_cast<uint32_t>(i));
    columns.group.push_back(group);
    columns.policy_version.push_back(row.policy_version);
    columns.reward.push_back(row.reward);
    columns.reward_baseline.push_back(row.reward_baseline);
    columns.label.push_back(row.label);
    columns.margin.push_back(row.margin);
    columns.truncated.push_back(row.truncated);
    columns.chosen.push_back(row.chosen);
    for (uint32_t t = 0; t < row.ids.size() - row.begin; ++t) {
      if (left_out(row, t, labelled_steps)) continue;
      const uint32_t at = row.begin + t;
      columns.token.push_back(t);
      columns.position.push_back(at > row.response_begin ? at - row.response_begin : 0);
      columns.weight.push_back(row.weight.empty() ? 1.0f : row.weight[t]);
      columns.all_weight += columns.weight.back();
    }
    columns.row_start.push_back(columns.tokens());
  }
  columns.logp_rollout = gather(columns, rows, &TrainRow::logp_rollout);
  columns.logp_old = gather(columns, rows, &TrainRow::logp_old);
  columns.logp_ref = gather(columns, rows, &TrainRow::logp_ref);
  columns.logp_teacher = gather(columns, rows, &TrainRow::logp_teacher);
  columns.step_reward = gather(columns, rows, &TrainRow::step_reward);
  columns.logp.assign(columns.tokens(), 0.0f);
  return columns;
}

ObjectiveColumns part_of(const ObjectiveColumns &whole, uint32_t begin, uint32_t end) {
  ObjectiveColumns part;
  const uint32_t from = whole.row_start[begin], to = whole.row_start[end];
  const auto rows = [&]<class T>(std::vector<T> ObjectiveColumns::*list) {
    (part.*list).assign((whole.*list).begin() + begin, (whole.*list).begin() + end);
  };
  const auto tokens = [&]<class T>(std::vector<T> ObjectiveColumns::*list) {
    if (!(whole.*list).empty()) (part.*list).assign((whole.*list).begin() + from, (whole.*list).begin() + to);
  };
  using C = ObjectiveColumns;
  for (auto list : {&C::group, &C::policy_version, &C::row}) rows(list);
  for (auto list : {&C::reward, &C::reward_baseline, &C::label, &C::margin}) rows(list);
  for (auto list : {&C::truncated, &C::chosen}) rows(list);
  for (auto list : {&C::position, &C::token}) tokens(list);
  for (auto list : {&C::logp, &C::logp_old, &C::logp_rollout, &C::logp_ref, &C::logp_teacher, &C::value, &C::value_old, &C::entropy, &C::kl,
                    &C::step_reward, &C::weight, &C::advantage, &C::target})
    tokens(list);
  for (uint32_t r = begin; r < end; ++r) {
    part.row_start.push_back(whole.row_start[r + 1] - from);
    part.groups += r == begin || whole.group[r] != whole.group[r - 1];
  }
  for (const float weight : part.weight) part.all_weight += weight;
  return part;
}

namespace {

// Rows [begin, end) as the ABI has them. Holds what the struct points to.
struct BatchView {
  hone_batch batch{};
  std::vector<uint32_t> row_start;

  BatchView(const ObjectiveColumns &c, uint64_t needs, uint32_t begin, uint32_t end) {
    const uint32_t from = c.row_start[begin], to = c.row_start[end];
    for (uint32_t r = begin; r <= end; ++r) row_start.push_back(c.row_start[r] - from);
    batch.struct_size = sizeof batch;
    batch.n_rows = end - begin;
    batch.n_tokens = to - from;
    for (uint32_t r = begin; r < end; ++r) batch.n_groups += r == begin || c.group[r] != c.group[r - 1];
    batch.all_rows = c.rows(), batch.all_tokens = c.tokens(), batch.all_groups = c.groups;
    batch.all_weight = c.all_weight;
    batch.row_start = row_start.data();
    batch.group = c.group.data() + begin, batch.policy_version = c.policy_version.data() + begin;
    batch.reward = c.reward.data() + begin, batch.reward_baseline = c.reward_baseline.data() + begin;
    batch.label = c.label.data() + begin, batch.margin = c.margin.data() + begin;
    batch.truncated = c.truncated.data() + begin, batch.chosen = c.chosen.data() + begin;
    batch.position = c.position.data() + from;
    batch.logp = batch.logp_const = c.logp.data() + from;
    batch.weight = c.weight.data() + from;
    batch.logp_old = wanted(c.logp_old, needs & HONE_LOGP_OLD, from, "logp_old");
    batch.logp_rollout = wanted(c.logp_rollout, needs & HONE_LOGP_ROLLOUT, from, "logp_rollout");
    batch.logp_ref = wanted(c.logp_ref, needs & HONE_LOGP_REF, from, "logp_ref");
    batch.logp_teacher = wanted(c.logp_teacher, needs & HONE_LOGP_TEACHER, from, "logp_teacher");
    batch.value = wanted(c.value, needs & HONE_VALUE, from, "value");
    batch.value_old = wanted(c.value_old, needs & HONE_VALUE, from, "value_old");
    batch.entropy = wanted(c.entropy, needs & HONE_ENTROPY, from, "entropy");
    batch.kl = wanted(c.kl, needs & HONE_KL, from, "kl");
    batch.step_reward = wanted(c.step_reward, needs & HONE_STEP_REWARD, from, "step_reward");
    batch.advantage = written(c.advantage, from);
    batch.target = written(c.target, from);
  }
};

void check_finite(const ObjectiveColumns &c, const std::vector<float> &values, uint32_t begin, uint32_t end,
                  const std::string &what) {
  if (values.empty()) return;
  for (uint32_t t = c.row_start[begin]; t < c.row_start[end]; ++t)
    if (!std::isfinite(values[t])) throw Failure(what + " of " + c.place(t) + " is " + number_text(values[t]));
}

}  // namespace

ObjectiveCalls::ObjectiveCalls(const hone_objective &methods, void *self, std::string name)
    : methods_(methods),
      self_(self),
      name_(std::move(name)),
      source_(methods.source(self)),
      needs_(methods.needs(self)) {
  if (source_ < HONE_ON_POLICY || source_ > HONE_TEACHER)
    throw Failure(name_ + " says that its batches come from source " + std::to_string(source_) +
                  ", which this host does not know; a newer hone may");
  constexpr uint64_t known = (uint64_t{HONE_BASELINE} << 1) - 1;
  if (needs_ & ~known) throw Failure(name_ + " asks for columns that this host does not know; a newer hone may");
}

void ObjectiveCalls::make_room(ObjectiveColumns &c) const {
  c.dlogp.assign(c.tokens(), 0.0f);
  if (needs_ & HONE_VALUE) c.dvalue.assign(c.tokens(), 0.0f);
  if (needs_ & HONE_ENTROPY) c.dentropy.assign(c.tokens(), 0.0f);
  if (needs_ & HONE_KL) c.dkl.assign(c.tokens(), 0.0f);
}

void ObjectiveCalls::advantages(ObjectiveColumns &c, bool logp_known) const {
  c.advantage.clear(), c.target.clear();
  std::vector<float> advantage(c.tokens(), 0.0f), target(needs_ & HONE_VALUE ? c.tokens() : 0, 0.0f);
  if (methods_.advantages) {
    BatchView view(c, needs_, 0, c.rows());
    std::vector<float> unknown;
    if (!logp_known) {
      unknown.assign(c.tokens(), std::numeric_limits<float>::quiet_NaN());
      view.batch.logp = view.batch.logp_const = unknown.data();
    }
    hone_advantages out{sizeof out, advantage.data(), target.empty() ? nullptr : target.data()};
    hone_error error{};
    check_call(methods_.advantages(self_, &view.batch, &out, &error), error, name_);
  }
  c.advantage = std::move(advantage), c.target = std::move(target);
  check_finite(c, c.advantage, 0, c.rows(), name_ + ": the advantage");
  check_finite(c, c.target, 0, c.rows(), name_ + ": the target");
}

double ObjectiveCalls::loss(ObjectiveColumns &c, uint32_t begin, uint32_t end) const {
  const BatchView view(c, needs_, begin, end);
  const uint32_t from = c.row_start[begin];
  const auto out_of = [from](std::vector<float> &column) { return column.empty() ? nullptr : column.data() + from; };
  hone_loss out{sizeof out, 0, out_of(c.dlogp), out_of(c.dvalue), out_of(c.dentropy), out_of(c.dkl)};
  for (float *column : {out.dlogp, out.dvalue, out.dentropy, out.dkl})
    if (column) std::fill_n(column, view.batch.n_tokens, 0.0f);
  hone_error error{};
  check_call(methods_.loss(self_, &view.batch, &out, &error), error, name_);
  if (!std::isfinite(out.loss))
    throw Failure(name_ + ": the loss of the rows from row " + std::to_string(c.row[begin]) + " on is " +
                  number_text(out.loss));
  check_finite(c, c.dlogp, begin, end, name_ + ": the derivative by the log-probability");
  check_finite(c, c.dvalue, begin, end, name_ + ": the derivative by the value");
  check_finite(c, c.dentropy, begin, end, name_ + ": the derivative by the entropy");
  check_finite(c, c.dkl, begin, end, name_ + ": the derivative by the KL");
  return out.loss;
}

}  // namespace hone
