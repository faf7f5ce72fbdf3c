// checkpoint.cpp -- a model directory in Hugging Face's layout, in and out; a GGUF file in.
#include <algorithm>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model/gguf_source.h"
#include "core/model/model.h"
#include "core/model/model_files.h"
#include "core/model/safetensors.h"
#include "core/model/tensor_source.h"
#include "core/model/weight_pieces.h"

namespace hone {
namespace {

// Keys that tell of training, generation or bookkeeping, never of the forward pass.
bool is_bookkeeping(const std::string &key) {
  static const std::set<std::string> keys = {"architectures",
                                             "model_type",
                                             "torch_dtype",
                                             "dtype",
                                             "transformers_version",
                                             "use_cache",
                                             "bos_token_id",
                                             "eos_token_id",
                                             "pad_token_id",
                                             "attention_dropout",
                                             "auto_map",
                                             "pretraining_tp",
                                             "_name_or_path",
                                             "initializer_range",
                                             "output_router_logits",
                                             "return_dict",
                                             "output_hidden_states",
                                             "output_attentions",
                                             "id2label",
                                             "label2id",
                                             "problem_type",
                                             "is_decoder",
                                             "cross_attention_hidden_size",
                                             "is_encoder_decoder",
                                             "tokenizer_class",
                                             "num_labels"};
  return keys.contains(key);
}

// What the component's settings know of config.json; null means "not given". Other keys are told, unless harmless.
nlohmann::json known_settings(const ComponentInfo &component, const nlohmann::json &config,
                              const std::filesystem::path &path) {
  nlohmann::json given = nlohmann::json::object();
  std::vector<std::string> ignored;
  for (const auto &[key, value] : config.items()) {
    const bool known = std::any_of(component.settings.begin(), component.settings.end(),
                                   [&, &key = key](const Setting &s) { return s.name == key; });
    if (known && !value.is_null())
      given[key] = value;
    else if (!known && !value.is_null() && !is_bookkeeping(key))
      ignored.push_back(key);
  }
  if (!ignored.empty())
    log_warning(path.string() + ": model " + component.name + " does not use " + join(ignored, ", "));
  return given;
}

}  // namespace

LoadedModel load_model(const std::filesystem::path &path, const Registry &registry, const Host &host, uint32_t dtype) {
  nlohmann::json config = read_model_config(path);
  const std::filesystem::path config_path = model_config_path(path);
  const std::string type = config["model_type"].get<std::string>();
  const ComponentInfo *component = registry.model_for_type(type);
  if (!component)
    throw Failure(config_path.string() + ": no model plugin serves model_type \"" + type + "\"; see `hone plugins`");
  const nlohmann::json quantization = {{"quantization_config", config.value("quantization_config", nlohmann::json())}};
  config.erase("quantization_config");  // how numbers are stored: the reader's matter, not the model's
  const nlohmann::json settings = check_settings(component->settings, known_settings(*component, config, config_path),
                                                 config_path.string() + ": model " + component->name);

  LoadedModel model;
  model.tokenizer = read_model_tokenizer(path);
  model.architecture = std::make_shared<const Architecture>(*component, host, settings);
  const bool single = is_model_file(path);
  const std::string shapes_from = single ? "its metadata" : "config.json";
  if (model.tokenizer->size() > model.architecture->info().vocab_size)
    throw Failure(path.string() + ": its tokenizer has " + std::to_string(model.tokenizer->size()) + " tokens, but " +
                  shapes_from + "'s vocab_size is " + std::to_string(model.architecture->info().vocab_size));
  const std::unique_ptr<Gguf> file = single ? std::make_unique<Gguf>(path) : nullptr;
  const std::unique_ptr<TensorSource> source =
      single ? open_gguf_tensors(*file, config) : open_safetensors(path, quantization);
  model.weights = std::make_unique<Weights>(model.architecture, source->shape("score.weight") != nullptr, dtype);
  read_weights(*model.weights, *source, path.string(), shapes_from);
  return model;
}

void save_model(const std::filesystem::path &directory, const Weights &weights, const Tokenizer &tokenizer,
                const std::string &dtype) {
  const std::vector<WeightPiece> pieces = weight_pieces(weights);
  std::vector<TensorPlan> plans;
  for (const WeightPiece &piece : pieces) plans.push_back({piece.name, dtype, piece.shape});
  SafetensorsWriter writer(directory / "model.safetensors", plans, {{"format", "pt"}});
  for (const WeightPiece &piece : pieces)
    encode_weights(weights, piece.offset, piece.size, dtype, piece.name, piece.shape,
                   [&](const void *data, uint64_t bytes) { writer.write(data, bytes); });
  writer.finish();
  nlohmann::json config = weights.architecture().config_json();
  // Some of transformers' classes take null for a number, others have a default of their own for what is absent.
  if (const auto width = config.find("head_dim"); width != config.end() && width->is_null())
    *width = config.at("hidden_size").get<uint32_t>() / config.at("num_attention_heads").get<uint32_t>();
  config["torch_dtype"] = dtype == "BF16" ? "bfloat16" : dtype == "F16" ? "float16" : "float32";
  if (tokenizer.bos() >= 0) config["bos_token_id"] = tokenizer.bos();
  if (tokenizer.eos() >= 0) config["eos_token_id"] = tokenizer.eos();
  write_file_atomically(directory / "config.json", config.dump(2) + "\n");
  write_file_atomically(directory / "tokenizer.json", tokenizer.json());
  write_file_atomically(directory / "tokenizer_config.json", tokenizer.config_json());
}

}  // namespace hone
