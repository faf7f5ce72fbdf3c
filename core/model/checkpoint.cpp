// checkpoint.cpp -- a model directory in Hugging Face's layout, in and out.
#include <algorithm>
#include <cstring>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/config_json.h"
#include "core/model/depths.h"
#include "core/model/model.h"
#include "core/model/safetensors.h"
#include "core/model/type_defaults.h"

namespace hone {
namespace {

// One model.safetensors, or the shards that model.safetensors.index.json names.
class TensorFiles {
 public:
  explicit TensorFiles(const std::filesystem::path &directory) : directory_(directory) {
    const auto index = directory / "model.safetensors.index.json";
    if (std::filesystem::exists(directory / "model.safetensors") || !std::filesystem::exists(index)) {
      open("model.safetensors");
      return;
    }
    const nlohmann::json parsed = nlohmann::json::parse(read_file(index), nullptr, false);
    const auto map = parsed.is_object() ? parsed.find("weight_map") : parsed.end();
    if (!parsed.is_object() || map == parsed.end() || !map->is_object())
      throw Failure(index.string() + ": has no \"weight_map\" object");
    std::set<std::string> names;
    for (const auto &[tensor, file] : map->items()) {
      if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos)
        throw Failure(index.string() + ": weight_map[\"" + tensor +
                      "\"] must be the name of a file in the same folder");
      names.insert(file.get<std::string>());
    }
    for (const std::string &name : names) open(name);
  }

  const Safetensors *find(const std::string &tensor) const {
    const auto found = where_.find(tensor);
    return found == where_.end() ? nullptr : found->second;
  }
  const std::map<std::string, const Safetensors *> &all() const { return where_; }

