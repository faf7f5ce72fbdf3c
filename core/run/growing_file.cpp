// growing_file.cpp -- a file that only grows; an append that cannot be finished is undone.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/run/run_directory.h"

namespace hone {

namespace {

Failure trouble(const char *what, const std::filesystem::path &path, int error) {
  std::string text = std::string("cannot ") + what + " " + path.string() + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) text += "; make room and go on with `hone resume`";
  return Failure(text);
}

}  // namespace

GrowingFile::GrowingFile(const std::filesystem::path &path) : path_(path) {
  signal(SIGXFSZ, SIG_IGN);  // a write beyond RLIMIT_FSIZE is then an error like a full disk, not the end of the process
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw trouble("open", path, errno);
  struct stat facts;
  if (fstat(descriptor_, &facts) != 0) {
    const int error = errno;
    close(descriptor_);
    throw trouble("look at", path, error);
  }
  length_ = uint64_t(facts.st_size);
}

GrowingFile::GrowingFile(GrowingFile &&other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), length_(std::exchange(other.length_, 0)) {}

GrowingFile &GrowingFile::operator=(GrowingFile &&other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(length_, other.length_);
  return *this;
}

GrowingFile::~GrowingFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

void GrowingFile::append(std::string_view bytes) {
  if (descriptor_ < 0) throw Failure("a file that is not open cannot grow");
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = pwrite(descriptor_, bytes.data() + done, bytes.size() - done, off_t(length_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = n == 0 ? ENOSPC : errno;
      if (ftruncate(descriptor_, off_t(length_)) != 0)
        log_warning(path_.string() + " may end in half a line: it cannot be truncated either: " + std::strerror(errno));
      throw trouble("write", path_, error);
    }
    done += size_t(n);
  }
  length_ += bytes.size();
}

void GrowingFile::sync() {
  if (descriptor_ >= 0 && fsync(descriptor_) != 0) throw trouble("fsync", path_, errno);
}

uint64_t GrowingFile::length() const { return length_; }

void GrowingFile::truncate(uint64_t length) {
  if (length > length_)
    throw Failure(path_.string() + " has " + std::to_string(length_) + " bytes, but the checkpoint was made when it had " +
                  std::to_string(length) + "; the file was damaged or replaced since");
  if (ftruncate(descriptor_, off_t(length)) != 0) throw trouble("truncate", path_, errno);
  length_ = length;
  sync();
}

}  // namespace hone
