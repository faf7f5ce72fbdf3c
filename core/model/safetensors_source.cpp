// safetensors_source.cpp -- the tensors of a Hugging Face directory. F8_E4M3 weights are multiplied by their blocks'
// scales as DeepSeek-V3 keeps them (arXiv 2412.19437, section 3.3): W[i, j] = w8[i, j] * weight_scale_inv[i / 128, j /
// 128].
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/layout.h"
#include "core/model/safetensors.h"
#include "core/model/tensor_source.h"
#include "core/text/json_member.h"

namespace hone {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

const char *const kScale = "_scale_inv";

struct Block {
  uint64_t rows = 0, columns = 0;  // 0: config.json names no blocks
};

Block block_size(const json &config, const std::string &where) {
  const auto found = config.find("quantization_config");
  if (found == config.end() || found->is_null()) return {};
  const std::string key = where + ": quantization_config";
  if (!found->is_object()) throw Failure(key + " must be an object, not " + json_shown(*found));
  const json method = found->value("quant_method", json());
  if (method != "fp8")
    throw Failure(key + ": quant_method " + json_shown(method) +
                  " is not supported; hone reads \"fp8\" with a weight_block_size, and unquantised weights");
  const json size = found->value("weight_block_size", json());
  const auto is_count = [](const json &n) { return n.is_number_integer() && n > 0 && n <= 1 << 20; };
  if (!size.is_array() || size.size() != 2 || !is_count(size[0]) || !is_count(size[1]))
    throw Failure(key + ": weight_block_size must be two whole numbers such as [128, 128], not " +
                  json_shown(size));
  return {size[0].get<uint64_t>(), size[1].get<uint64_t>()};
}

[[noreturn]] void refuse_without_weights(const fs::path &directory) {
  std::string other;
  for (const char *name : {"pytorch_model.bin", "pytorch_model.bin.index.json"})
    if (fs::exists(directory / name))
      other = "; it has " + std::string(name) + ", which transformers writes as safetensors: from_pretrained(...).save_pretrained(...)";
  throw Failure(directory.string() + ": has no weights: no model.safetensors and no model.safetensors.index.json" + other);
}

class SafetensorsSource final : public TensorSource {
 public:
  SafetensorsSource(const fs::path &directory, const json &config)
      : directory_(directory), block_(block_size(config, (directory / "config.json").string())) {
    const fs::path index = directory / "model.safetensors.index.json";
    if (!fs::exists(directory / "model.safetensors") && !fs::exists(index)) refuse_without_weights(directory);
    if (fs::exists(directory / "model.safetensors"))
      open("model.safetensors");
    else
      open_shards(index);
    for (const auto &[name, file] : files_of_)
      if (file->require(name).dtype == "F8_E4M3") check_scale(name);
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto &[name, file] : files_of_)
      if (!scales_.contains(name)) names.push_back(name);
    return names;
  }

  const std::vector<uint64_t> *shape(const std::string &name) const override {
    const auto found = files_of_.find(name);
    return found == files_of_.end() || scales_.contains(name) ? nullptr : &found->second->require(name).shape;
  }

  std::string where(const std::string &name) const override { return files_of_.at(name)->path().string(); }

