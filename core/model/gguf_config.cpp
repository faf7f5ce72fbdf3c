// gguf_config.cpp -- see gguf_config.h. The keys of the metadata are those of ggml's docs/gguf.md and of llama.cpp's
// converter.
#include "core/model/gguf_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model/gguf_rope.h"

namespace hone {
namespace {
using nlohmann::json;

struct Family {
  const char *architecture;              // general.architecture
  std::vector<std::string> model_types;  // the first is what a file of the architecture is read as
};
const Family kFamilies[] = {{"llama", {"llama", "mistral"}},
                            {"qwen2", {"qwen2"}},
                            {"qwen3", {"qwen3"}},
                            {"qwen3moe", {"qwen3_moe"}},
                            {"deepseek2", {"deepseek_v2", "deepseek_v3"}}};

enum Gate : int64_t { none = 0, softmax = 1, sigmoid = 2 };  // expert_gating_func; absent means softmax

// The metadata of one architecture, by the keys' ends; remembers what was asked for.
class Settings {
 public:
  Settings(const Gguf &file, std::string architecture) : file_(file), architecture_(std::move(architecture)) {}

  std::string key(const std::string &end) {
    std::string name = architecture_ + "." + end;
    asked_.insert(name);
    return name;
  }
  bool has(const std::string &end) { return file_.has(key(end)); }
  int64_t count(const std::string &end) { return checked(end, uniform(end)); }
  int64_t count(const std::string &end, int64_t fallback) { return has(end) ? count(end) : fallback; }
  double number(const std::string &end) { return file_.number(key(end)); }
  double number(const std::string &end, double fallback) { return file_.number(key(end), fallback); }
  bool boolean(const std::string &end, bool fallback) { return file_.boolean(key(end), fallback); }

  [[noreturn]] void refuse(const std::string &end, const std::string &value, const std::string &why) {
    throw Failure(file_.path().string() + ": metadata \"" + key(end) + "\" is " + value + "; " + why);
  }

  // Keys under the architecture's name that nobody asked for.
  std::vector<std::string> unused() const {
    std::vector<std::string> names;
    for (const auto &[name, value] : file_.metadata())
      if (name.starts_with(architecture_ + ".") && !name.starts_with(architecture_ + ".rope.") &&
          !asked_.contains(name))
        names.push_back(name);
    return names;
  }