 private:
  void open(const std::string &name) {
    files_.push_back(std::make_unique<Safetensors>(directory_ / name));
    for (const auto &[tensor, view] : files_.back()->tensors())
      if (!where_.emplace(tensor, files_.back().get()).second)
        throw Failure((directory_ / name).string() + ": tensor \"" + tensor + "\" is in another file too");
  }
  std::filesystem::path directory_;
  std::vector<std::unique_ptr<Safetensors>> files_;
  std::map<std::string, const Safetensors *> where_;
};

// A tensor of a checkpoint: a whole parameter, or one expert of it.
struct Piece {
  std::string name;
  std::vector<uint64_t> shape;
  uint64_t offset, size;
  bool copy = false;  // of another piece, under a second name
};

std::vector<Piece> pieces_of(const Weights &weights) {
  std::vector<Piece> pieces;
  for (const ParameterInfo &parameter : weights.parameters()) {
    if (!(parameter.flags & HONE_PARAMETER_EXPERTS)) {
      pieces.push_back(
          {parameter.name, {parameter.dims.begin(), parameter.dims.end()}, parameter.offset, parameter.size});
      continue;
    }
    const size_t at = parameter.name.find("{}");
    const uint64_t each = parameter.size / parameter.dims[0];
    for (uint32_t e = 0; e < parameter.dims[0]; ++e) {
      std::string name = parameter.name;
      name.replace(at, 2, std::to_string(e));
      pieces.push_back({name, {parameter.dims.begin() + 1, parameter.dims.end()}, parameter.offset + e * each, each});
    }
  }
  for (const TensorCopy &copy : weights.architecture().copies()) {
    const ParameterInfo &of = weights.parameters()[copy.parameter];
    pieces.push_back({copy.name, {of.dims.begin(), of.dims.end()}, of.offset, of.size, true});
  }
  return pieces;
}

std::string shape_words(const std::vector<uint64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string name_at(const Weights &weights, uint64_t offset) {
  for (const ParameterInfo &parameter : weights.parameters())
    if (parameter.offset == offset) return parameter.name;
  return "";
}

void read_weights(Weights &weights, const TensorFiles &files, const std::string &where) {
  std::set<std::string> wanted;
  std::vector<std::string> missing;
  std::vector<float> values;
  hone_stream stream = Pool::serial_stream();
  for (const Piece &piece : pieces_of(weights)) {
    wanted.insert(piece.name);
    const Safetensors *file = files.find(piece.name);
    if (!file) {
      if (!piece.copy) missing.push_back(piece.name);
      continue;
    }
    const TensorView &view = file->require(piece.name);
    if (view.shape != piece.shape)
      throw Failure(where + ": tensor \"" + piece.name + "\" has shape " + shape_words(view.shape) +
                    ", but config.json makes it " + shape_words(piece.shape));
    values.resize(piece.size);
    file->read_floats(piece.name, values.data(), piece.size);
    if (piece.copy) {
      std::vector<float> first(piece.size);
      kernels().copy_out(&stream, first.data(), weights.data() + piece.offset, first.size() * sizeof(float));
      if (std::memcmp(first.data(), values.data(), values.size() * sizeof(float)) != 0)
        throw Failure(where + ": tensor \"" + piece.name + "\" must equal \"" + name_at(weights, piece.offset) +
                      "\", which it is a copy of, but it does not; hone trains and writes one of them");
      continue;
    }
    kernels().copy_in(&stream, weights.data() + piece.offset, values.data(), piece.size * sizeof(float));
  }
  const auto few = [](std::vector<std::string> names) {
    const size_t all = names.size();
    if (all > 3) names.resize(3);
    std::string text;
    for (const std::string &name : names) text += (text.empty() ? "\"" : ", \"") + name + "\"";
    return all > 3 ? text + " and " + std::to_string(all - 3) + " more" : text;
  };
  if (!missing.empty()) throw Failure(where + ": lacks the tensor " + few(missing) + " that config.json calls for");
  std::vector<std::string> extra;
  for (const auto &[name, file] : files.all())
    if (!wanted.contains(name) && !name.ends_with("rotary_emb.inv_freq")) extra.push_back(name);
  if (!extra.empty()) throw Failure(where + ": has the tensor " + few(extra) + " that config.json has no place for");
}

}  // namespace

LoadedModel load_model(const std::filesystem::path &directory, const Registry &registry, const Host &host,
                       uint32_t dtype) {
  const auto path = directory / "config.json";
  if (!std::filesystem::exists(path))
    throw Failure(directory.string() + " is not a model directory: it has no config.json");
  nlohmann::json config = read_config(path);
  const std::string type = config["model_type"].get<std::string>();
  const ComponentInfo *component = registry.model_for_type(type);
  if (!component)
    throw Failure(path.string() + ": no model plugin serves model_type \"" + type + "\"; see `hone plugins`");
  config = with_older_spelling(*component, std::move(config), path.string());
  config = with_type_defaults(*component, std::move(config));
  const nlohmann::json settings = check_settings(component->settings, known_settings(*component, config, path),
                                                 path.string() + ": model " + component->name);

  LoadedModel model;
  model.tokenizer = Tokenizer::from_file(directory / "tokenizer.json");
  const TensorFiles files(directory);
  try {
    model.architecture = architecture_of_tensors(*component, host, settings, directory.string(),
                                                 [&](const std::string &name) { return files.find(name) != nullptr; });
  } catch (const Failure &failure) {  // what the plugin says of the settings, with the file that has them
    throw Failure(after_place(path.string(), failure.what()));
  }
  if (model.tokenizer->size() > model.architecture->info().vocab_size)
    throw Failure(directory.string() + ": its tokenizer has " + std::to_string(model.tokenizer->size()) +
                  " tokens, but config.json's vocab_size is " + std::to_string(model.architecture->info().vocab_size));
  model.weights = std::make_unique<Weights>(model.architecture, files.find("score.weight") != nullptr, dtype);
  read_weights(*model.weights, files, directory.string());
  model.weights->changed();
  return model;
}

void save_model(const std::filesystem::path &directory, const Weights &weights, const Tokenizer &tokenizer) {
  std::vector<float> values(weights.total_size());
  hone_stream stream = Pool::serial_stream();
  kernels().copy_out(&stream, values.data(), weights.data(), values.size() * sizeof(float));
  kernels().synchronize(&stream);
  std::vector<TensorToWrite> tensors;
  for (const Piece &piece : pieces_of(weights))
    tensors.push_back({piece.name, "F32", piece.shape, values.data() + piece.offset, piece.size * sizeof(float)});
  write_safetensors(directory / "model.safetensors", tensors, {{"format", "pt"}});
  nlohmann::json config = weights.architecture().config_json();
  set_dtype(config, "float32");
  // Null where there is none: some classes of transformers have ids of their own for keys that are left out.
  config["bos_token_id"] = tokenizer.bos() >= 0 ? nlohmann::json(tokenizer.bos()) : nlohmann::json();
  config["eos_token_id"] = tokenizer.eos() >= 0 ? nlohmann::json(tokenizer.eos()) : nlohmann::json();
  config["pad_token_id"] = nullptr;
  write_file_atomically(directory / "config.json", config.dump(2) + "\n");
  write_file_atomically(directory / "tokenizer.json", tokenizer.json());
  write_file_atomically(directory / "tokenizer_config.json", tokenizer.config_json());
}

}  // namespace hone