  void read_floats(const std::string &name, uint64_t begin, uint64_t count, float *to) const override {
    const Safetensors &file = *files_of_.at(name);
    file.read_floats(name, begin, count, to);
    const TensorView &view = file.require(name);
    if (view.dtype != "F8_E4M3") return;
    const std::string scale = name + kScale;
    const Safetensors &scale_file = *files_of_.at(scale);
    const uint64_t columns = view.shape[1], scale_columns = scale_file.require(scale).shape[1];
    std::vector<float> row(scale_columns);
    uint64_t row_read = UINT64_MAX;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t at = begin + i, wanted = at / columns / block_.rows;
      if (wanted != row_read) scale_file.read_floats(scale, wanted * scale_columns, scale_columns, row.data());
      row_read = wanted;
      to[i] *= row[at % columns / block_.columns];
    }
  }

 private:
  const Safetensors &open(const std::string &name) {
    files_.push_back(std::make_unique<Safetensors>(directory_ / name));
    for (const auto &[tensor, view] : files_.back()->tensors())
      if (!files_of_.emplace(tensor, files_.back().get()).second)
        throw Failure((directory_ / name).string() + ": tensor \"" + tensor + "\" is in another file too");
    return *files_.back();
  }

  void open_shards(const fs::path &index) {
    const std::string text = read_file(index);
    refuse_deep_json(text, index.string());
    const json parsed = json::parse(text, nullptr, false);
    if (parsed.is_discarded()) throw Failure(index.string() + ": not JSON; is the file damaged or cut short?");
    if (!parsed.is_object() || !parsed.contains("weight_map") || !parsed["weight_map"].is_object())
      throw Failure(index.string() + ": has no \"weight_map\" object");
    std::map<std::string, std::vector<std::string>> tensors_of;
    for (const auto &[tensor, file] : parsed["weight_map"].items()) {
      const std::string name = file.is_string() ? file.get<std::string>() : "";
      if (name.empty() || name == "." || name == ".." ||
          name.find_first_of(std::string("/\\\0", 3)) != std::string::npos)
        throw Failure(index.string() + ": weight_map[\"" + tensor +
                      "\"] must be the name of a file in the same folder, not " + json_shown(file));
      tensors_of[name].push_back(tensor);
    }
    for (const auto &[name, tensors] : tensors_of) {
      if (!fs::exists(directory_ / name))
        throw Failure(index.string() + ": weight_map names the file " + name + " for \"" + tensors.front() +
                      "\", but there is no such file in " + directory_.string());
      const Safetensors &file = open(name);
      for (const std::string &tensor : tensors)
        if (!file.tensors().contains(tensor))
          throw Failure(index.string() + ": weight_map says that \"" + tensor + "\" is in " + name + ", but it is not");
    }
  }

  void check_scale(const std::string &name) {
    const std::string where = this->where(name) + ": tensor \"" + name + "\" of dtype F8_E4M3";
    const auto &shape = files_of_.at(name)->require(name).shape;
    if (!block_.rows)
      throw Failure(where + " needs quantization_config.weight_block_size in config.json, which has none");
    if (shape.size() != 2) throw Failure(where + " must be a matrix, not of shape " + shape_text(shape));
    const auto scale = files_of_.find(name + kScale);
    if (scale == files_of_.end()) throw Failure(where + " has no scales: there is no tensor \"" + name + kScale + "\"");
    const TensorView &view = scale->second->require(scale->first);
    const std::vector<uint64_t> wanted = {(shape[0] + block_.rows - 1) / block_.rows,
                                          (shape[1] + block_.columns - 1) / block_.columns};
    if (view.shape != wanted || view.dtype == "F8_E4M3")
      throw Failure(this->where(scale->first) + ": tensor \"" + scale->first + "\" of dtype " + view.dtype +
                    " has shape " + shape_text(view.shape) + ", but blocks of " +
                    shape_text(std::vector<uint64_t>{block_.rows, block_.columns}) + " in " + shape_text(shape) +
                    " need " + shape_text(wanted) + " of F32 or BF16");
    scale->second->read_floats(scale->first, 0, 0, nullptr);  // its type
    scales_.insert(scale->first);
  }

  fs::path directory_;
  Block block_;
  std::vector<std::unique_ptr<Safetensors>> files_;
  std::map<std::string, const Safetensors *> files_of_;  // by tensor
  std::set<std::string> scales_;
};

}  // namespace

std::unique_ptr<TensorSource> open_safetensors(const fs::path &directory, const json &config) {
  return std::make_unique<SafetensorsSource>(directory, config);
}

}  // namespace hone
