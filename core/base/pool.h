// pool.h -- the host's thread pool: the only threads that run kernels and plugin loops (oneDNN keeps its own).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "kernels/table.h"

namespace hone {

// Ranges are handed out by index, so which thread runs a range may vary, but the ranges never do.
class Pool {
 public:
  explicit Pool(uint32_t threads);  // threads >= 1, the caller's counted; 0: as many as the process may use
  ~Pool();
  Pool(const Pool &) = delete;
  uint32_t threads() const;

  // body(begin, end) over [0, n) in ranges that are multiples of grain (the last may be shorter); returns when all are done.
  // A call from inside a body runs whole on its thread. The first exception thrown by a body is rethrown here. [many]
  void loop(uint64_t n, uint64_t grain, const std::function<void(uint64_t begin, uint64_t end)> &body);
  void loop(uint64_t n, uint64_t grain, void (*body)(void *, uint64_t, uint64_t), void *arg);

  hone_stream stream();               // for kernels; uses this pool
  static hone_stream serial_stream(); // for kernels called from inside a body: no threads

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hone
