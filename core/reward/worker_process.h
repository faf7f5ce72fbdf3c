// worker_process.h -- the host's view of one reward worker: a child process, a socket to it, and messages that never block.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/reward/message.h"

namespace hone {

class WorkerProcess {
 public:
  WorkerProcess() = default;
  WorkerProcess(const WorkerProcess &) = delete;
  ~WorkerProcess();  // closes the socket, gives the worker a moment to end by itself, then kills it

  void start();  // exec of this program with --reward-worker; Failure when that is impossible
  bool running() const { return pid_ > 0; }
  int descriptor() const { return socket_; }
  bool wants_to_send() const { return sent_ < outgoing_.size(); }

  void send(std::string message);  // queued; pump() sends what the socket takes
  // Sends and receives what is possible now. False when the worker has closed its end or can no longer be understood.
  bool pump();
  bool take_message(MessageType &type, std::string &payload);  // the next whole message, if there is one
  bool unreadable() const { return unreadable_; }
  bool ended();            // whether the process has ended, even if a child of it keeps the socket open
  std::string kill_now();  // ends it and whatever it forked; how it ended: "crashed with signal 11 (Segmentation fault)"

 private:
  pid_t pid_ = -1;
  int socket_ = -1;
  bool ended_ = false, unreadable_ = false;
  std::string outgoing_, incoming_;
  size_t sent_ = 0;
};

}  // namespace hone
