// mapped_file.cpp -- see mapped_file.h.
#include "core/model/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/base/failure.h"

namespace hone {

MappedFile::MappedFile(const std::filesystem::path &path, uint64_t least, const char *format) : path_(path) {
  int file;
  do
    file =
        open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe is refused below, and must not be waited for
  while (file < 0 && errno == EINTR);
  if (file < 0) throw Failure("cannot open " + path.string() + ": " + std::strerror(errno));
  struct stat status {};
  std::string problem;
  if (fstat(file, &status) != 0)
    problem = std::strerror(errno);
  else if (!S_ISREG(status.st_mode))
    problem = "it is not a regular file";
  else if (static_cast<uint64_t>(status.st_size) < least)
    problem =
        "it has " + std::to_string(status.st_size) + " bytes, too few for a " + format + " file; is it cut short?";
  if (problem.empty()) {
    size_ = static_cast<uint64_t>(status.st_size);
    void *mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED)
      problem = std::strerror(errno);
    else
      data_ = static_cast<uint8_t *>(mapped);
  }
  close(file);
  if (!problem.empty()) throw Failure("cannot read " + path.string() + ": " + problem);
}

MappedFile::~MappedFile() { munmap(data_, size_); }

void MappedFile::release(const uint8_t *begin, uint64_t bytes) const {
  // Whole pages within the range only: those at its ends may be shared with a neighbour that is still wanted.
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE)), from = static_cast<uint64_t>(begin - data_);
  const uint64_t first = (from + page - 1) / page * page, last = (from + bytes) / page * page;
  if (first < last) madvise(data_ + first, last - first, MADV_DONTNEED);  // advice: nothing depends on its success
}

}  // namespace hone
