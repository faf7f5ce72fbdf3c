// config_json.cpp -- see config_json.h. The keys are those of transformers' PreTrainedConfig, versions 4 and 5.
#include "core/model/config_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model/json_file.h"
#include "core/text/json_member.h"

namespace hone {
namespace {
using nlohmann::json;

// Keys that tell of training, generation or bookkeeping, never of the forward pass.
bool is_bookkeeping(const std::string &key) {
  static const std::set<std::string> keys = {"_attn_implementation",
                                             "_name_or_path",
                                             "architectures",
                                             "attention_dropout",
                                             "auto_map",
                                             "bos_token_id",
                                             "chunk_size_feed_forward",
                                             "cross_attention_hidden_size",
                                             "dtype",
                                             "eos_token_id",
                                             "head_dim",  // of models that do not ask for it: follows from others
                                             "id2label",
                                             "initializer_range",
                                             "is_decoder",
                                             "is_encoder_decoder",
                                             "is_llama_config",
                                             "label2id",
                                             "max_window_layers",
                                             "model_type",
                                             "num_labels",
                                             "output_attentions",
                                             "output_hidden_states",
                                             "output_router_logits",
                                             "pad_token_id",
                                             "pretraining_tp",
                                             "problem_type",
                                             "qk_head_dim",  // likewise
                                             "return_dict",
                                             "router_aux_loss_coef",  // of a loss that hone does not add: docs/models.md
                                             "rope_interleaved",
                                             "tokenizer_class",
                                             "torch_dtype",
                                             "transformers.js_config",
                                             "transformers_version",
                                             "use_cache"};
  return keys.contains(key);
}

// {a name that some files use, the name that a plugin may know}
constexpr std::pair<const char *, const char *> kOtherNames[] = {{"num_local_experts", "num_experts"},
                                                                 {"num_local_experts", "n_routed_experts"}};

// Without them every shape would be a guess.
constexpr const char *kSizes[] = {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"};

const Setting *find_setting(const ComponentInfo &component, const std::string &name) {
  for (const Setting &setting : component.settings)
    if (setting.name == name) return &setting;
  return nullptr;
}

bool is_given(const json &object, const char *key) { return object.contains(key) && !object[key].is_null(); }

// "10000.0" in quotes is the number; anything else stays as it is.
json as_number(const json &value) {
  if (!value.is_string()) return value;
  const auto &text = value.get_ref<const std::string &>();
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return value;
  return number;
}

void check_dtype(const json &config, const std::string &where) {
  static const std::set<std::string> known = {"auto", "float64", "float32", "float16", "bfloat16", "float8_e4m3fn"};
  for (const char *key : {"torch_dtype", "dtype"}) {
    if (!is_given(config, key)) continue;
    std::string name = config[key].is_string() ? config[key].get<std::string>() : "";
    if (name.starts_with("torch.")) name.erase(0, 6);
    if (!known.contains(name))
      throw Failure(where + ": " + key + " is " + config[key].dump() +
                    ", which is unknown; it may be \"float32\", \"bfloat16\", \"float16\" or \"float8_e4m3fn\"");
  }
}

// A table of rotary positions, with "rope_type" for its older name "type", and without theta, which goes to `theta`.
json read_scaling(const json &config, const char *key, json &theta, const std::string &where) {
  json table = config[key];
  if (!table.is_object()) throw Failure(where + ": " + key + " is " + table.dump() + ", but must be a table or null");
  for (auto &[name, value] : table.items()) {
    if (value.is_object())
      throw Failure(where + ": " + key + " has \"" + name +
                    "\": positions that differ by kinds of layers, but hone's models have one kind for all");
    value = as_number(value);
  }
  if (!is_given(table, "rope_type") && is_given(table, "type")) table["rope_type"] = table["type"];
  table.erase("type");
  if (is_given(table, "rope_type") && !table["rope_type"].is_string())
    throw Failure(where + ": " + key + "'s rope_type is " + table["rope_type"].dump() + ", but must be a name");
  if (is_given(table, "rope_theta")) theta = table["rope_theta"];
  table.erase("rope_theta");
  if (is_given(table, "partial_rotary_factor") && table["partial_rotary_factor"] == 1)
    table.erase("partial_rotary_factor");
  for (auto entry = table.begin(); entry != table.end();)
    entry = entry->is_null() ? table.erase(entry) : std::next(entry);
  if (table == json{{"rope_type", "default"}}) table.clear();
  return table;
}

void read_rope(json &config, const std::string &where) {
  json theta = is_given(config, "rope_theta") ? as_number(config["rope_theta"]) : json(), scaling, inner;
  if (is_given(config, "rope_scaling")) scaling = read_scaling(config, "rope_scaling", inner, where);
  if (is_given(config, "rope_parameters")) {
    const json newer = read_scaling(config, "rope_parameters", inner, where);
    if (scaling.is_object() && scaling != newer)
      throw Failure(where + ": has rope_scaling " + scaling.dump() + " and rope_parameters " + newer.dump() +
                    ", which disagree; take one of them out");
    scaling = newer;
  }
  config.erase("rope_parameters");
  if (!theta.is_null() && !inner.is_null() && theta != inner)
    throw Failure(where + ": rope_theta is " + theta.dump() + ", but " + inner.dump() +
                  " among the parameters of positions; take one of them out");
  if (theta.is_null()) theta = inner;
  if (!theta.is_null()) config["rope_theta"] = theta;
  if (is_given(config, "partial_rotary_factor") && config["partial_rotary_factor"] != 1)
    scaling["partial_rotary_factor"] = config["partial_rotary_factor"];
  config.erase("partial_rotary_factor");
  if (scaling.is_null() || scaling.empty()) {
    if (config.contains("rope_scaling")) config["rope_scaling"] = nullptr;
    return;
  }
  // Beside the table in some files, and then what counts.
  if (is_given(config, "original_max_position_embeddings"))
    scaling["original_max_position_embeddings"] = config["original_max_position_embeddings"];
  config.erase("original_max_position_embeddings");
  config["rope_scaling"] = scaling;
}

}  // namespace

json read_config(const std::filesystem::path &path) {
  json config = read_json_object(path);
  const auto type = config.find("model_type");
  if (type == config.end() || type->is_null())
    throw Failure(path.string() + ": has no \"model_type\"; it is not a config.json of a model");
  if (!type->is_string()) throw Failure(path.string() + ": model_type is " + json_shown(*type) + ", but must be a name such as \"llama\"");
  return config;
}

json with_older_spelling(const ComponentInfo &component, json config, const std::string &where) {
  check_dtype(config, where);
  for (const char *size : kSizes)
    if (find_setting(component, size) && !is_given(config, size))
      throw Failure(where + ": lacks \"" + size + "\", without which the tensors' shapes are not known");
  read_rope(config, where);
  for (const auto &[other, name] : kOtherNames) {
    if (!is_given(config, other) || find_setting(component, other) || !find_setting(component, name)) continue;
    if (is_given(config, name) && config[name] != config[other])
      throw Failure(where + ": " + name + " is " + config[name].dump() + ", but " + other +
                    ", which means the same, is " + config[other].dump());
    config[name] = config[other];
    config.erase(other);
  }
  return config;
}

json known_settings(const ComponentInfo &component, const json &config, const std::filesystem::path &path,
                    bool tell_unused) {
  json given = json::object();
  std::vector<std::string> ignored;
  for (const auto &[key, value] : config.items()) {
    if (value.is_null()) continue;
    if (const Setting *setting = find_setting(component, key))
      given[key] = setting->type == HONE_INT || setting->type == HONE_FLOAT ? as_number(value) : value;
    else if (!is_bookkeeping(key))
      ignored.push_back(key);
  }
  if (tell_unused && !ignored.empty())
    log_warning(path.string() + ": model " + component.name + " does not use " + join(ignored, ", "));
  return given;
}

void set_dtype(json &config, const std::string &name) { config["torch_dtype"] = config["dtype"] = name; }

}  // namespace hone