 private:
  // Some counts may be given for each layer; hone's models have them all alike.
  int64_t uniform(const std::string &end) {
    const std::string name = key(end);
    const auto found = file_.metadata().find(name);
    if (found == file_.metadata().end() || !found->second.is_array) return file_.integer(name);
    const std::vector<int64_t> each = file_.integers(name);
    for (int64_t one : each)
      if (one != each.front()) refuse(end, "not the same in all layers", "hone's models have layers alike");
    if (each.empty()) refuse(end, "an empty array", "it must be a number");
    return each.front();
  }
  int64_t checked(const std::string &end, int64_t value) {
    if (value < 0 || value > INT32_MAX) refuse(end, std::to_string(value), "it must be a count");
    return value;
  }
  const Gguf &file_;
  std::string architecture_;
  std::set<std::string> asked_;
};

void read_attention(json &config, Settings &s, const Gguf &file) {
  const int64_t heads = s.count("attention.head_count");
  if (heads == 0) s.refuse("attention.head_count", "0", "a model needs heads");
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = s.count("attention.head_count_kv", heads);
  const int64_t rotated = s.count("rope.dimension_count", 0);
  const int64_t width = s.count("attention.key_length", rotated ? rotated : s.count("embedding_length") / heads);
  if (const int64_t value = s.count("attention.value_length", width); value != width)
    s.refuse("attention.value_length", std::to_string(value),
             "it must equal attention.key_length, " + std::to_string(width));
  if (rotated && rotated != width)
    s.refuse("rope.dimension_count", std::to_string(rotated),
             "only whole heads of " + std::to_string(width) + " are rotated here");
  config["head_dim"] = width;
  if (const int64_t window = s.count("attention.sliding_window", 0))
    s.refuse("attention.sliding_window", std::to_string(window), "hone's models attend to all tokens");
  const std::string type = config["model_type"];
  if (type == "llama") {
    config["attention_bias"] = file.find("blk.0.attn_output.bias") != nullptr;
    config["mlp_bias"] = file.find("blk.0.ffn_down.bias") != nullptr;
  }
  if (type == "qwen3" || type == "qwen3_moe") config["attention_bias"] = file.find("blk.0.attn_q.bias") != nullptr;
}

void read_latent_attention(json &config, Settings &s) {
  config["num_attention_heads"] = config["num_key_value_heads"] = s.count("attention.head_count");
  s.count("attention.head_count_kv", 0);  // 1 where keys and values are kept apart: the latent is one head
  config["kv_lora_rank"] = s.count("attention.kv_lora_rank");
  config["q_lora_rank"] = s.has("attention.q_lora_rank") ? json(s.count("attention.q_lora_rank")) : json();
  const int64_t rotated = s.count("rope.dimension_count");
  const bool apart = s.has("attention.key_length_mla");
  s.count("attention.key_length"), s.count("attention.value_length");
  const int64_t width = s.count(apart ? "attention.key_length_mla" : "attention.key_length");
  if (width <= rotated)
    s.refuse(apart ? "attention.key_length_mla" : "attention.key_length", std::to_string(width),
             "it must be above rope.dimension_count, " + std::to_string(rotated));
  config["qk_rope_head_dim"] = rotated;
  config["qk_nope_head_dim"] = width - rotated;
  config["v_head_dim"] = s.count(apart ? "attention.value_length_mla" : "attention.value_length");
}

void read_latent_experts(json &config, Settings &s, const std::string &where) {
  const int64_t experts = s.count("expert_count", 0);
  config["first_k_dense_replace"] = s.count("leading_dense_block_count", 0);
  if (experts == 0) {
    config["n_routed_experts"] = config["n_shared_experts"] = nullptr;
    config["model_type"] = "deepseek_v3";
    return;
  }
  config["n_routed_experts"] = experts;
  const int64_t shared = s.count("expert_shared_count", 0);
  config["n_shared_experts"] = shared ? json(shared) : json();
  config["num_experts_per_tok"] = s.count("expert_used_count");
  config["moe_intermediate_size"] = s.count("expert_feed_forward_length");
  config["routed_scaling_factor"] = s.number("expert_weights_scale", 1);
  config["norm_topk_prob"] = s.boolean("expert_weights_norm", false);
  config["n_group"] = s.count("expert_group_count", 1);
  config["topk_group"] = s.count("expert_group_used_count", 1);
  const int64_t gate = s.count("expert_gating_func", none);
  if (gate > sigmoid) s.refuse("expert_gating_func", std::to_string(gate), "hone reads 1 (softmax) and 2 (sigmoid)");
  const bool v3 = gate == sigmoid, normalised = config["norm_topk_prob"];
  if (normalised && !v3 && config["num_experts_per_tok"] == 1)
    s.refuse("expert_weights_norm", "true",
             "with a softmax and one expert for a token hone does not normalise its weight");
  if (const double scale = config["routed_scaling_factor"]; normalised && !v3 && scale != 1)
    s.refuse("expert_weights_scale", number_text(scale),
             "with expert_weights_norm and a softmax it must be 1: hone scales only what it does not normalise there");
  config["model_type"] = v3 ? "deepseek_v3" : "deepseek_v2";
  config["scoring_func"] = v3 ? "sigmoid" : "softmax";
  // Files made before the groups were written: both models that have any are known by their numbers of experts.
  const bool lacking = !s.has("expert_group_count");
  if (lacking && experts == (v3 ? 256 : 160)) {
    config["n_group"] = 8;
    config["topk_group"] = v3 ? 4 : 3;
    log_warning(where + ": the metadata does not tell the groups of its " + std::to_string(experts) +
                " experts; taken are those of DeepSeek-" + (v3 ? "V3, 4 of 8" : "V2, 3 of 8"));
  }
  config["topk_method"] = v3 ? "noaux_tc" : config["n_group"] == 1 ? "greedy" : "group_limited_greedy";
}

}  // namespace

json config_from_gguf(const Gguf &file) {
  const std::string where = file.path().string();
  const std::string architecture = file.text("general.architecture");
  const Family *family = nullptr;
  std::vector<std::string> known;
  for (const Family &one : kFamilies) {
    known.push_back(one.architecture);
    if (architecture == one.architecture) family = &one;
  }
  if (!family)
    throw Failure(where + ": general.architecture is \"" + architecture + "\"; hone reads " + join(known, ", "));
  if (const int64_t parts = file.integer("split.count", 1); parts > 1)
    throw Failure(where + ": is one of " + std::to_string(parts) +
                  " parts; join them first (llama-gguf-split --merge)");

  Settings s(file, architecture);
  json config = {{"model_type", family->model_types.front()}, {"hidden_act", "silu"}};
  config["hidden_size"] = s.count("embedding_length");
  config["num_hidden_layers"] = s.count("block_count");
  config["intermediate_size"] = s.count("feed_forward_length");
  config["max_position_embeddings"] = s.count("context_length");
  config["rms_norm_eps"] = s.number("attention.layer_norm_rms_epsilon");
  config["tie_word_embeddings"] = file.find("output.weight") == nullptr;
  const GgufTensor *embedding = file.find("token_embd.weight");
  if (!embedding || embedding->shape.size() != 2)
    throw Failure(where + ": lacks the tensor \"token_embd.weight\" of two dimensions");
  config["vocab_size"] = embedding->shape[0];
  if (const int64_t words = s.count("vocab_size", static_cast<int64_t>(embedding->shape[0]));
      static_cast<uint64_t>(words) != embedding->shape[0])
    s.refuse("vocab_size", std::to_string(words),
             "but token_embd.weight has " + std::to_string(embedding->shape[0]) + " rows");

  if (architecture == "deepseek2") {
    read_latent_attention(config, s);
    read_latent_experts(config, s, where);
    if (const int64_t more = s.count("nextn_predict_layers", 0))
      s.refuse("nextn_predict_layers", std::to_string(more),
               "hone reads multi-token prediction layers from Hugging Face directories only");
  } else {
    read_attention(config, s, file);
    const int64_t experts = s.count("expert_count", 0);
    if (architecture == "qwen3moe") {
      config["num_experts"] = experts;
      config["num_experts_per_tok"] = s.count("expert_used_count");
      config["moe_intermediate_size"] = s.count("expert_feed_forward_length");
      config["norm_topk_prob"] = true;  // so llama.cpp computes it
      config["decoder_sparse_step"] = 1;
      config["mlp_only_layers"] = json::array();
    } else if (experts) {
      s.refuse("expert_count", std::to_string(experts),
               "hone reads no mixture of experts of the architecture " + architecture);
    }
  }
  const double theta = s.number("rope.freq_base", 10000);
  config["rope_theta"] = theta;
  config["rope_scaling"] = rope_scaling_from_gguf(file, architecture, theta);
  if (const auto unused = s.unused(); !unused.empty())
    log_warning(where + ": hone does not use the metadata " + join(unused, ", "));
  return config;
}

std::string config_to_gguf(const json &config, GgufWriter &writer, std::vector<float> &rope_frequency_factors) {
  const std::string type = config.at("model_type");
  std::string architecture;
  for (const Family &family : kFamilies)
    if (std::find(family.model_types.begin(), family.model_types.end(), type) != family.model_types.end())
      architecture = family.architecture;
  if (architecture.empty())
    throw Failure("models of model_type \"" + type +
                  "\" have no architecture in GGUF that hone can write");
  const auto given = [&](const char *key) { return config.contains(key) && !config.at(key).is_null(); };
  const auto whole = [&](const char *key, uint32_t fallback) {
    return given(key) ? config.at(key).get<uint32_t>() : fallback;
  };
  const auto refuse_unless = [&](const char *key, const json &wanted) {
    if (given(key) && config.at(key) != wanted)
      throw Failure(std::string(key) + " is " + config.at(key).dump() + ", but a GGUF file of " + architecture +
                    " always means " + wanted.dump());
  };
  const auto integer = [&](const std::string &end, uint32_t value) {
    writer.set_integer(architecture + "." + end, value);
  };
  const uint32_t heads = whole("num_attention_heads", 0), hidden = whole("hidden_size", 0);
  uint32_t kv_heads = whole("num_key_value_heads", 0), width = whole("head_dim", 0);
  if (kv_heads == 0) kv_heads = heads;
  if (width == 0) width = hidden / heads;

  writer.set_text("general.architecture", architecture);
  integer("block_count", whole("num_hidden_layers", 0));
  integer("context_length", whole("max_position_embeddings", 0));
  integer("embedding_length", hidden);
  integer("feed_forward_length", whole("intermediate_size", 0));
  integer("vocab_size", whole("vocab_size", 0));
  integer("attention.head_count", heads);
  writer.set_number(architecture + ".attention.layer_norm_rms_epsilon", config.at("rms_norm_eps").get<double>());
  const double theta = config.at("rope_theta").get<double>();
  writer.set_number(architecture + ".rope.freq_base", theta);
  uint32_t rotated = width;
  if (architecture == "deepseek2") {
    rotated = whole("qk_rope_head_dim", 0);
    const uint32_t rank = whole("kv_lora_rank", 0), experts = whole("n_routed_experts", 0);
    refuse_unless("moe_layer_freq", 1);
    refuse_unless("attention_bias", false);
    refuse_unless("rope_interleave", true);
    integer("attention.head_count_kv", 1);
    if (whole("q_lora_rank", 0)) integer("attention.q_lora_rank", whole("q_lora_rank", 0));
    integer("attention.kv_lora_rank", rank);
    integer("attention.key_length", rank + rotated);
    integer("attention.value_length", rank);
    integer("attention.key_length_mla", whole("qk_nope_head_dim", 0) + rotated);
    integer("attention.value_length_mla", whole("v_head_dim", 0));
    integer("leading_dense_block_count", experts ? whole("first_k_dense_replace", 0) : whole("num_hidden_layers", 0));
    integer("expert_count", experts);
    if (experts) {
      const uint32_t used = whole("num_experts_per_tok", 0);
      const bool v3 = config.value("scoring_func", "softmax") == "sigmoid";
      const bool grouped = config.value("topk_method", "") != "greedy";
      const bool normalised = config.value("norm_topk_prob", false) && (used > 1 || type != "deepseek_v2");
      // V2 scales only what it does not normalise.
      const double scale = normalised && type == "deepseek_v2" ? 1 : config.value("routed_scaling_factor", 1.0);
      if (normalised && !v3 && (scale != 1 || used == 1))
        throw Failure("routed_scaling_factor " + number_text(scale) +
                      " with norm_topk_prob and the scoring_func softmax has no place in a GGUF file");
      integer("expert_used_count", used);
      integer("expert_shared_count", whole("n_shared_experts", 0));
      integer("expert_feed_forward_length", whole("moe_intermediate_size", 0));
      integer("expert_group_count", grouped ? whole("n_group", 1) : 1);
      integer("expert_group_used_count", grouped ? whole("topk_group", 1) : 1);
      writer.set_number(architecture + ".expert_weights_scale", scale);
      writer.set_boolean(architecture + ".expert_weights_norm", normalised);
      if (v3 != (config.value("topk_method", "") == "noaux_tc"))
        throw Failure("scoring_func \"" + config.value("scoring_func", "softmax") + "\" with topk_method \"" +
                      config.value("topk_method", "") + "\" has no place in a GGUF file");
      integer("expert_gating_func", v3 ? sigmoid : softmax);
    }
  } else {
    integer("attention.head_count_kv", kv_heads);
    integer("attention.key_length", width);
    integer("attention.value_length", width);
    if (architecture == "qwen3moe") {
      refuse_unless("norm_topk_prob", true);
      refuse_unless("decoder_sparse_step", 1);
      refuse_unless("mlp_only_layers", json::array());
      integer("expert_count", whole("num_experts", whole("num_local_experts", 0)));
      integer("expert_used_count", whole("num_experts_per_tok", 0));
      integer("expert_feed_forward_length", whole("moe_intermediate_size", 0));
    }
  }
  integer("rope.dimension_count", rotated);
  rope_frequency_factors =
      rope_scaling_to_gguf(config.value("rope_scaling", json()), architecture, theta, rotated, writer);
  return architecture;
}

}  // namespace hone
