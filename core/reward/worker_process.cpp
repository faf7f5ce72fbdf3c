// worker_process.cpp -- starts, feeds, listens to and ends one reward worker.
#include "core/reward/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

extern char **environ;

namespace hone {

namespace {

constexpr int kWorkerDescriptor = 3;

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    return "crashed with signal " + std::to_string(number) + " (" + strsignal(number) + ")";
  }
  return "ended the worker process with exit status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

WorkerProcess::~WorkerProcess() {
  if (pid_ <= 0) return;
  close(socket_);
  socket_ = -1;
  for (int wait = 0; wait < 100 && !ended(); ++wait) usleep(wait < 10 ? 500 : 5000);
  kill_now();
}

void WorkerProcess::start() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    throw Failure(std::string("cannot make a socket for a reward worker: ") + std::strerror(errno));
  const int buffer = 1 << 20;
  setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);

  const char *named = std::getenv("HONE_WORKER_PROGRAM");
  const std::string program = named && *named ? named : "/proc/self/exe";
  const std::string number = std::to_string(kWorkerDescriptor);
  const char *arguments[] = {program.c_str(), "--reward-worker", number.c_str(), nullptr};

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, 2, 1);  // stdout is for data: what a plugin prints goes to stderr
  posix_spawn_file_actions_adddup2(&files, pair[1], kWorkerDescriptor);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);  // a group of its own: Ctrl-C does not reach it, and it dies with all it forked
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &files, &attributes, const_cast<char **>(arguments), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close(pair[1]);
  if (error != 0) {
    close(pair[0]);
    throw Failure("cannot start a reward worker (" + program + "): " + std::strerror(error));
  }
  fcntl(pair[0], F_SETFL, O_NONBLOCK);
  pid_ = pid;
  socket_ = pair[0];
  ended_ = unreadable_ = false;
  outgoing_.clear();
  incoming_.clear();
  sent_ = 0;
}

void WorkerProcess::send(std::string message) {
  if (sent_ == outgoing_.size()) {
    outgoing_ = std::move(message);
    sent_ = 0;
  } else {
    outgoing_ += message;
  }
}

bool WorkerProcess::pump() {
  while (wants_to_send()) {
    const ssize_t n = ::send(socket_, outgoing_.data() + sent_, outgoing_.size() - sent_, MSG_NOSIGNAL);
    if (n > 0) {
      sent_ += size_t(n);
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      break;
    } else {
      break;  // it may have answered before it went: read on
    }
  }
  for (char buffer[1 << 16];;) {
    const ssize_t n = recv(socket_, buffer, sizeof buffer, 0);
    if (n > 0) {
      incoming_.append(buffer, size_t(n));
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return !unreadable_;
    } else {
      return false;
    }
  }
}

bool WorkerProcess::take_message(MessageType &type, std::string &payload) {
  MessageHeader header;
  if (unreadable_ || incoming_.size() < sizeof header) return false;
  std::memcpy(&header, incoming_.data(), sizeof header);
  if (!header.valid()) {
    unreadable_ = true;
    return false;
  }
  if (incoming_.size() - sizeof header < header.length) return false;
  type = header.type;
  payload = incoming_.substr(sizeof header, header.length);
  incoming_.erase(0, sizeof header + header.length);
  return true;
}

bool WorkerProcess::ended() {
  if (pid_ <= 0 || ended_) return true;
  siginfo_t info{};
  // Not reaped yet: until then no other process can get its number, which kill_now uses.
  while (waitid(P_PID, id_t(pid_), &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == EINTR) {
  }
  return ended_ = info.si_pid == pid_;
}

std::string WorkerProcess::kill_now() {
  if (pid_ <= 0) return "was not running";
  const bool by_itself = ended();
  kill(-pid_, SIGKILL);  // the group outlives its leader while anything that it forked lives
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  pid_ = -1;
  return by_itself ? how_it_ended(status) : "was killed";
}

}  // namespace hone
