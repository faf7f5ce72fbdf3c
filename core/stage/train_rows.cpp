// train_rows.cpp -- see train_rows.h.
#include "core/stage/train_rows.h"

#include <cmath>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/stage/data.h"

namespace hone {
namespace {

class Rows {
 public:
  Rows(const TableReader &table, const ModelTraining &training, uint64_t version, const std::string &where)
      : table_(table), training_(training), version_(version), where_(where), ids_(table.has("ids")) {
    if (table.rows() == 0) return;  // nothing to learn
    const auto need = [&](bool asked, const char *column, const char *why) {
      if (asked && !table.has(column)) throw Failure(where + ": the objective " + why + ", so rows need the column \"" + column + "\"");
    };
    need(training.source() == HONE_ON_POLICY, "group", "learns from the responses to one prompt together");
    need(training.source() == HONE_ON_POLICY, "reward", "learns from rewards");
    need(training.source() == HONE_PAIRS, "group", "learns from pairs");
    need(training.source() == HONE_PAIRS, "chosen", "learns from pairs");
    need(training.needs(HONE_BASELINE), "reward_baseline", "compares with a baseline");
    need(training.needs(HONE_LOGP_ROLLOUT), "logprobs", "reads what was recorded when rows were sampled");
    need(training.needs(HONE_LOGP_TEACHER), "teacher_logprobs", "compares with a teacher");
    need(training.needs(HONE_STEP_REWARD), "step_reward", "reads a reward for each token");
    for (const char *column : {"logprobs", "teacher_logprobs", "weight", "step_reward"})
      if (!ids_ && table.has(column)) throw Failure(where + ": \"" + column + "\" has a number for each token, so rows need the column \"ids\" too");
  }

  TrainRow row(uint64_t i) const {
    const std::string at = where_ + ": row " + std::to_string(i);
    TrainRow row = tokens(i, at);
    row.group = has("group") ? static_cast<uint32_t>(whole("group", i, 0, UINT32_MAX, at)) : static_cast<uint32_t>(i);
    row.reward = number("reward", i, at);
    row.reward_baseline = number("reward_baseline", i, at);
    if (std::isnan(row.reward_baseline)) row.reward = row.reward_baseline;  // nothing to compare its score with
    row.label = number("label", i, at);
    row.margin = number("margin", i, at);
    row.truncated = has("truncated") && whole("truncated", i, 0, 1, at) != 0;
    row.chosen = has("chosen") && whole("chosen", i, 0, 1, at) != 0;
    row.policy_version = static_cast<uint32_t>(version_);
    if (has("policy_version")) {
      row.policy_version = static_cast<uint32_t>(whole("policy_version", i, 0, UINT32_MAX, at));
      row.off_policy = row.policy_version != version_;
    }
    row.logp_rollout = list("logprobs", i, row, at);
    row.logp_teacher = list("teacher_logprobs", i, row, at);
    row.weight = list("weight", i, row, at);
    row.step_reward = list("step_reward", i, row, at);
    return row;
  }

 private:
  bool has(const char *column) const { return table_.has(column); }

  float number(const char *column, uint64_t i, const std::string &at) const {
    if (!has(column)) return 0;
    const auto value = static_cast<float>(table_.number(column, i));
    if (std::isinf(value)) throw Failure(at + ": \"" + column + "\" is " + number_text(table_.number(column, i)) + "; it must be a number that a float holds, or NaN");
    return value;
  }
  int64_t whole(const char *column, uint64_t i, int64_t least, int64_t most, const std::string &at) const {
    const int64_t value = table_.integer(column, i);
    if (value < least || value > most)
      throw Failure(at + ": \"" + column + "\" is " + std::to_string(value) + "; it must be " + std::to_string(least) + " to " +
                    std::to_string(most));
    return value;
  }
  std::vector<float> list(const char *column, uint64_t i, const TrainRow &row, const std::string &at) const {
    if (!has(column)) return {};
    std::vector<float> values = table_.float_list(column, i);
    if (values.size() != row.ids.size() - row.begin)
      throw Failure(at + ": \"" + column + "\" has " + std::to_string(values.size()) + " numbers for " +
                    std::to_string(row.ids.size() - row.begin) + " ids");
    return values;
  }

  TrainRow tokens(uint64_t i, const std::string &at) const {
    const Tokenizer &tokenizer = training_.tokenizer();
    TrainRow row;
    if (ids_) {
      row.ids = response_sequence(tokenizer, training_.weights(), table_.text("prompt", i), table_.int_list("ids", i), at, row.begin);
      row.response_begin = row.begin;
      return row;
    }
    DataRow data{nlohmann::json::object(), "", at};
    const bool text = has("text") && !has("response");
    for (const char *column : {"prompt", "response", "text"})
      if (text == (column[0] == 't')) data.columns[column] = table_.text(column, i);
    row = row_to_train(tokenizer, data, 0, training_.max_positions());
    const bool cut_off = has("truncated") && table_.integer("truncated", i) != 0;
    if (cut_off && row.ids.back() == tokenizer.eos() && row.ids.size() > row.response_begin + 1) row.ids.pop_back();
    return row;
  }

  const TableReader &table_;
  const ModelTraining &training_;
  uint64_t version_;
  const std::string &where_;
  bool ids_;
};

}  // namespace

std::vector<int32_t> response_sequence(const Tokenizer &tokenizer, const Weights &weights, const std::string &prompt,
                                       const std::vector<int32_t> &ids, const std::string &where, uint32_t &begin) {
  const hone_model_info &info = weights.architecture().info();
  std::vector<int32_t> sequence = prompt_ids(tokenizer, {{{"prompt", prompt}}, "", where}, info.max_positions);
  begin = static_cast<uint32_t>(sequence.size());
  for (int32_t id : ids) {
    if (id < 0 || static_cast<uint32_t>(id) >= info.vocab_size)
      throw Failure(where + ": " + std::to_string(id) + " is not a token id of the model (0 to " + std::to_string(info.vocab_size - 1) + ")");
    sequence.push_back(id);
  }
  if (sequence.size() > info.max_positions)
    throw Failure(where + ": has " + std::to_string(sequence.size()) + " tokens, more than the model's " + std::to_string(info.max_positions) + " positions");
  return sequence;
}

std::vector<TrainRow> train_rows(const TableReader &table, const ModelTraining &training, uint64_t version, const std::string &where) {
  const Rows rows(table, training, version, where);
  std::vector<TrainRow> out;
  for (uint64_t i = 0; i < table.rows(); ++i) out.push_back(rows.row(i));
  return out;
}

}  // namespace hone
