// step_rows.cpp -- see step_rows.h.
#include "core/stage/step_rows.h"

#include <cmath>
#include <limits>

#include "core/base/failure.h"
#include "core/text/rows.h"

namespace hone {
using nlohmann::json;

namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

[[noreturn]] void refuse(const DataRow &row, const std::string &what) { throw Failure(row.where + ": " + what); }

const json &member(const DataRow &row, const json &object, const char *name, const std::string &path) {
  static const json none;
  if (!object.is_object()) refuse(row, path + " is " + object.dump() + ", not a table with named columns");
  const auto found = object.find(name);
  return found == object.end() ? none : *found;
}

float label_of(const DataRow &row, const json &value, size_t step) {
  if (value.is_null()) return kNone;
  if (value.is_boolean()) return value.get<bool>() ? 1.0f : 0.0f;
  if (!value.is_number() || !(value.get<double>() >= 0 && value.get<double>() <= 1))
    refuse(row, "labels: that of step " + std::to_string(step + 1) + " is " + value.dump() +
                    "; it must be a number from 0 (wrong) to 1 (right)");
  return value.get<float>();
}

LabelledSteps of_columns(const DataRow &row) {
  const json &steps = row.columns.at("steps"), &labels = member(row, row.columns, "labels", "the row");
  if (!steps.is_array() || steps.empty()) refuse(row, "steps is " + steps.dump() + "; it must be a list of texts, one at least");
  if (labels.is_null()) refuse(row, "has steps but no labels; give a number from 0 to 1 for each step");
  if (!labels.is_array() || labels.size() != steps.size())
    refuse(row, "labels has " + (labels.is_array() ? std::to_string(labels.size()) + " numbers" : "no list of numbers") + " for " +
                    std::to_string(steps.size()) + " steps; give one for each");
  LabelledSteps out;
  for (size_t j = 0; j < steps.size(); ++j) {
    if (!steps[j].is_string()) refuse(row, "steps: step " + std::to_string(j + 1) + " is " + steps[j].dump() + ", not a text");
    out.text.push_back(steps[j]);
    out.label.push_back(label_of(row, labels[j], j));
  }
  return out;
}

float label_of_rating(const DataRow &row, const json &rating, const std::string &neutral, const std::string &path) {
  if (rating.is_null()) return kNone;
  if (rating == 1) return 1;
  if (rating == -1) return 0;
  if (rating != 0) refuse(row, path + ".rating is " + rating.dump() + "; it must be -1, 0 or 1");
  return neutral == "right" ? 1 : neutral == "wrong" ? 0 : kNone;
}

LabelledSteps of_prm800k(const DataRow &row, const std::string &neutral) {
  LabelledSteps out;
  const json &problem = member(row, member(row, row.columns, "question", "the row"), "problem", "question");
  if (!problem.is_string()) refuse(row, "question.problem is " + problem.dump() + ", not a text");
  out.prompt = problem;
  const json &steps = member(row, row.columns.at("label"), "steps", "label");
  if (!steps.is_array()) refuse(row, "label.steps is " + steps.dump() + ", not a list");
  for (size_t j = 0; j < steps.size(); ++j) {
    const std::string path = "label.steps[" + std::to_string(j) + "]";
    const json &completions = member(row, steps[j], "completions", path), &chosen = member(row, steps[j], "chosen_completion", path);
    const json &human = member(row, steps[j], "human_completion", path);
    const bool by_person = chosen.is_null() && !human.is_null();
    const size_t place = chosen.is_number_unsigned() ? chosen.get<size_t>() : 0;
    if (!by_person && chosen.is_null() && (!completions.is_array() || completions.empty())) break;
    if (!by_person && (!completions.is_array() || place >= completions.size() || !(chosen.is_null() || chosen.is_number_unsigned())))
      refuse(row, path + ".chosen_completion is " + chosen.dump() + ", but there are " +
                      std::to_string(completions.is_array() ? completions.size() : 0) + " completions");
    const json &taken = by_person ? human : completions[place];
    const std::string at = path + (by_person ? ".human_completion" : ".completions[" + std::to_string(place) + "]");
    const json &text = member(row, taken, "text", at);
    if (!text.is_string()) refuse(row, at + ".text is " + text.dump() + ", not a text");
    if (!out.text.empty() && !out.text.back().ends_with('\n')) out.text.back() += '\n';
    out.text.push_back(text);
    out.label.push_back(by_person ? 1.0f : label_of_rating(row, member(row, taken, "rating", at), neutral, at));
    if (chosen.is_null() && !by_person) break;
  }
  if (out.text.empty()) refuse(row, "label.steps has no step with a completion");
  return out;
}

}  // namespace

LabelledSteps labelled_steps(const DataRow &row, const std::string &neutral) {
  if (!row.columns.is_object()) refuse(row, "is not a table with named columns");
  if (row.columns.contains("steps")) return of_columns(row);
  if (row.columns.contains("label") && row.columns["label"].is_object()) return of_prm800k(row, neutral);
  std::string names;
  for (const auto &[name, value] : row.columns.items()) names += (names.empty() ? "" : ", ") + name;
  refuse(row, "has no steps; give {prompt, steps = {...}, labels = {...}}, or PRM800K's {question, label} (it has " +
                  (names.empty() ? "no columns" : names) + ")");
}

StepTokens step_tokens(const Tokenizer &tokenizer, const DataRow &prompt, std::span<const std::string> steps, uint32_t max_positions) {
  StepTokens out;
  out.ids = prompt_ids(tokenizer, prompt, max_positions);
  out.begin = static_cast<uint32_t>(out.ids.size());
  for (size_t j = 0; j < steps.size(); ++j) {
    for (const int32_t id : encode_of_row(tokenizer, steps[j], prompt.where + ": step " + std::to_string(j + 1))) out.ids.push_back(id);
    out.end.push_back(static_cast<uint32_t>(out.ids.size()));
  }
  if (out.ids.size() > max_positions)
    refuse(prompt, "has " + std::to_string(out.ids.size()) + " tokens with its steps, more than the model's " +
                       std::to_string(max_positions) + " positions");
  return out;
}

TrainRow steps_to_train(const Tokenizer &tokenizer, const DataRow &row, const std::string &neutral, uint32_t max_positions) {
  const LabelledSteps steps = labelled_steps(row, neutral);
  const bool own = row.columns.contains("steps");
  const StepTokens tokens =
      step_tokens(tokenizer, own ? row : DataRow{{{"prompt", steps.prompt}}, "", row.where}, steps.text, max_positions);
  TrainRow out;
  out.ids = tokens.ids;
  out.begin = out.response_begin = tokens.begin;
  out.step_reward.assign(tokens.ids.size() - tokens.begin, kNone);
  for (size_t j = 0; j < tokens.end.size(); ++j) {
    if (tokens.end[j] == (j > 0 ? tokens.end[j - 1] : tokens.begin)) refuse(row, "steps: step " + std::to_string(j + 1) + " has no token");
    out.step_reward[tokens.end[j] - 1 - tokens.begin] = steps.label[j];
  }
  return out;
}

std::vector<float> at_ends(std::span<const uint32_t> start, std::span<const float> values, size_t tokens) {
  std::vector<float> out(tokens, kNone);
  for (size_t j = 0; j < start.size(); ++j) out[(j + 1 < start.size() ? start[j + 1] : tokens) - 1] = values[j];
  return out;
}

}  // namespace hone
