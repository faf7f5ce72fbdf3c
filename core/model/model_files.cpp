// model_files.cpp -- see model_files.h.
#include "core/model/model_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/gguf_config.h"
#include "core/model/gguf_model.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

bool is_model_file(const fs::path &path) { return fs::exists(path) && !fs::is_directory(path); }

fs::path model_config_path(const fs::path &path) { return is_model_file(path) ? path : path / "config.json"; }

json read_model_config(const fs::path &path) {
  if (is_model_file(path)) return config_from_gguf(Gguf(path));
  const fs::path file = path / "config.json";
  if (!fs::exists(path))
    throw Failure(path.string() + ": no such model directory or GGUF file; a model directory has a config.json");
  if (!fs::exists(file)) {
    std::string remedy;
    for (const fs::directory_entry &entry : fs::directory_iterator(path))
      if (entry.path().extension() == ".gguf") remedy = "; did you mean the file " + entry.path().string() + "?";
    throw Failure(path.string() + " is not a model directory: it has no config.json" + remedy);
  }
  const std::string text = read_file(file);
  refuse_deep_json(text, file.string());
  const json config = json::parse(text, nullptr, false);
  if (!config.is_object()) throw Failure(file.string() + ": not a JSON object; is the file damaged?");
  const auto type = config.find("model_type");
  if (type == config.end() || !type->is_string())
    throw Failure(file.string() + ": has no \"model_type\"; it is not a config.json of a model");
  return config;
}

std::unique_ptr<Tokenizer> read_model_tokenizer(const fs::path &path) {
  return is_model_file(path) ? tokenizer_from_gguf(Gguf(path)) : Tokenizer::from_file(path / "tokenizer.json");
}

std::vector<fs::path> model_files(const fs::path &path) {
  if (is_model_file(path)) return {path};
  std::vector<fs::path> files;
  for (const fs::directory_entry &file : fs::directory_iterator(path))
    if (const fs::path kind = file.path().extension();
        file.is_regular_file() && (kind == ".json" || kind == ".safetensors" || kind == ".jinja"))
      files.push_back(file.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace hone
