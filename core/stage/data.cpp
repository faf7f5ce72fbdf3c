// data.cpp -- see data.h.
#include "core/stage/data.h"

#include <algorithm>
#include <numeric>

#include "core/base/failure.h"
#include "core/base/philox.h"
#include "core/run/progress.h"
#include "core/stage/conversations.h"
#include "core/stage/models.h"
#include "core/text/rows.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

static std::vector<DataRow> rows_of_file(const std::string &path) {
  std::vector<DataRow> rows;
  for (auto &[line, row] : read_numbered_rows(path)) rows.push_back({std::move(row), "", path + ":" + std::to_string(line)});
  return rows;
}

json mapped_row(Script &script, const Pipeline &pipeline, const DataNode &node, const json &row, uint64_t i, const std::string &where) {
  try {
    return script.call(node.function, row, {pipeline.seed * 1000003 + node.seed, i});
  } catch (const Failure &failure) {
    throw Failure(std::string(failure.what()) + " (for " + where + ")");
  }
}

// The source's rows as the script's function gives them back; those for which it gives nil are left out.
static std::vector<DataRow> mapped_rows(const RunContext &context, const DataNode &node) {
  std::vector<DataRow> source = load_data(context, node.parts.at(0)), rows;
  const uint64_t begin = std::min<uint64_t>(node.skip, source.size());
  const uint64_t end = node.take ? std::min<uint64_t>(source.size(), begin + node.take) : source.size();
  context.script.renew();  // as for generated rows
  Progress progress("making rows" + (node.label.empty() ? std::string() : " of " + node.label), end - begin);
  for (uint64_t i = begin; i < end; ++i) {
    DataRow &row = source[i];
    json made = mapped_row(context.script, context.pipeline, node, row.columns, i + 1, row.where);
    if (!made.is_null()) {
      if (!made.is_object())
        throw Failure(node.place.text() + ": map must return a table with named columns, or nil to leave the row out (for " + row.where + ")");
      rows.push_back({std::move(made), "", std::move(row.where)});
    }
    if ((i + 1) % 1024 == 0) {
      progress.update(i + 1 - begin);
      context.stop_if_interrupted();
    }
  }
  return rows;
}

std::vector<DataRow> load_data(const RunContext &context, int index) {
  const DataNode &node = context.pipeline.data.at(index);
  switch (node.source) {
    case DataNode::file: return rows_of_file(node.path);
    case DataNode::stage_output: {
      const StageDirectory directory = context.directory_of(node.stage);
      if (!directory.done())
        throw Failure(node.place.text() + ": the data of stage \"" + stage_label(context.pipeline, node.stage) +
                      "\" is wanted before that stage has finished; put it earlier in hone.pipeline");
      return rows_of_file((directory.path() / "data.jsonl").string());
    }
    case DataNode::list: {
      std::vector<DataRow> all;
      for (int part : node.parts)
        for (DataRow &row : load_data(context, part)) all.push_back(std::move(row));
      return all;
    }
    case DataNode::mapped: return mapped_rows(context, node);
    case DataNode::generated: break;
  }
  std::vector<DataRow> rows;
  rows.reserve(node.count);
  context.script.renew();  // what earlier rows left in a script's variables must not count: a resume would not make them again
  Progress progress("making rows" + (node.label.empty() ? std::string() : " of " + node.label), node.count);
  for (uint64_t i = 1; i <= node.count; ++i) {
    json row = context.script.call(node.function, json(i), {context.pipeline.seed * 1000003 + node.seed, i});
    const std::string where = node.place.text() + " row " + std::to_string(i);
    if (!row.is_object()) throw Failure(where + ": the function must return a table with named columns");
    rows.push_back({std::move(row), "", where});
    if (i % 1024 == 0) {
      progress.update(i);
      context.stop_if_interrupted();
    }
  }
  return rows;
}

