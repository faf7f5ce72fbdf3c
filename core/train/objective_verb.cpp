// objective_verb.cpp -- `hone objective`: one objective on plain columns from a JSON file, with the host code that
// trains.
#include <cmath>
#include <functional>
#include <iostream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/plugin/host.h"
#include "core/plugin/registry.h"
#include "core/train/objective_columns.h"

namespace hone {
namespace {

using nlohmann::json;

const std::vector<std::string> row_columns = {"group", "reward", "reward_baseline", "truncated", "policy_version",
                                              "label", "pair",   "chosen",          "margin"};
const std::vector<std::string> token_columns = {"logp",         "logp_old",    "logp_ref",  "logp_rollout",
                                                "logp_teacher", "value",       "value_old", "entropy",
                                                "kl",           "step_reward", "mask",      "weight"};

// The input file's columns, checked to be of one shape.
class Columns {
 public:
  Columns(std::string where, const std::string &text) : where_(std::move(where)) {
    if (const size_t bad = invalid_utf8(text); bad != std::string::npos)
      throw Failure(where_ + ": invalid UTF-8 at byte " + std::to_string(bad));
    refuse_deep_json(text, where_);
    try {
      columns_ = json::parse(text);
    } catch (const json::parse_error &e) {
      throw Failure(where_ + ": not JSON: " + json_reason(e.what()));
    }
    if (!columns_.is_object())
      throw Failure(where_ + ": an object of columns is expected, found " + columns_.type_name());
    for (const auto &[name, column] : columns_.items()) check_column(name, column);
    if (!rows_ || *rows_ == 0) throw Failure(where_ + ": there are no rows");
    if (lengths_.empty()) throw Failure(where_ + ": no column has values per token, such as logp");
  }
  size_t rows() const { return *rows_; }
  size_t tokens(size_t row) const { return lengths_[row]; }
  bool has(const char *name) const { return columns_.contains(name); }

  double number(const char *name, size_t row, double otherwise) const {
    if (!has(name)) return otherwise;
    const json &cell = columns_[name][row];
    if (cell.is_null()) return std::numeric_limits<double>::quiet_NaN();
    if (cell.is_boolean()) return cell.get<bool>();
    return cell.get<double>();
  }
  uint32_t whole(const char *name, size_t row, uint32_t otherwise) const {
    const double x = number(name, row, otherwise);
    if (!(x >= 0 && x <= UINT32_MAX && x == std::floor(x)))
      throw Failure(where_ + ": " + name + " of row " + std::to_string(row) + " is " + number_text(x) +
                    "; it must be a whole number from 0 on");
    return static_cast<uint32_t>(x);
  }
  std::vector<float> list(const char *name, size_t row) const {
    std::vector<float> out;
    if (!has(name)) return out;
    for (const json &x : columns_[name][row])
      out.push_back(x.is_null() ? std::numeric_limits<float>::quiet_NaN() : x.is_boolean() ? x.get<bool>() : x.get<float>());
    return out;
  }
  void require(const char *name, const std::string &why) const {
    if (!has(name)) throw Failure(where_ + ": there is no column \"" + name + "\", which " + why);
  }

 private:
  void check_column(const std::string &name, const json &column) {
    const bool per_row = std::find(row_columns.begin(), row_columns.end(), name) != row_columns.end();
    if (!per_row && std::find(token_columns.begin(), token_columns.end(), name) == token_columns.end()) {
      std::vector<std::string> all = row_columns;
      all.insert(all.end(), token_columns.begin(), token_columns.end());
      const std::string near = nearest_name(name, all);
      throw Failure(where_ + ": there is no column \"" + name + "\"" +
                    (near.empty() ? " (columns: " + join(all, ", ") + ")" : "; did you mean \"" + near + "\"?"));
    }
    if (!column.is_array())
      throw Failure(where_ + ": column \"" + name + "\" is " + column.type_name() + ", not a list");
    if (rows_ && column.size() != *rows_)
      throw Failure(where_ + ": column \"" + name + "\" has " + std::to_string(column.size()) + " rows, but \"" +
                    first_ + "\" has " + std::to_string(*rows_));
    if (!rows_) rows_ = column.size(), first_ = name;
    for (size_t i = 0; i < column.size(); ++i) {
      const std::string place = where_ + ": column \"" + name + "\", row " + std::to_string(i);
      if (per_row) {
        if (column[i].is_number() || column[i].is_boolean() || (column[i].is_null() && (name == "reward" || name == "reward_baseline"))) continue;
        throw Failure(place + ": a number is expected, found " + column[i].dump());
      }
      if (!column[i].is_array())
        throw Failure(place + ": a list with one number per token is expected, found " + column[i].dump());
      if (lengths_.size() <= i) lengths_.push_back(column[i].size()), ragged_first_ = name;
      if (column[i].size() != lengths_[i])
        throw Failure(place + " has " + std::to_string(column[i].size()) + " tokens, but \"" + ragged_first_ +
                      "\" has " + std::to_string(lengths_[i]));
      for (const json &x : column[i])
        if (!x.is_number() && !(x.is_boolean() && name == "mask") && !(x.is_null() && name == "step_reward"))
          throw Failure(place + ": a number is expected, found " + x.dump());
    }
  }

  std::string where_, first_, ragged_first_;
  json columns_;
  std::optional<size_t> rows_;
  std::vector<size_t> lengths_;
};

json settings_of(const std::vector<std::string> &set) {
  json given = json::object();
  for (const std::string &text : set) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) throw UsageError("--set " + text + ": write it as name=value");
    const std::string value = text.substr(equals + 1);
    const json parsed = json::parse(value, nullptr, false);
    given[text.substr(0, equals)] = parsed.is_discarded() ? json(value) : parsed;
  }
  return given;
}

}  // namespace

