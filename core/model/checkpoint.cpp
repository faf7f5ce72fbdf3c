// checkpoint.cpp -- a model directory in Hugging Face's layout, in and out; a GGUF file in.
#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/adapter_files.h"
#include "core/model/config_json.h"
#include "core/model/depths.h"
#include "core/model/gguf_source.h"
#include "core/model/model.h"
#include "core/model/model_description.h"
#include "core/model/model_files.h"
#include "core/model/safetensors.h"
#include "core/model/tensor_source.h"
#include "core/model/weight_pieces.h"

namespace hone {
namespace {

void write_description(const std::filesystem::path &directory, const Architecture &architecture,
                       const Tokenizer &tokenizer, const std::string &dtype) {
  nlohmann::json config = architecture.config_json();
  set_dtype(config, dtype == "BF16" ? "bfloat16" : dtype == "F16" ? "float16" : "float32");
  // Null where there is none: some classes of transformers have ids of their own for keys that are left out.
  config["bos_token_id"] = tokenizer.bos() >= 0 ? nlohmann::json(tokenizer.bos()) : nlohmann::json();
  config["eos_token_id"] = tokenizer.eos() >= 0 ? nlohmann::json(tokenizer.eos()) : nlohmann::json();
  config["pad_token_id"] = nullptr;
  write_file_atomically(directory / "config.json", config.dump(2) + "\n");
  for (const auto &[name, text] : tokenizer.files()) write_file_atomically(directory / name, text);
  for (const auto &[name, text] : tokenizer.chat().texts()) {
    if (name == "default") {
      write_file_atomically(directory / "chat_template.jinja", text);
    } else {
      std::filesystem::create_directories(directory / "additional_chat_templates");
      write_file_atomically(directory / "additional_chat_templates" / (name + ".jinja"), text);
    }
  }
}

}  // namespace

LoadedModel load_model(const std::filesystem::path &path, const Registry &registry, const Host &host, uint32_t dtype) {
  if (is_adapter_directory(path)) return load_adapted_model(path, registry, host, dtype);
  const ModelDescription description = describe_model(path, registry, true);
  const bool single = is_model_file(path);
  const std::unique_ptr<Gguf> file = single ? std::make_unique<Gguf>(path) : nullptr;
  const std::unique_ptr<TensorSource> source =
      single ? open_gguf_tensors(*file, description.config) : open_safetensors(path, description.config);

  LoadedModel model;
  model.tokenizer = read_model_tokenizer(path);
  try {
    model.architecture =
        architecture_of_tensors(*description.component, host, description.settings, path.string(),
                                [&](const std::string &name) { return source->shape(name) != nullptr; });
  } catch (const Failure &failure) {  // what the plugin says of the settings, with the file that has them
    throw Failure(after_place(model_config_path(path).string(), failure.what()));
  }
  const std::string shapes_from = single ? "its metadata" : "config.json";
  if (model.tokenizer->size() > model.architecture->info().vocab_size)
    throw Failure(path.string() + ": its tokenizer has " + std::to_string(model.tokenizer->size()) + " tokens, but " +
                  shapes_from + "'s vocab_size is " + std::to_string(model.architecture->info().vocab_size));
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
  write_description(directory, weights.architecture(), tokenizer, dtype);
}

void save_description(const std::filesystem::path &directory, const Architecture &architecture,
                      const Tokenizer &tokenizer) {
  write_description(directory, architecture, tokenizer, "F32");
}

}  // namespace hone