std::vector<Domain> load_domains(const RunContext &context, const json &setting) {
  std::vector<Domain> domains;
  if (setting.is_null()) return domains;
  if (const int one = handle_index(setting, "$data"); one >= 0) {
    domains.push_back({"", load_data(context, one)});
  } else if (setting.is_array()) {
    domains.push_back({"", {}});
    for (const json &part : setting)
      for (DataRow &row : load_data(context, handle_index(part, "$data"))) domains[0].rows.push_back(std::move(row));
  } else {
    for (const auto &[name, part] : setting.items()) {  // nlohmann's objects are sorted by key
      Domain domain = std::move(load_domains(context, part).at(0));
      domain.name = name;
      for (DataRow &row : domain.rows) row.domain = name;
      domains.push_back(std::move(domain));
    }
  }
  for (const Domain &domain : domains)
    if (domain.rows.empty())
      throw Failure("data " + (domain.name.empty() ? std::string() : "of domain \"" + domain.name + "\" ") + "has no rows");
  return domains;
}

std::string row_text(const DataRow &row, const std::string &column) { return column_text(row.columns, column, row.where); }

std::string row_text_or(const DataRow &row, const std::string &column, const std::string &fallback) {
  return row.columns.contains(column) && !row.columns[column].is_null() ? column_text(row.columns, column, row.where) : fallback;
}

// Puts before a plain text what its tokenizer puts there (its post-processor's <bos>, or nothing), unless the text itself
// begins with a special token, such as that <bos>.
static void put_prefix(const Tokenizer &tokenizer, const std::string &text, std::vector<int32_t> &ids) {
  if (!ids.empty() && tokenizer.is_special(ids.front())) {
    const std::string token = tokenizer.token_of(ids.front());
    if (!token.empty() && text.starts_with(token)) return;
  }
  const std::vector<int32_t> prefix = tokenizer.prefix_ids();
  ids.insert(ids.begin(), prefix.begin(), prefix.end());
}

std::vector<int32_t> prompt_ids(const Tokenizer &tokenizer, const DataRow &row, uint32_t max_positions) {
  const std::string text = prompt_text(tokenizer, row);
  const bool written = is_conversation(row);
  std::vector<int32_t> ids = encode_of_row(tokenizer, text, row.where + (written ? ": messages" : ": prompt"));
  if (!written) put_prefix(tokenizer, text, ids);
  if (ids.empty()) throw Failure(row.where + ": the prompt is empty and the tokenizer puts no token before a text; give it a text");
  if (ids.size() >= max_positions)
    throw Failure(row.where + ": the prompt has " + std::to_string(ids.size()) + " tokens, and the model's " + std::to_string(max_positions) +
                  " positions leave none for a response; shorten or leave out the row");
  return ids;
}

static void append_text(const Tokenizer &tokenizer, const DataRow &row, const std::string &text, const std::string &what, std::vector<int32_t> &ids) {
  for (int32_t id : encode_of_row(tokenizer, text, row.where + ": " + what)) ids.push_back(id);
}

static void append_encoded(const Tokenizer &tokenizer, const DataRow &row, const std::string &column, std::vector<int32_t> &ids) {
  append_text(tokenizer, row, row_text(row, column), column, ids);
  if (tokenizer.eos() >= 0) ids.push_back(tokenizer.eos());
}

// The answer as it follows the prompt. A tokenizer that changes the beginning of a text (Llama 2's "▁") would change the
// answer's own, so both are encoded together, and the prompt's ids are cut off. Where these are others there, as when a
// token reaches over from one into the other, the answer is encoded by itself.
static void append_answer(const Tokenizer &tokenizer, const DataRow &row, const std::string &answer, std::vector<int32_t> &ids) {
  std::vector<int32_t> both;
  append_text(tokenizer, row, prompt_text(tokenizer, row) + answer, "messages", both);
  if (both.size() >= ids.size() && std::equal(ids.begin(), ids.end(), both.begin()))
    ids = std::move(both);
  else
    append_text(tokenizer, row, answer, "messages", ids);
}

