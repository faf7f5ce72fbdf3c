// worker.cpp -- the worker's side of the scorer: opens the parts, then scores batch after batch until its socket closes.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "core/base/text.h"
#include "core/reward/bench.h"
#include "core/reward/message.h"

namespace hone {

namespace {

bool read_all(int descriptor, void *to, uint64_t n) {
  char *at = static_cast<char *>(to);
  while (n > 0) {
    const ssize_t got = recv(descriptor, at, n, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    n -= uint64_t(got);
  }
  return true;
}

bool send_all(int descriptor, const std::string &message) {
  for (size_t done = 0; done < message.size();) {
    const ssize_t sent = send(descriptor, message.data() + done, message.size() - done, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    done += size_t(sent);
  }
  return true;
}

}  // namespace

int run_reward_worker(int descriptor, const WorkerServices &services) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // if the host died before this line, its end of the socket is closed: read_all says so
  signal(SIGINT, SIG_IGN);           // the host decides when a worker ends
  signal(SIGPIPE, SIG_IGN);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  const pid_t self = getpid();

  std::optional<RewardBench> bench;
  std::string payload;
  for (MessageHeader header; read_all(descriptor, &header, sizeof header);) {
    if (!header.valid()) return 1;
    payload.resize(header.length);
    if (!read_all(descriptor, payload.data(), header.length)) return 1;
    std::string reply;
    bool last = false;
    if (header.type == MessageType::setup) {
      std::string why;
      try {
        SetupRequest request = read_setup(payload);
        // What this process looks up by itself (a reward model's model plugin) is found where the host found its own.
        if (!request.plugin_folders.empty()) setenv("HONE_PLUGIN_PATH", join(request.plugin_folders, ":").c_str(), 1);
        bench.emplace(std::move(request.parts), request.seed, services);
      } catch (const std::exception &error) {
        why = error.what();
        last = true;
      }
      MessageWriter message(MessageType::ready);
      message.text(why);
      reply = message.finish();
    } else if (header.type == MessageType::score && bench) {
      const ScoreRequest request = read_score(payload);
      try {
        const PartScores scores = bench->score(request.part, request.rows);
        MessageWriter message(MessageType::scores);
        message.number(request.ticket);
        write_scores(message, scores);
        message.list(scores.refused);
        reply = message.finish();
      } catch (const std::exception &error) {
        MessageWriter message(MessageType::poisoned);
        message.number(request.ticket);
        message.text(error.what());
        reply = message.finish();
        last = true;
      }
    } else {
      return 1;
    }
    if (getpid() != self) _exit(0);  // a child that the reward forked came back here: only the worker itself may answer
    std::fflush(stdout);             // what the plugin printed goes to stderr now, beside the row that it belongs to
    if (!send_all(descriptor, reply)) return 1;
    if (last) _exit(1);  // no destructors: the heap may be damaged
  }
  return 0;
}

}  // namespace hone
