// partial_file.cpp -- see partial_file.h.
#include "core/model/partial_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/failure.h"
#include "core/base/file.h"

namespace hone {

PartialFile::PartialFile(const std::filesystem::path &path)
    : path_(path), beside_(path.string() + ".partial-" + std::to_string(getpid())) {
  file_ = open(beside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file_ >= 0) return;
  const std::string taken = errno == EEXIST ? "; remove it" : "", reason = std::strerror(errno);
  throw Failure("cannot write " + std::exchange(beside_, {}).string() + ": " + reason + taken);
}

PartialFile::~PartialFile() {
  if (file_ >= 0) close(file_);
  if (!beside_.empty()) unlink(beside_.c_str());
}

void PartialFile::write(const void *data, uint64_t bytes) {
  const char *at = static_cast<const char *>(data);
  while (bytes) {
    const ssize_t put = ::write(file_, at, std::min<uint64_t>(bytes, 1u << 30));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) throw Failure("cannot write " + path_.string() + ": " + std::strerror(put ? errno : ENOSPC));
    at += put;
    bytes -= static_cast<uint64_t>(put);
    written_ += static_cast<uint64_t>(put);
  }
}

void PartialFile::finish() {
  if (fsync(file_) != 0 || close(std::exchange(file_, -1)) != 0 || rename(beside_.c_str(), path_.c_str()) != 0)
    throw Failure("cannot write " + path_.string() + ": " + std::strerror(errno));
  beside_.clear();
  sync_file(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
}

}  // namespace hone
