// safetensors.h -- the safetensors format (8-byte little-endian header length, JSON header, raw tensors), in and out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace hone {

struct TensorView {
  std::string dtype;  // "F32", "BF16", "F16", "I64", "U64", ...
  std::vector<uint64_t> shape;
  const uint8_t *data = nullptr;  // into the mapped file, unaligned
  uint64_t bytes = 0;
};

// Memory-mapped; checks everything the header claims before answering (length, overlap, holes, dtype sizes, JSON).
class Safetensors {
 public:
  explicit Safetensors(const std::filesystem::path &);  // Failure naming file, tensor and value
  ~Safetensors();
  Safetensors(const Safetensors &) = delete;
  const std::map<std::string, TensorView> &tensors() const { return tensors_; }
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  const TensorView &require(const std::string &name) const;
  // F32, F16 and BF16 tensors as floats; Failure for other types or another number of elements
  void read_floats(const std::string &name, float *to, uint64_t elements) const;

 private:
  std::filesystem::path path_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
  void *mapped_ = nullptr;
  size_t size_ = 0;
};

struct TensorToWrite {
  std::string name, dtype;
  std::vector<uint64_t> shape;
  const void *data;
  uint64_t bytes;
};
void write_safetensors(const std::filesystem::path &, const std::vector<TensorToWrite> &,
                       const std::map<std::string, std::string> &metadata = {});

}  // namespace hone
