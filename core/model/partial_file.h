// partial_file.h -- a file that is written from its beginning to its end beside its place, and is there only when
// whole.
#pragma once

#include <cstdint>
#include <filesystem>

namespace hone {

class PartialFile {
 public:
  explicit PartialFile(const std::filesystem::path &);  // opens PATH.partial-<process>; Failure if it cannot be made
  ~PartialFile();                                       // removes it, unless finish() put it in its place
  PartialFile(const PartialFile &) = delete;
  PartialFile &operator=(const PartialFile &) = delete;

  void write(const void *data, uint64_t bytes);
  uint64_t written() const { return written_; }
  void finish();  // to disk, renamed over the path, and the folder to disk

 private:
  std::filesystem::path path_, beside_;
  int file_ = -1;
  uint64_t written_ = 0;
};

}  // namespace hone
