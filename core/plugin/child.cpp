// child.cpp -- posix_spawn, two pipes, one deadline.
#include "core/plugin/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/base/text.h"

extern char **environ;

namespace hone {
namespace {

constexpr const char *kInside = "HONE_INSIDE_PROBE";

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) == 0) read = ends[0], write = ends[1];
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  Pipe(const Pipe &) = delete;
  void close_read() {
    if (read >= 0) ::close(std::exchange(read, -1));
  }
  void close_write() {
    if (write >= 0) ::close(std::exchange(write, -1));
  }
};

// Whether more may come.
bool drain(int descriptor, std::string &into, size_t most, bool keep_end) {
  char bytes[65536];
  for (;;) {
    const ssize_t got = ::read(descriptor, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    into.append(bytes, static_cast<size_t>(got));
    if (into.size() > most) {
      if (keep_end) into.erase(0, into.size() - most);
      else into.resize(most);
    }
    if (static_cast<size_t>(got) < sizeof bytes) return true;
  }
}

}  // namespace

bool ChildResult::ended_well() const { return started && !timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0; }

std::string ChildResult::how_it_ended(double deadline) const {
  if (!started) return "could not be started";
  if (timed_out) return "was still running after " + number_text(deadline) + " s";
  if (WIFSIGNALED(status)) return std::string("crashed (") + strsignal(WTERMSIG(status)) + ")";
  return "ended the process with exit code " + std::to_string(WEXITSTATUS(status));
}

ChildResult run_child(const std::vector<std::string> &arguments, double deadline) {
  ChildResult result;
  // A program whose main() does not know the hidden arguments would otherwise start itself for ever.
  if (std::getenv(kInside)) return result;
  const char *other = std::getenv("HONE_PROBE_PROGRAM");
  const std::string program = other && *other ? other : "/proc/" + std::to_string(::getpid()) + "/exe";
  Pipe output, errors;
  if (output.read < 0 || errors.read < 0) return result;

  std::vector<std::string> words = {"hone"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char *> argv;
  for (std::string &word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string inside = std::string(kInside) + "=1";
  std::vector<char *> environment = {inside.data()};
  for (char **entry = environ; *entry; ++entry) environment.push_back(*entry);
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.write, 1);
  posix_spawn_file_actions_adddup2(&actions, errors.write, 2);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  pid_t child = 0;
  const int failed = posix_spawn(&child, program.c_str(), &actions, &attributes, argv.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return result;
  result.started = true;
  output.close_write();
  errors.close_write();
  ::fcntl(output.read, F_SETFL, O_NONBLOCK);
  ::fcntl(errors.read, F_SETFL, O_NONBLOCK);

  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(deadline);
  bool output_open = true, errors_open = true, ended = false;
  const auto read_both = [&] {
    if (output_open) output_open = drain(output.read, result.output, 16u << 20, false);
    if (errors_open) errors_open = drain(errors.read, result.errors, 4096, true);
  };
  // A grandchild may hold the pipes open, so the child's end is asked for beside them.
  while (!ended) {
    pollfd waiting[2] = {{output_open ? output.read : -1, POLLIN, 0}, {errors_open ? errors.read : -1, POLLIN, 0}};
    ::poll(waiting, 2, output_open || errors_open ? 20 : 1);
    read_both();
    const pid_t got = ::waitpid(child, &result.status, WNOHANG);
    ended = got == child || (got < 0 && errno != EINTR);
    if (!ended && Clock::now() >= end) {
      result.timed_out = ended = true;
      ::kill(-child, SIGKILL);
      while (::waitpid(child, &result.status, 0) < 0 && errno == EINTR) {
      }
    }
  }
  ::kill(-child, SIGKILL);  // what it may have started
  read_both();
  return result;
}

int begin_child() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const int data = ::fcntl(1, F_DUPFD_CLOEXEC, 3);
  ::dup2(2, 1);
  return data;
}

void write_all(int descriptor, const std::string &bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t put = ::write(descriptor, bytes.data() + at, bytes.size() - at);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    at += static_cast<size_t>(put);
  }
}

void end_child(int code) { ::_exit(code); }

}  // namespace hone
