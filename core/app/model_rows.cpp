// model_rows.cpp -- `hone generate`, `hone logprobs` and `hone tokenize`.
#include "core/app/model_rows.h"

#include <algorithm>
#include <iostream>

#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/model/model_files.h"
#include "core/rollout/sampler.h"
#include "core/run/progress.h"
#include "core/stage/data.h"
#include "core/stage/interrupt.h"
#include "core/text/rows.h"

namespace hone {
using nlohmann::json;

OpenModel::OpenModel(const Arguments &a)
    : pool(a.threads),
      host(pool, a.seed),
      registry(Registry::scan(plugin_folders(a.plugins))),
      model(load_model(a.model, registry, host, a.dtype == "bf16" ? HONE_BF16 : HONE_F32)) {
  model.weights->prepare(pool);
}

std::vector<int32_t> token_list(const json &row, uint32_t vocabulary, const std::string &where) {
  if (!row["tokens"].is_array()) throw Failure(where + ": tokens: is not a list of token ids");
  std::vector<int32_t> ids;
  for (const json &id : row["tokens"]) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= vocabulary)
      throw Failure(where + ": tokens: " + id.dump() + " is not a token id of this model (0 to " + std::to_string(vocabulary - 1) + ")");
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

static std::string row_name(const Arguments &a, size_t i) { return (a.input == "-" ? "stdin" : a.input) + ": row " + std::to_string(i + 1); }

int generate_verb(const Arguments &a) {
  const std::vector<json> rows = read_rows(a.input);
  OpenModel open(a);
  const Tokenizer &tokenizer = *open.model.tokenizer;
  std::vector<SampleRequest> requests;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].contains("messages") && !rows[i].contains("prompt"))
      throw Failure(row_name(a, i) + ": messages: this model has no chat template; give \"prompt\"");
    requests.push_back({prompt_ids(tokenizer, {rows[i], "", row_name(a, i)}, open.model.architecture->info().max_positions), 1, static_cast<uint32_t>(i)});
  }
  SampleSettings settings;
  settings.temperature = static_cast<float>(a.temperature);
  settings.top_p = static_cast<float>(a.top_p);
  settings.min_p = static_cast<float>(a.min_p);
  settings.top_k = a.top_k;
  settings.max_tokens = a.max_tokens;
  settings.stop_strings = a.stop;
  settings.seed = a.seed;
  if (tokenizer.eos() >= 0) settings.stop_ids = {tokenizer.eos()};
  Sampler sampler(kernels(), open.pool);
  std::atomic<int> &flag = interrupt_flag();
  std::vector<SampledRow> sampled;
  {
    Progress progress("generate", rows.size());  // ends its line before the rows are written
    size_t done = 0;
    sampled = sampler.generate(*open.model.weights, &tokenizer, requests, settings,
                               [&](size_t, const SampledRow &) { progress.update(++done); }, [&] { return flag.load() != 0; });
  }
  if (flag != 0) return 128 + flag;
  for (const SampledRow &row : sampled) {
    nlohmann::ordered_json out;
    out["text"] = response_text(tokenizer, row.ids);
    out["tokens"] = row.ids;
    out["logprobs"] = row.logp;
    std::cout << out.dump() << "\n";
  }
  return 0;
}

int logprobs_verb(const Arguments &a) {
  const std::vector<json> rows = read_rows(a.input);
  OpenModel open(a);
  const hone_model_info &info = open.model.architecture->info();
  std::vector<std::vector<int32_t>> sequences;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string where = row_name(a, i);
    if (rows[i].contains("tokens")) sequences.push_back(token_list(rows[i], info.vocab_size, where));
    else sequences.push_back(open.model.tokenizer->encode(column_text(rows[i], "text", where), a.add_special_tokens));
    if (sequences.back().size() > info.max_positions)
      throw Failure(where + ": has " + std::to_string(sequences.back().size()) + " tokens, more than the model's " + std::to_string(info.max_positions) + " positions");
  }
  // A sequence of one token (or none) has no log-prob, and needs no model.
  std::vector<std::vector<int32_t>> longer;
  for (const auto &ids : sequences)
    if (ids.size() > 1) longer.push_back(ids);
  const auto scored = longer.empty() ? std::vector<ScoredTokens>{}
                                     : score_tokens(kernels(), open.pool, *open.model.weights, longer, std::vector<uint32_t>(longer.size(), 1u), 1.0f);
  size_t next = 0;
  for (const auto &ids : sequences) {
    nlohmann::ordered_json out;
    out["tokens"] = ids;
    out["logprobs"] = ids.size() > 1 ? json(scored[next++].logp) : json::array();
    std::cout << out.dump() << "\n";
  }
  return 0;
}

int tokenize_verb(const Arguments &a) {
  const std::vector<json> rows = read_rows(a.input);
  const auto tokenizer = read_model_tokenizer(a.model);
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string text = column_text(rows[i], "text", row_name(a, i));
    const std::vector<int32_t> ids = tokenizer->encode(text, a.add_special_tokens);
    nlohmann::ordered_json out;
    out["ids"] = ids;
    out["text"] = tokenizer->decode(ids);
    std::cout << out.dump() << "\n";
  }
  return 0;
}

}  // namespace hone
