// checkpoint.cpp -- a model directory in Hugging Face's layout, in and out; a GGUF file in.
#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/adapter_files.h"
#include "core/model/config_json.h"
#include "core/model/model.h"
#include "core/model/model_files.h"
#include "core/model/opened_model.h"
#include "core/model/safetensors.h"
#include "core/model/weight_pieces.h"

namespace hone {
namespace {

void write_description(const std::filesystem::path &directory, const Architecture &architecture,
                       const Tokenizer &tokenizer, const std::string &dtype) {
  nlohmann::json config = architecture.config_json();
  set_dtype(config, dtype == "BF16" ? "bfloat16" : dtype == "F16" ? "float16" : "float32");
  // Null where there is none: some classes of transformers have ids of their own for keys that are left out.
  config["bos_token_id"] = tokenizer.bos() >= 0 ? nlohmann::json(tokenizer.bos()) : nlohmann::json();
  const std::vector<int32_t> stops = tokenizer.stop_ids();
  config["eos_token_id"] = stops.empty()      ? nlohmann::json()
                           : stops.size() == 1 ? nlohmann::json(stops[0])
                                               : nlohmann::json(stops);
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

LoadedModel load_model(const std::filesystem::path &path, const Registry &registry, const Host &host, uint32_t dtype,
                       const EachTensor &each) {
  if (is_adapter_directory(path)) return load_adapted_model(path, registry, host, dtype, each);
  const OpenedModel opened = open_model(path, registry, host, true);
  LoadedModel model;
  model.architecture = opened.architecture;
  model.tokenizer = read_model_tokenizer(path);
  check_token_count(path, *model.tokenizer, *model.architecture);
  const bool value_head = has_value_head(*opened.tensors);
  check_tensors(*model.architecture, value_head, *opened.tensors, path.string(), opened.shapes_from);
  model.weights = std::make_unique<Weights>(model.architecture, value_head, dtype);
  read_weights(*model.weights, *opened.tensors, path.string(), opened.shapes_from, each);
  return model;
}

void save_model(const std::filesystem::path &directory, const Weights &weights, const Tokenizer &tokenizer,
                const std::string &dtype, const EachTensor &each) {
  const std::vector<WeightPiece> pieces = weight_pieces(weights);
  std::vector<TensorPlan> plans;
  const auto dtype_of = [&](const WeightPiece &piece) { return piece.exact ? std::string("F32") : dtype; };
  for (const WeightPiece &piece : pieces) plans.push_back({piece.name, dtype_of(piece), piece.shape});
  SafetensorsWriter writer(directory / "model.safetensors", plans, {{"format", "pt"}});
  for (const WeightPiece &piece : pieces) {
    if (each) each(&piece - pieces.data(), pieces.size());
    encode_weights(weights, piece.offset, piece.size, dtype_of(piece), piece.name, piece.shape,
                   [&](const void *data, uint64_t bytes) { writer.write(data, bytes); });
  }
  if (each) each(pieces.size(), pieces.size());
  writer.finish();
  write_description(directory, weights.architecture(), tokenizer, dtype);
}

void save_description(const std::filesystem::path &directory, const Architecture &architecture,
                      const Tokenizer &tokenizer) {
  write_description(directory, architecture, tokenizer, "F32");
}

}  // namespace hone
