// safetensors.h -- the safetensors format (8-byte little-endian header length, JSON header, raw tensors), in and out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/model/layout.h"
#include "core/model/mapped_file.h"
#include "core/model/partial_file.h"

namespace hone {

uint64_t safetensors_bits(const std::string &dtype);  // of one element; 0: the format has no such type

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
  const std::filesystem::path &path() const { return file_.path(); }
  const std::map<std::string, TensorView> &tensors() const { return tensors_; }
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  const TensorView &require(const std::string &name) const;
  // All numbers of an F32, F16, BF16 or F8_E4M3 tensor as floats; Failure for other types or another number of
  // elements.
  void read_floats(const std::string &name, float *to, uint64_t elements) const;
  // `count` of them from number `begin` on, which must lie within the tensor; their pages are given back. [many]
  void read_floats(const std::string &name, uint64_t begin, uint64_t count, float *to) const;

 private:
  MappedFile file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

struct TensorPlan {
  std::string name, dtype;
  std::vector<uint64_t> shape;
};

// Writes tensors in the order of their plan, their bytes in pieces of any size, so that none need be whole in memory.
// The file is there only after finish().
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path &, const std::vector<TensorPlan> &,
                    const std::map<std::string, std::string> &metadata = {});
  void write(const void *data, uint64_t bytes);
  void finish();

 private:
  std::filesystem::path path_;
  PartialFile file_;
  uint64_t total_ = 0;  // bytes of the whole file
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
