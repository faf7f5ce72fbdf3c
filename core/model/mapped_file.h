// mapped_file.h -- a file's bytes, mapped read-only; pages that were read can be given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace hone {

class MappedFile {
 public:
  // `least`: bytes that a file of `format` has at the very least. Failure if it cannot be opened, is no regular file or
  // is shorter.
  MappedFile(const std::filesystem::path &, uint64_t least, const char *format);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  const std::filesystem::path &path() const { return path_; }
  const uint8_t *data() const { return data_; }  // unaligned uses only
  uint64_t size() const { return size_; }
  // These bytes will hardly be read again: their pages no longer count as this process's memory. They stay readable.
  // [many]
  void release(const uint8_t *begin, uint64_t bytes) const;

 private:
  std::filesystem::path path_;
  uint8_t *data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace hone
