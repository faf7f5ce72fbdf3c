// gguf_writer.h -- writes a GGUF file, version 3: metadata and the list of tensors first, then their bytes in pieces of
// any size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/model/partial_file.h"

namespace hone {

class GgufWriter {
 public:
  static constexpr uint64_t alignment = 32;

  void set_integer(const std::string &key, uint32_t value);
  void set_number(const std::string &key, double value);  // as f32
  void set_boolean(const std::string &key, bool value);
  void set_text(const std::string &key, const std::string &value);
  void set_texts(const std::string &key, const std::vector<std::string> &values);
  void set_integers(const std::string &key, const std::vector<int32_t> &values);
  void set_numbers(const std::string &key, const std::vector<float> &values);
  // dtype: "F32", "F16" or "BF16"; shape: outermost first. The bytes must come in the order of these calls.
  void add_tensor(const std::string &name, const std::vector<uint64_t> &shape, const std::string &dtype);

  void begin(const std::filesystem::path &);  // after all of the above
  void write(const void *data, uint64_t bytes);
  void finish();  // now the file is there. Failure if not all bytes came

 private:
  void key(const std::string &name, uint32_t kind);
  std::string metadata_, tensors_;
  uint64_t values_ = 0, tensor_count_ = 0, planned_ = 0, data_begin_ = 0;
  std::vector<uint64_t> ends_;  // of each tensor, within the data
  size_t next_ = 0;             // tensor being written
  std::filesystem::path path_;
  std::unique_ptr<PartialFile> file_;
};

}  // namespace hone
