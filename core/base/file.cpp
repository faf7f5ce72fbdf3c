// file.cpp -- whole files: read, written beside and renamed, checksummed.
#include "core/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "core/base/failure.h"

namespace hone {
namespace {

[[noreturn]] void fail(const std::string &what, const std::filesystem::path &path, int error) {
  throw Failure(what + " " + path.string() + ": " + std::strerror(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor &) = delete;
  int get() const { return fd_; }
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

int open_retrying(const std::filesystem::path &path, int flags, mode_t mode = 0) {
  int fd;
  do fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

}  // namespace

std::string read_file(const std::filesystem::path &path) {
  Descriptor file(open_retrying(path, O_RDONLY));
  if (file.get() < 0) fail("cannot read", path, errno);
  struct stat status;
  if (::fstat(file.get(), &status) != 0) fail("cannot read", path, errno);
  if (S_ISDIR(status.st_mode)) fail("cannot read", path, EISDIR);
  std::string bytes;
  size_t size = 0;
  for (size_t more = status.st_size > 0 ? static_cast<size_t>(status.st_size) + 1 : 65536;; more = size + 65536) {
    bytes.resize(size + more);
    while (size < bytes.size()) {
      const ssize_t got = ::read(file.get(), bytes.data() + size, bytes.size() - size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("cannot read", path, errno);
      if (got == 0) return bytes.resize(size), bytes;
      size += static_cast<size_t>(got);
    }
  }
}

void sync_file(const std::filesystem::path &path) {
  Descriptor file(open_retrying(path, O_RDONLY));
  if (file.get() < 0 || ::fsync(file.get()) != 0) fail("cannot bring to disk", path, errno);
}

void write_file_atomically(const std::filesystem::path &path, std::string_view bytes) {
  static std::atomic<uint64_t> count{0};
  std::filesystem::path beside;
  int fd;
  do {  // the name is taken when a process with this id died while writing
    beside = path;
    beside += ".part-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
    fd = open_retrying(beside, O_WRONLY | O_CREAT | O_EXCL, 0666);
  } while (fd < 0 && errno == EEXIST);
  if (fd < 0) fail("cannot write", path, errno);
  Descriptor file(fd);
  const auto drop = [&](const char *what, int error) {
    ::unlink(beside.c_str());
    fail(what, path, error);
  };
  while (!bytes.empty()) {
    const ssize_t put = ::write(file.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) drop("cannot write", errno);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  if (::fsync(file.get()) != 0) drop("cannot bring to disk", errno);
  if (file.close() != 0) drop("cannot write", errno);
  if (::rename(beside.c_str(), path.c_str()) != 0) drop("cannot write", errno);
  sync_file(path.has_parent_path() ? path.parent_path() : std::filesystem::path("."));
}

uint64_t checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

static std::string hex(uint64_t sum) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, sum >>= 4) text[static_cast<size_t>(i)] = kDigits[sum & 15];
  return text;
}

std::string checksum_hex(std::string_view bytes) { return hex(checksum(bytes)); }

std::string file_checksum_hex(const std::filesystem::path &path) {
  Descriptor file(open_retrying(path, O_RDONLY));
  if (file.get() < 0) fail("cannot read", path, errno);
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t *)> state(XXH3_createState(), XXH3_freeState);
  if (!state) throw std::bad_alloc();
  XXH3_64bits_reset(state.get());
  std::vector<char> piece(1 << 20);
  for (;;) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read", path, errno);
    if (got == 0) return hex(XXH3_64bits_digest(state.get()));
    XXH3_64bits_update(state.get(), piece.data(), static_cast<size_t>(got));
  }
}

}  // namespace hone