int objective_verb(const Registry &registry, const Host &host, const std::string &name, const std::string &input,
                   const std::vector<std::string> &set, std::ostream &out) {
  const ComponentInfo &component = registry.require("stage", name);
  if (component.kind != HONE_OBJECTIVE)
    throw UsageError("stage " + name + " is not an objective but a loop of its own (" + component.kind +
                     "); only objectives can be run on columns");
  const Instance instance(component, host.abi(), check_settings(component.settings, settings_of(set), "stage " + name));
  const ObjectiveCalls objective(known_methods<hone_objective>(instance.component()), instance.self(), "stage " + name);

  const Columns given(input == "-" ? "stdin" : input,
                      input == "-" ? std::string(std::istreambuf_iterator<char>(std::cin), {}) : read_file(input));
  const uint32_t source = objective.source();
  const uint64_t needs = objective.needs();
  if (!(source != HONE_ON_POLICY && (needs & HONE_VALUE))) given.require("logp", "every objective reads");
  if (source == HONE_ON_POLICY && !(needs & HONE_LOGP_TEACHER)) {
    given.require("group", "says which rows answer one prompt");
    given.require("reward", "an objective on policy turns into advantages");
  }
  if (source == HONE_PAIRS) {
    given.require("pair", "says which two rows belong together");
    given.require("chosen", "says which of a pair is the better one");
  }
  const auto needed = [&](uint64_t column, const char *name_of) {
    if (needs & column) given.require(name_of, "stage " + name + " reads");
  };
  needed(HONE_LOGP_ROLLOUT, "logp_rollout"), needed(HONE_LOGP_REF, "logp_ref"),
      needed(HONE_LOGP_TEACHER, "logp_teacher");
  needed(HONE_VALUE, "value"), needed(HONE_ENTROPY, "entropy"), needed(HONE_KL, "kl");
  needed(HONE_STEP_REWARD, "step_reward"), needed(HONE_BASELINE, "reward_baseline");

  std::vector<TrainRow> rows(given.rows());
  for (size_t i = 0; i < rows.size(); ++i) {
    TrainRow &row = rows[i];
    row.ids.assign(given.tokens(i) + 1, 0);  // the columns stand for the tokens
    row.group = given.whole(source == HONE_PAIRS ? "pair" : "group", i, 0);
    row.policy_version = given.whole("policy_version", i, 0);
    row.reward = static_cast<float>(given.number("reward", i, 0));
    row.reward_baseline = static_cast<float>(given.number("reward_baseline", i, 0));
    if ((needs & HONE_BASELINE) && std::isnan(row.reward_baseline)) row.reward = row.reward_baseline;  // nothing to compare its score with
    row.label = static_cast<float>(given.number("label", i, 0));
    row.margin = static_cast<float>(given.number("margin", i, 0));
    row.truncated = given.number("truncated", i, 0) != 0;
    row.chosen = given.number("chosen", i, 0) != 0;
    row.weight = given.list("weight", i);
    for (float m : given.list("mask", i))
      row.masked.push_back(m == 0);  // 1 trains, 0 does not, as attention masks have it
    row.logp_rollout = given.list("logp_rollout", i), row.logp_old = given.list("logp_old", i);
    row.logp_ref = given.list("logp_ref", i), row.logp_teacher = given.list("logp_teacher", i);
    row.step_reward = given.list("step_reward", i);
  }
  ObjectiveColumns columns = columns_of(rows, source, (needs & HONE_STEP_REWARD) != 0);
  const auto fill = [&](const char *column_name, std::vector<float> &column) {
    if (!given.has(column_name)) return;
    column.clear();
    for (uint32_t r = 0; r < columns.rows(); ++r) {
      const std::vector<float> list = given.list(column_name, columns.row[r]);
      for (uint32_t t = columns.row_start[r]; t < columns.row_start[r + 1]; ++t)
        column.push_back(list[columns.token[t]]);
    }
  };
  fill("logp", columns.logp), fill("value", columns.value), fill("value_old", columns.value_old);
  fill("entropy", columns.entropy), fill("kl", columns.kl);
  if (columns.logp_old.empty()) columns.logp_old = columns.logp;
  if (columns.value_old.empty()) columns.value_old = columns.value;

  double loss = 0;
  objective.make_room(columns);
  if (columns.rows() > 0) {
    objective.advantages(columns, true);
    loss = objective.loss(columns, 0, columns.rows());
  }

  nlohmann::ordered_json result;
  const auto put = [&](const char *column_name, const std::vector<float> &column) {
    std::vector<std::vector<float>> lists;
    for (const TrainRow &row : rows) lists.emplace_back(row.ids.size() - 1, 0.0f);
    for (uint32_t r = 0; r < columns.rows() && !column.empty(); ++r)
      for (uint32_t t = columns.row_start[r]; t < columns.row_start[r + 1]; ++t)
        lists[columns.row[r]][columns.token[t]] = column[t];
    result[column_name] = lists;
  };
  put("advantages", columns.advantage);
  if (needs & HONE_VALUE) put("targets", columns.target);
  result["loss"] = loss;
  put("dlogp", columns.dlogp);
  put("dvalue", columns.dvalue);
  put("dentropy", columns.dentropy);
  if (needs & HONE_KL) put("dkl", columns.dkl);
  out << result.dump() << "\n";
  return 0;
}

}  // namespace hone
