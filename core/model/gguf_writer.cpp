// gguf_writer.cpp -- see gguf_writer.h.
#include "core/model/gguf_writer.h"

#include <algorithm>

#include "core/base/failure.h"

namespace hone {
namespace {

template <class T>
void put(std::string &to, T value) {
  to.append(reinterpret_cast<const char *>(&value), sizeof value);
}
void put_text(std::string &to, const std::string &text) {
  put<uint64_t>(to, text.size());
  to += text;
}
uint64_t padded(uint64_t at) {
  return (at + GgufWriter::alignment - 1) / GgufWriter::alignment * GgufWriter::alignment;
}

enum Kind : uint32_t { u32 = 4, i32 = 5, f32 = 6, boolean = 7, string = 8, array = 9 };

}  // namespace

void GgufWriter::key(const std::string &name, uint32_t kind) {
  put_text(metadata_, name);
  put<uint32_t>(metadata_, kind);
  ++values_;
}
void GgufWriter::set_integer(const std::string &name, uint32_t value) { key(name, u32), put(metadata_, value); }
void GgufWriter::set_number(const std::string &name, double value) {
  key(name, f32), put(metadata_, static_cast<float>(value));
}
void GgufWriter::set_boolean(const std::string &name, bool value) {
  key(name, boolean), put<uint8_t>(metadata_, value);
}
void GgufWriter::set_text(const std::string &name, const std::string &value) {
  key(name, string), put_text(metadata_, value);
}
void GgufWriter::set_texts(const std::string &name, const std::vector<std::string> &values) {
  key(name, array);
  put<uint32_t>(metadata_, string);
  put<uint64_t>(metadata_, values.size());
  for (const std::string &value : values) put_text(metadata_, value);
}
void GgufWriter::set_integers(const std::string &name, const std::vector<int32_t> &values) {
  key(name, array);
  put<uint32_t>(metadata_, i32);
  put<uint64_t>(metadata_, values.size());
  for (int32_t value : values) put(metadata_, value);
}
void GgufWriter::set_numbers(const std::string &name, const std::vector<float> &values) {
  key(name, array);
  put<uint32_t>(metadata_, f32);
  put<uint64_t>(metadata_, values.size());
  for (float value : values) put(metadata_, value);
}

void GgufWriter::add_tensor(const std::string &name, const std::vector<uint64_t> &shape, const std::string &dtype) {
  const uint32_t type = dtype == "F32" ? 0 : dtype == "F16" ? 1 : dtype == "BF16" ? 30 : UINT32_MAX;
  if (type == UINT32_MAX) throw Failure("a GGUF file cannot be written with tensors of type " + dtype);
  put_text(tensors_, name);
  put<uint32_t>(tensors_, static_cast<uint32_t>(shape.size()));
  uint64_t bytes = type == 0 ? 4 : 2;
  for (size_t i = shape.size(); i-- > 0;) {
    put<uint64_t>(tensors_, shape[i]);
    bytes *= shape[i];
  }
  put<uint32_t>(tensors_, type);
  put<uint64_t>(tensors_, planned_);
  ends_.push_back(planned_ + bytes);
  planned_ = padded(planned_ + bytes);
  ++tensor_count_;
}

void GgufWriter::begin(const std::filesystem::path &path) {
  path_ = path;
  file_ = std::make_unique<PartialFile>(path);
  std::string head = "GGUF";
  put<uint32_t>(head, 3);
  put<uint64_t>(head, tensor_count_);
  put<uint64_t>(head, values_);
  head += metadata_ + tensors_;
  head.resize(padded(head.size()), '\0');
  file_->write(head.data(), head.size());
  data_begin_ = file_->written();
}

void GgufWriter::write(const void *data, uint64_t bytes) {
  const char *at = static_cast<const char *>(data);
  while (bytes) {
    if (next_ == ends_.size())
      throw Failure("cannot write " + path_.string() + ": more bytes came than its tensors take");
    const uint64_t part = std::min(bytes, ends_[next_] - (file_->written() - data_begin_));
    file_->write(at, part);
    at += part;
    bytes -= part;
    if (const uint64_t now = file_->written() - data_begin_; now == ends_[next_]) {
      static constexpr char zeroes[alignment] = {};
      file_->write(zeroes, padded(now) - now);
      ++next_;
    }
  }
}

void GgufWriter::finish() {
  if (next_ != ends_.size())
    throw Failure("cannot write " + path_.string() + ": fewer bytes came than its tensors take");
  file_->finish();
}

}  // namespace hone
