// data.h -- the rows behind a script's data handles, and rows as token sequences.
#pragma once

#include <functional>

#include "core/stage/context.h"
#include "core/train/trainer.h"

namespace hone {

struct DataRow {
  nlohmann::json columns;  // the whole row, an object
  std::string domain;      // the key in a table of prompts, or ""
  std::string where;       // "FILE:7" or "script.lua:12 row 7", for errors
};

// All rows of data node `index`: read from its file, made by its Lua function, joined, or what a finished stage emitted.
// The same for every call. progress is told about made rows now and then.
std::vector<DataRow> load_data(const RunContext &, int index);

// Rows of a setting that is one handle, a list of them (joined), or one per domain: the domains in order of name.
struct Domain { std::string name; std::vector<DataRow> rows; };
std::vector<Domain> load_domains(const RunContext &, const nlohmann::json &setting);

std::string row_text(const DataRow &, const std::string &column);               // Failure naming row and column
std::string row_text_or(const DataRow &, const std::string &column, const std::string &fallback);

// Token sequences, each of at most max_positions tokens, a prompt of fewer. A prompt is what the tokenizer puts before a text (Tokenizer::prefix_ids:
// <bos>, or nothing) and its text, or its text alone when that begins with a special token already; so is a {text}. A response ends with <eos>. A row with "messages" in place of "prompt" is what the model's chat
// template makes of it (conversations.h), without a <bos> that the template does not write.
std::vector<int32_t> prompt_ids(const Tokenizer &, const DataRow &, uint32_t max_positions);
// {prompt, response}, {messages} with an answer at their end, or {text}: trained from the response on, or from the first token with prompt_weight > 0.
TrainRow row_to_train(const Tokenizer &, const DataRow &, double prompt_weight, uint32_t max_positions);
// {prompt, chosen, rejected}: two rows of one group, chosen first; only the last token of each counts for a reward model.
std::pair<TrainRow, TrainRow> pair_to_train(const Tokenizer &, const DataRow &, uint32_t group, uint32_t max_positions);
// The text of a response without its end-of-sequence token.
std::string response_text(const Tokenizer &, const std::vector<int32_t> &ids);

// A permutation of 0 .. n-1 that depends on the key only (Fisher-Yates over Philox).
std::vector<uint32_t> permutation(uint32_t n, uint64_t seed, uint32_t stage, uint32_t pass);

// What a mapping function makes of row i (from 1); null: it is left out. Failure naming the script's place and `where`.
nlohmann::json mapped_row(Script &, const Pipeline &, const DataNode &, const nlohmann::json &row, uint64_t i, const std::string &where);

}  // namespace hone
