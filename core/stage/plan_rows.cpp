// plan_rows.cpp -- see plan_rows.h.
#include "core/stage/plan_rows.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/stage/context.h"
#include "core/stage/conversations.h"
#include "core/stage/data.h"
#include "core/stage/models.h"
#include "core/stage/step_rows.h"
#include "core/text/rows.h"

namespace hone {
using nlohmann::json;

namespace {

constexpr uint64_t kSome = 16;            // rows that a function is asked for, and that are kept
constexpr uint64_t kMostMapped = 20000;   // rows of a file that are all mapped, so that it is known how many are kept
constexpr uint64_t kMostAsked = 1000;     // rows that a mapping function may leave out before it has kept kSome
constexpr uint64_t kMostGenerated = 64;   // likewise, when they are made first

// Place k of kSome among n, evenly from the first to the last.
uint64_t spread(uint64_t k, uint64_t n) { return n <= kSome ? k : k * (n - 1) / (kSome - 1); }

// Of rows with labelled steps. What a rating of 0 counts for does not matter here.
bool of_steps(const std::vector<std::string> &columns) { return columns.size() == 3 && columns[1] == "steps"; }
constexpr const char *kNeutral = "right";

void check_columns(const json &row, const std::vector<std::string> &columns, const std::string &where) {
  if (!row.is_object()) throw UsageError(where + ": is not a table with named columns");
  const bool pairs_of_text = columns == std::vector<std::string>{"prompt", "response"};
  if (row.contains("text") && pairs_of_text) return;
  try {
    if (of_steps(columns)) {
      labelled_steps({row, "", where}, kNeutral);
      if (row.contains("steps") && !is_conversation(row)) column_text(row, "prompt", where);
      return;
    }
    if (is_conversation(row)) {
      const bool with_answer = pairs_of_text && !row.contains("response");
      check_conversation({row, "", where}, with_answer);
      for (const std::string &column : columns)
        if (column != "prompt" && !(column == "response" && with_answer)) column_text(row, column, where);
      return;
    }
    for (const std::string &column : columns) column_text(row, column, where);
  } catch (const Failure &failure) {
    throw UsageError(failure.what());
  }
}

uint64_t count_tokens(const Tokenizer &tokenizer, uint32_t max_positions, const json &row, const std::vector<std::string> &columns,
                      const std::string &where) {
  try {
    const DataRow data{row, "", where};
    if (of_steps(columns)) return steps_to_train(tokenizer, data, kNeutral, max_positions).ids.size();
    if (columns.size() == 2) return row_to_train(tokenizer, data, 0, max_positions).ids.size();
    if (columns.size() != 3) return prompt_ids(tokenizer, data, max_positions).size();
    const auto [chosen, rejected] = pair_to_train(tokenizer, data, 0, max_positions);
    return chosen.ids.size() + rejected.ids.size();
  } catch (const Failure &failure) {
    throw UsageError(failure.what());
  }
}

}  // namespace

RowCheck::RowCheck(const Pipeline &pipeline, Script &script, MustBeEarlier must_be_earlier)
    : pipeline_(pipeline), script_(script), must_be_earlier_(std::move(must_be_earlier)) {}

SeenRows RowCheck::look(const json &setting, const std::vector<std::string> &columns, const Tokenizer *tokenizer, uint32_t max_positions, const Tokenizer *writer) {
  tokenizer_ = tokenizer;
  writer_ = tokenizer ? tokenizer : writer;
  max_positions_ = max_positions;
  columns_ = columns;
  seen_ = {};
  encoded_ = tokens_ = 0;
  seen_.rows = look_at(setting, "");
  if (encoded_ > 0) seen_.mean_tokens = static_cast<double>(tokens_) / static_cast<double>(encoded_);
  return std::move(seen_);
}

void RowCheck::say(const std::string &part) { seen_.text += (seen_.text.empty() ? "" : " + ") + part; }

void RowCheck::take(const json &row, const std::string &where, const std::string &domain, bool keep) {
  if (only_a_source_) return;
  check_columns(row, columns_, where);
  if (is_conversation(row) && !writer_)
    throw UsageError(where + ": messages: the stage has no model whose chat template could write them; give \"prompt\"");
  if (tokenizer_) {
    tokens_ += count_tokens(*tokenizer_, max_positions_, row, columns_, where);
    ++encoded_;
  }
  std::vector<SomeRow> &some = seen_.some[domain];
  if (!keep || some.size() >= kSome) return;
  some.push_back({row, where});
  if (!is_conversation(row)) return;
  try {  // rewards see the prompt as the model's template writes it
    some.back().columns["prompt"] = prompt_text(*writer_, {row, "", where});
  } catch (const Failure &failure) {
    throw UsageError(failure.what());
  }
}

json RowCheck::made(const DataNode &node, const json &argument, uint64_t row) {
  return script_.call(node.function, argument, {pipeline_.seed * 1000003 + node.seed, row});
}

uint64_t RowCheck::look_at(const json &setting, const std::string &domain) {
  if (const int one = handle_index(setting, "$data"); one >= 0) return data(one, domain);
  uint64_t all = 0;
  bool known = true;
  for (const auto &[name, part] : setting.items()) {
    if (setting.is_object()) seen_.domains.push_back(name);
    const uint64_t n = look_at(part, setting.is_object() ? name : domain);
    known = known && n > 0;
    all += n;
  }
  return known ? all : 0;
}

uint64_t RowCheck::data(int index, const std::string &domain) {
  const DataNode &node = pipeline_.data.at(index);
  switch (node.source) {
    case DataNode::stage_output:
      must_be_earlier_(node.stage, node.place);
      say("from stage " + stage_label(pipeline_, node.stage));
      return 0;
    case DataNode::list: {
      uint64_t all = 0;
      bool known = true;
      for (int part : node.parts) {
        const uint64_t n = data(part, domain);
        known = known && n > 0;
        all += n;
      }
      return known ? all : 0;
    }
    case DataNode::file: {
      std::vector<std::pair<size_t, json>> rows;
      try {
        rows = read_numbered_rows(node.path);
      } catch (const Failure &failure) {
        throw UsageError(node.place.text() + ": " + failure.what());
      }
      uint64_t kept = 0;
      for (size_t i = 0; i < rows.size(); ++i) {
        const bool keep = kept < kSome && i == spread(kept, rows.size());
        take(rows[i].second, node.path + ":" + std::to_string(rows[i].first), domain, keep);
        kept += keep;
      }
      say(node.path + " (" + std::to_string(rows.size()) + " rows)");
      return rows.size();
    }
    case DataNode::mapped: return mapped(node, domain);
    case DataNode::generated: break;
  }
  for (uint64_t k = 0; k < std::min(kSome, node.count) && !only_a_source_; ++k) {
    const uint64_t row = spread(k, node.count) + 1;
    take(made(node, json(row), row), node.place.text() + " row " + std::to_string(row), domain, true);
  }
  say(std::to_string(node.count) + " generated rows" + (node.label.empty() ? "" : " of " + node.label));
  return node.count;
}

// All rows of a file; of very many, and of those that a function makes, the first that are kept tell whether the function works.
// Of a source that no file and no function makes there are none yet.
uint64_t RowCheck::mapped(const DataNode &node, const std::string &domain) {
  const bool outer = std::exchange(only_a_source_, true);
  const size_t said = seen_.text.size();
  const uint64_t all = data(node.parts.at(0), domain);
  only_a_source_ = outer;
  if (all > 0 && all <= node.skip)
    throw UsageError(node.place.text() + ": skip leaves out all " + std::to_string(all) + " rows of " +
                     seen_.text.substr(said > 0 ? said + 3 : 0));
  const DataNode &source = pipeline_.data.at(node.parts.at(0));
  const uint64_t end = node.take ? std::min(all, node.skip + node.take) : all;
  uint64_t kept = 0, known = 0;
  const auto map = [&](const json &from, uint64_t i, const std::string &where) {
    const json row = mapped_row(script_, pipeline_, node, from, i + 1, where);
    if (row.is_null()) return;
    take(row, node.place.text() + " row " + std::to_string(i + 1) + " (" + where + ")", domain, true);
    ++kept;
  };
  if (only_a_source_) {
    // Rows of rows: the outer function would have to be asked with them; only a run does that.
  } else if (source.source == DataNode::file) {
    const auto rows = read_numbered_rows(source.path);
    const bool every = end - node.skip <= kMostMapped;
    for (uint64_t i = node.skip; i < end && (every || (i < node.skip + kMostAsked && kept < kSome)); ++i)
      map(rows[i].second, i, source.path + ":" + std::to_string(rows[i].first));
    if (every && kept == 0)
      throw UsageError(node.place.text() + ": map keeps none of the " + std::to_string(end - node.skip) + " rows of " + source.path +
                       " that it is asked for; return a table for those to keep");
    known = every ? kept : 0;
  } else if (source.source == DataNode::generated) {
    for (uint64_t i = node.skip; i < std::min(end, node.skip + kMostGenerated) && kept < kSome; ++i)
      map(made(source, json(i + 1), i + 1), i, source.place.text() + " row " + std::to_string(i + 1));
  }
  seen_.text += ", " + (known ? std::to_string(known) + " " : std::string()) + "mapped";
  if (!node.label.empty() && node.label != "rows") seen_.text += " to " + node.label;
  return known;  // else only a run tells how many the function keeps
}

}  // namespace hone
