// model_rows.h -- what the verbs that run one model over JSON lines share.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/app/arguments.h"
#include "core/model/model.h"

namespace hone {

struct OpenModel {
  explicit OpenModel(const Arguments &);
  Pool pool;
  Host host;
  Registry registry;
  LoadedModel model;
};

// Token ids of a row's "tokens" (each checked against the vocabulary), or null when it has none.
std::vector<int32_t> token_list(const nlohmann::json &row, uint32_t vocabulary, const std::string &where);

}  // namespace hone