static void check_length(const DataRow &row, size_t tokens, uint32_t max_positions) {
  if (tokens > max_positions)
    throw Failure(row.where + ": has " + std::to_string(tokens) + " tokens, more than the model's " +
                  std::to_string(max_positions) + " positions; shorten or leave out the row");
}

TrainRow row_to_train(const Tokenizer &tokenizer, const DataRow &row, double prompt_weight, uint32_t max_positions) {
  TrainRow out;
  if (row.columns.contains("text") && !row.columns.contains("response")) {
    append_encoded(tokenizer, row, "text", out.ids);
    put_prefix(tokenizer, row_text(row, "text"), out.ids);
    check_length(row, out.ids.size(), max_positions);
    if (out.ids.size() < 2) throw Failure(row.where + ": text: has no token to learn");
    return out;
  }
  out.ids = prompt_ids(tokenizer, row, max_positions);
  out.response_begin = static_cast<uint32_t>(out.ids.size());
  if (is_conversation(row) && !row.columns.contains("response")) {
    const Answer answer = last_answer(tokenizer, row);
    append_answer(tokenizer, row, answer.text, out.ids);
    if (!answer.ended && tokenizer.eos() >= 0) out.ids.push_back(tokenizer.eos());
  } else {
    append_encoded(tokenizer, row, "response", out.ids);
  }
  check_length(row, out.ids.size(), max_positions);
  if (out.ids.size() == out.response_begin) throw Failure(row.where + ": response: has no token to learn");
  out.begin = prompt_weight > 0 ? 1 : out.response_begin;
  if (prompt_weight > 0) {
    out.weight.assign(out.ids.size() - 1, 1.0f);
    std::fill(out.weight.begin(), out.weight.begin() + (out.response_begin - 1), static_cast<float>(prompt_weight));
  }
  return out;
}

std::pair<TrainRow, TrainRow> pair_to_train(const Tokenizer &tokenizer, const DataRow &row, uint32_t group, uint32_t max_positions) {
  TrainRow chosen;
  chosen.ids = prompt_ids(tokenizer, row, max_positions);
  chosen.begin = chosen.response_begin = static_cast<uint32_t>(chosen.ids.size());
  chosen.group = group;
  if (const auto margin = row.columns.find("margin"); margin != row.columns.end() && !margin->is_null()) {
    if (!margin->is_number()) throw Failure(row.where + ": margin: " + margin->dump() + " is not a number");
    chosen.margin = margin->get<float>();
  }
  TrainRow rejected = chosen;
  chosen.chosen = true;
  append_encoded(tokenizer, row, "chosen", chosen.ids);
  append_encoded(tokenizer, row, "rejected", rejected.ids);
  for (const TrainRow *one : {&chosen, &rejected}) {
    check_length(row, one->ids.size(), max_positions);
    if (one->ids.size() == one->begin) throw Failure(row.where + ": a response of the pair has no token");
  }
  return {std::move(chosen), std::move(rejected)};
}

std::string response_text(const Tokenizer &tokenizer, const std::vector<int32_t> &ids) {
  std::vector<int32_t> kept = ids;
  const std::vector<int32_t> stops = tokenizer.stop_ids();
  if (!kept.empty() && std::ranges::find(stops, kept.back()) != stops.end()) kept.pop_back();
  return tokenizer.decode(kept);
}

std::vector<uint32_t> permutation(uint32_t n, uint64_t seed, uint32_t stage, uint32_t pass) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  for (uint32_t i = n; i > 1; --i) {
    const auto bits = random_bits({.seed = seed, .purpose = Purpose::shuffle, .stage = stage, .step = pass, .row = i});
    const uint64_t wide = (uint64_t(bits[0]) << 32) | bits[1];
    std::swap(order[i - 1], order[static_cast<uint32_t>((static_cast<unsigned __int128>(wide) * i) >> 64)]);
  }
  return order;
}

}  // namespace hone
