// golden.h -- reads what tests/parity/deepseek.py wrote: a tiny checkpoint, rows of tokens, and what the reference in
// PyTorch makes of them (in double, held to transformers when it was written).
#pragma once

#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/model/safetensors.h"
#include "tests/support/small_models.h"

namespace hone::test {

inline std::filesystem::path golden_folder(const std::string &name) {
  return std::filesystem::path(HONE_SOURCE_DIR) / "tests/plugins/models/goldens" / name;
}

class Expected {
 public:
  explicit Expected(const std::filesystem::path &folder) : file_(folder / "expected.safetensors") {
    const std::vector<int64_t> tokens = whole("tokens"), start = whole("row_start");
    for (size_t r = 0; r + 1 < start.size(); ++r) rows_.add({tokens.begin() + start[r], tokens.begin() + start[r + 1]});
  }
  const Rows &rows() const { return rows_; }
  bool has(const std::string &name) const { return file_.tensors().contains(name); }
  std::vector<float> floats(const std::string &name) const {
    std::vector<float> out(file_.require(name).bytes / sizeof(float));
    file_.read_floats(name, out.data(), out.size());
    return out;
  }
  // Names of tensors that begin with prefix, without it.
  std::vector<std::string> names(const std::string &prefix) const {
    std::vector<std::string> out;
    for (const auto &[name, view] : file_.tensors())
      if (name.starts_with(prefix)) out.push_back(name.substr(prefix.size()));
    return out;
  }

 private:
  std::vector<int64_t> whole(const std::string &name) const {
    const TensorView &view = file_.require(name);
    if (view.dtype != "I64") throw std::runtime_error(name + " has dtype " + view.dtype);
    std::vector<int64_t> out(view.bytes / sizeof(int64_t));
    std::memcpy(out.data(), view.data, view.bytes);
    return out;
  }
  Safetensors file_;
  Rows rows_;
};

// The gradient [trained_size] as the checkpoint's tensors: each expert's alone.
inline std::map<std::string, std::vector<float>> by_tensor(const Weights &weights, const std::vector<float> &gradient) {
  std::map<std::string, std::vector<float>> out;
  for (const ParameterInfo &parameter : weights.parameters()) {
    if (parameter.flags & HONE_PARAMETER_BUFFER) continue;
    const bool experts = parameter.flags & HONE_PARAMETER_EXPERTS;
    const uint32_t count = experts ? parameter.dims[0] : 1;
    const uint64_t each = parameter.size / count;
    for (uint32_t e = 0; e < count; ++e) {
      std::string name = parameter.name;
      if (experts) name.replace(name.find("{}"), 2, std::to_string(e));
      const float *from = gradient.data() + parameter.offset + e * each;
      out[name].assign(from, from + each);
    }
  }
  return out;
}

}  // namespace hone::test
