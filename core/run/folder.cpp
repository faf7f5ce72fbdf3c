// folder.cpp -- folders that appear and disappear whole.
#include "core/run/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/failure.h"
#include "core/base/file.h"

namespace hone {

namespace fs = std::filesystem;

namespace {

constexpr const char *kMaking = ".part", *kRemoving = ".gone";

Failure trouble(const std::string &what, const fs::path &path, int error) {
  return Failure("cannot " + what + " " + path.string() + ": " + std::strerror(error));
}

fs::path parent_of(const fs::path &path) { return path.parent_path().empty() ? fs::path(".") : path.parent_path(); }

}  // namespace

void make_folder(const fs::path &path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw Failure("cannot make the folder " + path.string() + ": " + error.message());
}

void sync_folder_deep(const fs::path &folder) {
  for (const fs::directory_entry &entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() || entry.is_directory()) sync_file(entry.path());
  sync_file(folder);
}

void remove_folder(const fs::path &path) {
  fs::path aside = path;
  aside += kRemoving;
  std::error_code error;
  fs::remove_all(aside, error);
  if (!is_leftover(path)) {
    fs::rename(path, aside, error);
    if (error) {
      if (!fs::exists(path)) return;
      throw Failure("cannot remove " + path.string() + ": " + error.message());
    }
  } else {
    aside = path;
  }
  fs::remove_all(aside, error);
  if (error) throw Failure("cannot remove " + aside.string() + ": " + error.message());
}

bool is_leftover(const fs::path &path) { return path.extension() == kMaking || path.extension() == kRemoving; }

fs::path beside(const fs::path &path) {
  fs::path out = path;
  out += kMaking;
  return out;
}

bool put_in_place(const fs::path &from, const fs::path &to, bool replace) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    sync_file(parent_of(to));
    return true;
  }
  int error = errno;
  if (error == EINVAL || error == ENOSYS) {  // a file system without the flag
    if (!fs::exists(to)) {
      if (rename(from.c_str(), to.c_str()) != 0) throw trouble("rename " + from.string() + " to", to, errno);
      sync_file(parent_of(to));
      return true;
    }
    error = EEXIST;
  }
  if (error != EEXIST && error != ENOTEMPTY) throw trouble("rename " + from.string() + " to", to, error);
  if (!replace) return false;
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) != 0) {
    remove_folder(to);
    if (rename(from.c_str(), to.c_str()) != 0) throw trouble("rename " + from.string() + " to", to, errno);
    sync_file(parent_of(to));
    return true;
  }
  sync_file(parent_of(to));
  remove_folder(from);
  return true;
}

nlohmann::json checksums_of(const fs::path &folder, const std::string &except) {
  nlohmann::json out = nlohmann::json::object();
  for (const fs::directory_entry &entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().lexically_relative(folder).generic_string();
    if (name == except) continue;
    out[name] = {{"bytes", entry.file_size()}, {"xxh3", file_checksum_hex(entry.path())}};
  }
  return out;
}

}  // namespace hone
