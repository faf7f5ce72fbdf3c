// tensor_source.h -- where a model's numbers come from: tensors by their Hugging Face names, whatever kind of file
// holds them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace hone {

// Immutable after construction; nothing is held in memory but what a call returns. [many]
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  // All tensors that a model must have a place for. What only describes others (scales of quantised weights) is not
  // among them.
  virtual std::vector<std::string> names() const = 0;
  virtual const std::vector<uint64_t> *shape(const std::string &name) const = 0;  // null: there is no such tensor
  // Numbers begin .. begin + count of a tensor that is there, in row-major order. Failure when its type cannot be
  // read, also when count is 0: so the type alone is checked, and `to` may be null.
  virtual void read_floats(const std::string &name, uint64_t begin, uint64_t count, float *to) const = 0;
  virtual std::string where(const std::string &name) const = 0;  // the file it is in, for messages
};

// model.safetensors of a directory, or the shards that model.safetensors.index.json names. `config` is its config.json,
// whose quantization_config tells how F8_E4M3 weights are scaled.
std::unique_ptr<TensorSource> open_safetensors(const std::filesystem::path &directory, const nlohmann::json &config);

}  // namespace hone
