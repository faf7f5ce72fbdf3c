// model_rows.cpp -- `hone generate`, `hone logprobs` and `hone tokenize`.
#include "core/app/model_rows.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>

#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model/model_files.h"
#include "core/rollout/sampler.h"
#include "core/run/progress.h"
#include "core/stage/conversations.h"
#include "core/stage/data.h"
#include "core/stage/interrupt.h"
#include "core/text/rows.h"
#include "core/text/json_member.h"

namespace hone {
using nlohmann::json;

OpenModel::OpenModel(const Arguments &a)
    : pool(a.threads),
      host(pool, a.seed),
      registry(Registry::scan(plugin_folders(a.plugins))),
      model(load_model(a.model, registry, host, dtype_of(a))) {
  // Nobody else has the tokenizer yet.
  use_chat_options(const_cast<Tokenizer &>(*model.tokenizer), a);
  model.weights->settle(pool);
}

void use_chat_options(Tokenizer &tokenizer, const Arguments &a) {
  ChatFormat format = tokenizer.chat();
  if (!a.chat_template.empty()) {
    format = ChatFormat::from_file(a.chat_template);
    format.take_tokens(tokenizer.chat());
  }
  if (!a.date.empty()) {
    try {
      day_of(a.date);
    } catch (const Failure &failure) {
      throw UsageError(std::string("--date: ") + failure.what());
    }
  }
  format.set_date(a.date);
  tokenizer.set_chat(std::move(format));
}

std::string rendered(const Tokenizer &tokenizer, const nlohmann::ordered_json &row, bool add_generation_prompt, const std::string &where) {
  const auto column = [&](const char *name) { return row.contains(name) ? row[name] : nlohmann::ordered_json(); };
  if (const auto asked = column("add_generation_prompt"); !asked.is_null()) {
    if (!asked.is_boolean()) throw Failure(where + ": add_generation_prompt: must be true or false, but it is " + json_shown(asked));
    add_generation_prompt = asked.get<bool>();
  }
  return tokenizer.chat().render(column("messages"), add_generation_prompt, column("tools"), column("chat_template_kwargs"), where);
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

SampleSettings sample_settings(const Arguments &a, const Tokenizer &tokenizer) {
  SampleSettings settings;
  settings.temperature = static_cast<float>(a.temperature);
  settings.top_p = static_cast<float>(a.top_p);
  settings.min_p = static_cast<float>(a.min_p);
  settings.top_k = a.top_k;
  settings.max_tokens = a.max_tokens;
  settings.stop_strings = a.stop;
  settings.seed = a.seed;
  settings.stop_ids = tokenizer.stop_ids();
  return settings;
}

// A number that is none says that the model's own numbers have overflowed: nobody should take it for a result.
static void refuse_unless_finite(const std::vector<float> &logp, const std::string &where, const std::filesystem::path &model) {
  for (size_t i = 0; i < logp.size(); ++i)
    if (!std::isfinite(logp[i]))
      throw Failure(where + ": the log-probability of token " + std::to_string(i) + " is " + number_text(logp[i]) + ": the numbers of " +
                    model.string() + " overflow; check the scales in its config.json, and its weights");
}

int generate_verb(const Arguments &a) {
  const auto rows = read_ordered_rows(a.input);
  OpenModel open(a);
  const Tokenizer &tokenizer = *open.model.tokenizer;
  std::vector<SampleRequest> requests;
  for (const auto &[line, ordered] : rows) {
    const json row = ordered;
    const std::string where = row_place(a.input, line);
    const uint32_t positions = open.model.architecture->info().max_positions;
    std::vector<int32_t> ids;
    if (is_conversation(row)) {
      ids = encode_of_row(tokenizer, rendered(tokenizer, ordered, true, where), where + ": messages");
      if (ids.empty() || ids.size() >= positions)
        throw Failure(where + ": messages: make " + std::to_string(ids.size()) + " tokens, and the model needs at least 1 and has " + std::to_string(positions) +
                      " positions for them and a response");
    } else {
      ids = prompt_ids(tokenizer, {row, "", where}, positions);
    }
    requests.push_back({std::move(ids), 1, static_cast<uint32_t>(requests.size())});
  }
  SampleSettings settings = sample_settings(a, tokenizer);
  Sampler sampler(kernels(), open.pool);
  std::atomic<int> &flag = interrupt_flag();
  // Each row is written as soon as it and all before it have ended: what is done stays when the rest is interrupted.
  std::map<size_t, std::string> waiting;
  std::atomic<size_t> done{0};
  size_t written = 0;
  std::optional<Progress> progress;
  std::mutex progress_lock;
  std::atomic<uint64_t> tokens{0};
  if (!isatty(STDOUT_FILENO)) progress.emplace("generate", rows.size());  // on a terminal the rows show how far it is
  settings.on_token = [&](size_t, int32_t) { return ++tokens, true; };
  const auto tell = [&] {
    const std::lock_guard hold(progress_lock);
    if (progress) progress->update(done, std::to_string(tokens.load()) + " tokens");
  };
  sampler.generate(
      *open.model.weights, &tokenizer, requests, settings,
      [&](size_t i, const SampledRow &row) {
        refuse_unless_finite(row.logp, row_place(a.input, rows[i].first), a.model);
        nlohmann::ordered_json out;
        out["text"] = response_text(tokenizer, row.ids);
        out["tokens"] = row.ids;
        out["logprobs"] = row.logp;
        out["truncated"] = row.truncated;
        waiting[i] = out.dump() + "\n";
        for (; !waiting.empty() && waiting.begin()->first == written; ++written, waiting.erase(waiting.begin()))
          std::cout << waiting.begin()->second << std::flush;
        ++done;
        tell();
      },
      [&] { return tell(), flag.load() != 0; });
  if (flag == 0) return 0;
  log_warning("generate: interrupted; " + std::to_string(written) + " of " + std::to_string(rows.size()) + " rows were written");
  return 128 + flag;
}

int logprobs_verb(const Arguments &a) {
  const auto rows = read_numbered_rows(a.input);
  OpenModel open(a);
  const hone_model_info &info = open.model.architecture->info();
  std::vector<std::vector<int32_t>> sequences;
  for (const auto &[line, row] : rows) {
    const std::string where = row_place(a.input, line);
    if (row.contains("tokens")) sequences.push_back(token_list(row, info.vocab_size, where));
    else sequences.push_back(encode_of_row(*open.model.tokenizer, column_text(row, "text", where), where + ": text", a.add_special_tokens));
    if (sequences.back().size() > info.max_positions)
      throw Failure(where + ": has " + std::to_string(sequences.back().size()) + " tokens, more than the model's " + std::to_string(info.max_positions) + " positions");
  }
  // A sequence of one token (or none) has no log-prob, and needs no model.
  std::vector<std::vector<int32_t>> longer;
  for (const auto &ids : sequences)
    if (ids.size() > 1) longer.push_back(ids);
  auto scored = longer.empty() ? std::vector<ScoredTokens>{}
                                     : score_tokens(kernels(), open.pool, *open.model.weights, longer, std::vector<uint32_t>(longer.size(), 1u), 1.0f);
  size_t next = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    nlohmann::ordered_json out;
    out["tokens"] = sequences[i];
    const std::vector<float> logp = sequences[i].size() > 1 ? std::move(scored[next++].logp) : std::vector<float>();
    refuse_unless_finite(logp, row_place(a.input, rows[i].first), a.model);
    out["logprobs"] = logp;
    std::cout << out.dump() << "\n";
  }
  return 0;
}

int tokenize_verb(const Arguments &a) {
  const auto rows = read_numbered_rows(a.input);
  const auto tokenizer = read_model_tokenizer(a.model);
  for (const auto &[line, row] : rows) {
    const std::string where = row_place(a.input, line);
    const std::vector<int32_t> ids = encode_of_row(*tokenizer, column_text(row, "text", where), where + ": text", a.add_special_tokens);
    nlohmann::ordered_json out;
    out["ids"] = ids;
    out["text"] = tokenizer->decode(ids);
    std::cout << out.dump() << "\n";
  }
  return 0;
}

}  // namespace hone
