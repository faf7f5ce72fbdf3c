// model_rows.h -- what the verbs that run one model over JSON lines share.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/app/arguments.h"
#include "core/model/model.h"
#include "core/rollout/sampler.h"

namespace hone {

struct OpenModel {
  explicit OpenModel(const Arguments &);
  Pool pool;
  Host host;
  Registry registry;
  LoadedModel model;
};

// The template that --template names, with the model's special tokens, and the day that --date names.
void use_chat_options(Tokenizer &, const Arguments &);

// A row's "messages" as the model's template writes them, with its "tools", "chat_template_kwargs" and "add_generation_prompt".
std::string rendered(const Tokenizer &, const nlohmann::ordered_json &row, bool add_generation_prompt, const std::string &where);

// As --temperature and its like say; responses end where the tokenizer says.
SampleSettings sample_settings(const Arguments &, const Tokenizer &);

// Token ids of a row's "tokens" (each checked against the vocabulary), or null when it has none.
std::vector<int32_t> token_list(const nlohmann::json &row, uint32_t vocabulary, const std::string &where);

}  // namespace hone
