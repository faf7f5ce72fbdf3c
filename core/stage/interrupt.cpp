// interrupt.cpp -- see interrupt.h.
#include "core/stage/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace hone {

static std::atomic<int> flag{0};

static void on_signal(int signal) {
  if (flag.exchange(signal) != 0) _exit(128 + signal);
}

std::atomic<int> &interrupt_flag() {
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);  // a file-size limit becomes an error of write(), not the end
    return true;
  }();
  (void)installed;
  return flag;
}

}  // namespace hone
