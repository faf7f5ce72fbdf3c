// objective_columns.h -- what an objective reads and writes for the rows of a step. Unscored rows and masked tokens are
// left out here, and their places get zeroes back.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/train/trainer.h"

namespace hone {

struct ObjectiveColumns {
  // Of the rows left in.
  std::vector<uint32_t> row_start{0}, group, policy_version;
  std::vector<float> reward, reward_baseline, label, margin;
  std::vector<uint8_t> truncated, chosen;
  std::vector<uint32_t> row;  // where each came from
  // Of the tokens left in. Columns that nobody filled are empty.
  std::vector<uint32_t> position;
  std::vector<float> logp, logp_old, logp_rollout, logp_ref, logp_teacher, value, value_old, entropy, kl, step_reward;
  std::vector<float> weight, advantage, target, dlogp, dvalue, dentropy, dkl;
  std::vector<uint32_t> token;  // where each came from: a place in its row's lists of values per token
  uint64_t groups = 0;
  double all_weight = 0;

  uint32_t rows() const { return static_cast<uint32_t>(row.size()); }
  uint32_t tokens() const { return static_cast<uint32_t>(token.size()); }
  std::string place(uint32_t token) const;  // "row 3, token 17 of its response"
};

// Rows without a score (reward NaN) or without an unmasked token are left out; with HONE_PAIRS their partners are too. labelled_steps:
// of HONE_ROWS, a token whose step_reward is NaN counts as masked.
// Failure when a list has the wrong length, a group's rows are not adjacent, or a pair is not one.
ObjectiveColumns columns_of(const std::vector<TrainRow> &rows, uint32_t source, bool labelled_steps = false);

// Rows [begin, end) as a step of their own: whole groups.
ObjectiveColumns part_of(const ObjectiveColumns &, uint32_t begin, uint32_t end);

// A component's functions with its instance. loss() is called by one thread at a time.
class ObjectiveCalls {
 public:
  ObjectiveCalls(const hone_objective &methods, void *self, std::string name);
  uint32_t source() const { return source_; }
  uint64_t needs() const { return needs_; }
  bool has_advantages() const { return methods_.advantages != nullptr; }

  // Fills advantage (and target). logp_known: whether the column logp holds numbers yet; else it is given as NaN.
  void advantages(ObjectiveColumns &, bool logp_known) const;
  // Of rows [begin, end) of the step: fills the d columns of their tokens and returns their share of the loss. Failure
  // when the loss or a derivative is not finite. Calls for other rows may overlap; the caller keeps calls one at a
  // time.
  double loss(ObjectiveColumns &, uint32_t begin, uint32_t end) const;
  void make_room(ObjectiveColumns &) const;  // for the d columns, zeroed

 private:
  hone_objective methods_;
  void *self_;
  std::string name_;
  uint32_t source_;
  uint64_t needs_;
};

// `hone objective NAME --input FILE [--set key=value]`: runs one objective on plain columns. FILE (or "-") is a JSON
// object: per row `group`, `reward` (null: no score), `reward_baseline`, `truncated`, `policy_version`, `label`; for
// pairs `pair`, `chosen`, `margin`; and lists of one number per token: `logp`, `logp_old`, `logp_ref`, `logp_rollout`,
// `logp_teacher`, `value`, `value_old`, `entropy`, `kl`, `step_reward` (null: no step ends here), `mask`, `weight`. Prints advantages, loss,
// dlogp and what else was asked for. Failure and UsageError as everywhere.
int objective_verb(const Registry &, const Host &, const std::string &name, const std::string &input,
                   const std::vector<std::string> &set, std::ostream &out);

}  // namespace hone
