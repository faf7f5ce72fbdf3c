// run_directory.cpp -- makes, opens and locks a run.
#include "core/run/run_directory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/run/folder.h"

namespace hone {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char *kMark = "run.json";  // what makes a folder a run
constexpr int kFormat = 1;

// A name of the caller's becomes part of a path: nothing but one plain component may come of it.
std::string plain_name(const std::string &name) {
  std::string out;
  for (const char c : name) out += (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.') ? c : '_';
  if (out.empty() || out[0] == '.') out.insert(0, "_");
  return out;
}

bool stays_inside(const fs::path &relative) {
  if (relative.empty() || relative.is_absolute()) return false;
  for (const fs::path &part : relative.lexically_normal())
    if (part == "..") return false;
  return true;
}

}  // namespace

RunDirectory::RunDirectory(const fs::path &path) : path_(path), metrics_(path / "metrics.jsonl") {}

RunDirectory::RunDirectory(RunDirectory &&other) noexcept
    : path_(std::move(other.path_)), metrics_(std::move(other.metrics_)), lock_(std::exchange(other.lock_, -1)) {}

RunDirectory::~RunDirectory() {
  if (lock_ >= 0) close(lock_);  // which unlocks it
}

RunDirectory RunDirectory::create(const fs::path &out, const std::string &name, const std::map<std::string, std::string> &files) {
  signal(SIGXFSZ, SIG_IGN);
  fs::path wanted = out;
  if (!wanted.empty() && !wanted.has_filename()) wanted = wanted.parent_path();  // "folder/"
  if (!wanted.empty() && fs::exists(wanted)) {
    if (fs::exists(wanted / kMark))
      throw UsageError(wanted.string() + " is already a run; go on with it by `hone resume " + wanted.string() + "`, or give another --out");
    if (!fs::is_directory(wanted)) throw UsageError(wanted.string() + " is a file; give another --out");
    if (!fs::is_empty(wanted)) throw UsageError(wanted.string() + " is not empty; give another --out");
  }
  for (const auto &[file, bytes] : files)
    if (!stays_inside(file)) throw Failure("a run cannot hold a file called \"" + file + "\"");

  const std::string shown = wanted.empty() ? "runs/" + plain_name(name) : wanted.string();
  const auto make_folder_of_run = [&](const fs::path &folder) {
    try {
      make_folder(folder);
    } catch (const Failure &failure) {
      throw Failure("cannot make the run " + shown + ": " + failure.what());
    }
  };
  const fs::path parent = wanted.empty() ? fs::path("runs") : wanted.parent_path().empty() ? fs::path(".") : wanted.parent_path();
  const bool made_parent = !fs::exists(parent);
  make_folder_of_run(parent);
  const std::string stem = plain_name(wanted.empty() ? name : wanted.filename().string());
  const fs::path making = beside(parent / ("." + stem + "-" + std::to_string(getpid())));
  try {
    std::error_code ignored;
    fs::remove_all(making, ignored);
    make_folder_of_run(making);
    for (const auto &[file, bytes] : files) {
      make_folder((making / file).parent_path());
      write_file_atomically(making / file, bytes);
    }
    write_file_atomically(making / "metrics.jsonl", "");
    write_file_atomically(making / kMark, json{{"format", kFormat}, {"name", name}}.dump() + "\n");
    sync_folder_deep(making);
    if (wanted.empty()) {
      for (int n = 1;; ++n) {
        wanted = parent / (stem + "-" + std::to_string(n));
        if (put_in_place(making, wanted, false)) break;
      }
    } else {
      fs::remove(wanted, ignored);  // empty: it was looked at above, and only an empty folder goes
      if (!put_in_place(making, wanted, false)) throw UsageError(wanted.string() + " exists now; give another --out");
    }
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(making, ignored);
    if (made_parent) fs::remove(parent, ignored);
    throw;
  }
  return RunDirectory(wanted);
}

RunDirectory RunDirectory::open(const fs::path &given) {
  signal(SIGXFSZ, SIG_IGN);
  const fs::path path = !given.empty() && !given.has_filename() ? given.parent_path() : given;
  if (!fs::exists(path)) throw UsageError("there is no run " + path.string());
  if (!fs::exists(path / kMark)) throw Failure(path.string() + " is not a run: it has no " + kMark);
  try {
    const int format = json::parse(read_file(path / kMark)).at("format");
    if (format != kFormat)
      throw Failure(path.string() + " has format " + std::to_string(format) + ", and this hone reads format " + std::to_string(kFormat) +
                    "; use the hone that made it");
  } catch (const json::exception &) {
    throw Failure((path / kMark).string() + " is damaged: it should be like {\"format\":1,\"name\":\"r1\"}");
  }
  return RunDirectory(path);
}

StageDirectory RunDirectory::stage(int number, const std::string &label) {
  const fs::path folder = path_ / ((number < 10 ? "0" : "") + std::to_string(number) + "-" + plain_name(label));
  if (!fs::is_directory(folder)) {
    make_folder(folder);
    sync_file(path_);
  }
  return StageDirectory(folder);
}

void RunDirectory::lock() {
  if (lock_ >= 0) return;
  const fs::path path = path_ / "lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) throw Failure("cannot open " + path.string() + ": " + std::strerror(errno));
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    char pid[32] = "";
    const ssize_t n = pread(descriptor, pid, sizeof pid - 1, 0);
    close(descriptor);
    if (error != EWOULDBLOCK) throw Failure("cannot lock " + path.string() + ": " + std::strerror(error));
    std::string who(pid, n > 0 ? size_t(n) : 0);
    while (!who.empty() && who.back() == '\n') who.pop_back();
    throw Failure("another process" + (who.empty() ? "" : " (pid " + who + ")") + " is working on " + path_.string() +
                  "; wait for it, or end it");
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  // For the sentence above only: the lock itself is the kernel's and ends with this process.
  if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, pid.data(), pid.size(), 0) != ssize_t(pid.size())) {
    const int error = errno;
    close(descriptor);
    throw Failure("cannot write " + path.string() + ": " + std::strerror(error));
  }
  lock_ = descriptor;
  metrics_ = GrowingFile(path_ / "metrics.jsonl");  // another process may have written until it let the lock go
}

}  // namespace hone
