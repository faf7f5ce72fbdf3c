// gguf.h -- the GGUF container, versions 2 and 3 (ggml's docs/gguf.md): typed metadata, then tensors of plain or
// block-quantised numbers. Memory-mapped; everything that the file claims of itself is checked against its length
// before it is believed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/model/mapped_file.h"

namespace hone {

enum class GgufKind : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

// A value of the metadata. Texts point into the mapped file.
struct GgufValue {
  GgufKind kind = GgufKind::u8;  // of an array: of its elements
  bool is_array = false;
  std::variant<int64_t, double, bool, std::string_view, std::vector<int64_t>, std::vector<double>,
               std::vector<std::string_view>>
      value;
};

struct GgufTensor {
  std::string name;
  std::vector<uint64_t> shape;  // outermost first, as everywhere in hone; the file has the innermost first
  uint32_t type = 0;
  uint64_t elements = 0, bytes = 0;
  const uint8_t *data = nullptr;
};

class Gguf {
 public:
  explicit Gguf(const std::filesystem::path &);  // Failure naming file, key or tensor, and value

  const std::filesystem::path &path() const { return file_.path(); }
  const std::map<std::string, GgufValue> &metadata() const { return metadata_; }
  const std::map<std::string, GgufTensor> &tensors() const { return tensors_; }
  const GgufTensor *find(const std::string &tensor) const;

  // Metadata by key. Failure when it has another type, or is absent and there is no fallback.
  bool has(const std::string &key) const { return metadata_.contains(key); }
  int64_t integer(const std::string &key) const;
  int64_t integer(const std::string &key, int64_t fallback) const;
  double number(const std::string &key) const;  // an f32 becomes the shortest decimal that reads back as it: 1e-05
  double number(const std::string &key, double fallback) const;
  bool boolean(const std::string &key, bool fallback) const;
  std::string text(const std::string &key) const;
  std::string text(const std::string &key, const std::string &fallback) const;
  std::vector<std::string> texts(const std::string &key) const;
  std::vector<int64_t> integers(const std::string &key) const;
  std::vector<double> numbers(const std::string &key) const;

  // Numbers begin .. begin + count of the tensor, dequantised. Failure when hone cannot read its type. [many]
  void read_floats(const GgufTensor &, uint64_t begin, uint64_t count, float *to) const;

 private:
  const GgufValue &require(const std::string &key) const;
  [[noreturn]] void wrong_type(const std::string &key, const char *wanted) const;
  MappedFile file_;
  std::map<std::string, GgufValue> metadata_;
  std::map<std::string, GgufTensor> tensors_;
};

}  // namespace hone
