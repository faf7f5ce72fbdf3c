// interrupt.h -- SIGINT and SIGTERM as a flag that loops look at; a second signal ends the program at once.
#pragma once

#include <atomic>

namespace hone {

// Installs the handlers (once) and returns the flag: 0, or the signal's number.
std::atomic<int> &interrupt_flag();

}  // namespace hone
