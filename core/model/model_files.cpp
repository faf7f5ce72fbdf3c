// model_files.cpp -- see model_files.h.
#include "core/model/model_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/model/adapter_files.h"
#include "core/model/config_json.h"
#include "core/model/gguf_config.h"
#include "core/model/gguf_model.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

// Of an adapter that was trained elsewhere and describes nothing itself, the base does.
static bool is_described_by_base(const fs::path &directory, const char *file) {
  return !fs::exists(directory / file) && is_adapter_directory(directory);
}

bool is_model_file(const fs::path &path) { return fs::exists(path) && !fs::is_directory(path); }

fs::path model_config_path(const fs::path &path) {
  if (is_model_file(path)) return path;
  return is_described_by_base(path, "config.json") ? model_config_path(adapter_base_path(path)) : path / "config.json";
}

json read_model_config(const fs::path &path) {
  if (is_model_file(path)) return config_from_gguf(Gguf(path));
  if (is_described_by_base(path, "config.json")) return read_model_config(adapter_base_path(path));
  const fs::path file = path / "config.json";
  if (!fs::exists(path))
    throw UsageError(path.string() + ": no such model directory or GGUF file; a model directory has a config.json. Nothing is downloaded: fetch the model first");
  if (!fs::exists(file)) {
    std::string remedy;
    for (const fs::directory_entry &entry : fs::directory_iterator(path))
      if (entry.path().extension() == ".gguf") remedy = "; did you mean the file " + entry.path().string() + "?";
    throw Failure(path.string() + " is not a model directory: it has no config.json" + remedy);
  }
  return read_config(file);
}

std::unique_ptr<Tokenizer> read_model_tokenizer(const fs::path &path) {
  if (is_model_file(path)) return tokenizer_from_gguf(Gguf(path));
  if (is_described_by_base(path, "tokenizer.json")) return read_model_tokenizer(adapter_base_path(path));
  return Tokenizer::from_directory(path);
}

std::vector<fs::path> model_files(const fs::path &path) {
  if (is_model_file(path)) return {path};
  std::vector<fs::path> files;
  for (const fs::path &folder : {path, path / "additional_chat_templates"}) {
    if (!fs::is_directory(folder)) continue;
    for (const fs::directory_entry &file : fs::directory_iterator(folder))
      if (const fs::path kind = file.path().extension();
          file.is_regular_file() && (kind == ".json" || kind == ".safetensors" || kind == ".jinja"))
        files.push_back(file.path());
  }
  if (is_adapter_directory(path))
    for (const fs::path &file : model_files(adapter_base_path(path))) files.push_back(file);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace hone
