// pool.cpp -- the host's threads: a job is opened behind a gate, ranges are taken from a counter, late threads stay out.
#include "core/base/pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace hone {
namespace {

thread_local bool inside_a_body = false;

constexpr auto kSpin = std::chrono::microseconds(40);  // kernels follow one another more quickly than a thread wakes up

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether `ready` became true within the time that spinning is worth.
template <class Ready>
bool spin_until(Ready &&ready) {
  for (int i = 0; i < 64; ++i) {
    if (ready()) return true;
    pause_briefly();
  }
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause_briefly();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

uint32_t usable_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  uint32_t n = sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<uint32_t>(CPU_COUNT(&set))
                                                           : std::thread::hardware_concurrency();
  // A container's share of the processor: "quota period" or "max period", in microseconds.
  if (std::FILE *file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    unsigned long long quota = 0, period = 0;
    if (std::fscanf(file, "%llu %llu", &quota, &period) == 2 && period > 0)
      n = static_cast<uint32_t>(std::min<unsigned long long>(n, (quota + period - 1) / period));
    std::fclose(file);
  }
  return std::max(n, 1u);
}

}  // namespace

struct Pool::State {
  // The gate's one word: the job's number, whether it may be entered, and how many workers are inside. A worker enters by
  // compare-and-swap, so one that wakes up late cannot touch the next job with this one's numbers.
  static constexpr uint64_t kInside = (1u << 16) - 1, kOpen = 1u << 16;
  static constexpr int kJobShift = 17;
  std::atomic<uint64_t> gate{0};
  std::atomic<uint64_t> next{0};  // the range to hand out
  std::atomic<uint32_t> sleepers{0};
  std::atomic<bool> stopping{false};

  // The job; written before the gate opens, untouched until the last worker has left.
  uint64_t n = 0, grain = 0, grains = 0, n_ranges = 0;
  void (*body)(void *, uint64_t, uint64_t) = nullptr;
  void *arg = nullptr;

  std::mutex failure_mutex;
  std::exception_ptr failure;
  uint64_t failed_range = 0;

  std::mutex owner;  // one loop at a time
  std::mutex mutex;  // for the two below
  std::condition_variable opened, emptied;
  std::vector<std::thread> workers;
  uint32_t threads = 1;

  // Of whole grains, as even as can be.
  uint64_t begin_of(uint64_t i) const { return std::min(n, grain * (grains / n_ranges * i + grains % n_ranges * i / n_ranges)); }

  void take_ranges() {
    inside_a_body = true;
    for (uint64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n_ranges;) {
      try {
        body(arg, begin_of(i), begin_of(i + 1));
      } catch (...) {
        std::lock_guard lock(failure_mutex);
        if (!failure || i < failed_range) failure = std::current_exception(), failed_range = i;
        next.store(n_ranges, std::memory_order_relaxed);
      }
    }
    inside_a_body = false;
  }

  bool enterable(uint64_t seen, uint64_t last_job) const {
    return (seen & kOpen) && (seen >> kJobShift) != last_job;
  }

  void work() {
    uint64_t last_job = 0;
    for (;;) {
      const auto ready = [&] { return stopping.load() || enterable(gate.load(), last_job); };
      if (!spin_until(ready)) {
        std::unique_lock lock(mutex);
        ++sleepers;
        opened.wait(lock, ready);
        --sleepers;
      }
      if (stopping.load()) return;
      uint64_t seen = gate.load();
      while (enterable(seen, last_job) && !gate.compare_exchange_weak(seen, seen + 1)) {
      }
      if (!enterable(seen, last_job)) continue;
      last_job = seen >> kJobShift;
      take_ranges();
      const uint64_t left = gate.fetch_sub(1) - 1;
      if (!(left & kOpen) && !(left & kInside)) {
        { std::lock_guard lock(mutex); }
        emptied.notify_one();
      }
    }
  }

  void stop() {
    {
      std::lock_guard lock(mutex);
      stopping.store(true);
    }
    opened.notify_all();
    for (std::thread &worker : workers) worker.join();
  }
};

Pool::Pool(uint32_t threads) : state_(std::make_unique<State>()) {
  if (threads == 0) threads = usable_threads();
  threads = std::min(threads, static_cast<uint32_t>(State::kInside));
  state_->threads = threads;
  try {
    for (uint32_t i = 1; i < threads; ++i) state_->workers.emplace_back([state = state_.get()] { state->work(); });
  } catch (...) {  // no more threads to be had: those that started must be joined
    state_->stop();
    throw;
  }
}

Pool::~Pool() { state_->stop(); }

uint32_t Pool::threads() const { return state_->threads; }

void Pool::loop(uint64_t n, uint64_t grain, void (*body)(void *, uint64_t, uint64_t), void *arg) {
  if (n == 0) return;
  grain = std::max<uint64_t>(grain, 1);
  State &s = *state_;
  // About four ranges for each thread: enough to even out, few enough to cost nothing; and as many for each, since all take
  // about as long.
  const uint64_t grains = (n - 1) / grain + 1;
  uint64_t n_ranges = std::min<uint64_t>(grains, uint64_t{4} * s.threads);
  if (n_ranges > s.threads) n_ranges -= n_ranges % s.threads;
  if (s.threads == 1 || n_ranges < 2 || inside_a_body) return body(arg, 0, n);
  std::unique_lock owner(s.owner, std::try_to_lock);
  if (!owner) return body(arg, 0, n);  // another thread's loop has the pool

  s.n = n, s.grain = grain, s.grains = grains, s.n_ranges = n_ranges;
  s.body = body, s.arg = arg, s.failure = nullptr;
  s.next.store(0, std::memory_order_relaxed);
  const uint64_t job = (s.gate.load() >> State::kJobShift) + 1;
  s.gate.store(job << State::kJobShift | State::kOpen);
  if (s.sleepers.load() > 0) {
    { std::lock_guard lock(s.mutex); }
    s.opened.notify_all();
  }
  s.take_ranges();
  s.gate.fetch_and(~State::kOpen);
  const auto empty = [&] { return (s.gate.load() & State::kInside) == 0; };
  if (!spin_until(empty)) {
    std::unique_lock lock(s.mutex);
    s.emptied.wait(lock, empty);
  }
  if (s.failure) std::rethrow_exception(std::exchange(s.failure, nullptr));
}

void Pool::loop(uint64_t n, uint64_t grain, const std::function<void(uint64_t, uint64_t)> &body) {
  using Body = const std::function<void(uint64_t, uint64_t)>;
  loop(n, grain, [](void *arg, uint64_t begin, uint64_t end) { (*static_cast<Body *>(arg))(begin, end); },
       const_cast<std::function<void(uint64_t, uint64_t)> *>(&body));
}

hone_stream Pool::stream() {
  return {threads(), this,
          [](void *pool, uint64_t n, uint64_t grain, void (*body)(void *, uint64_t, uint64_t), void *arg) {
            static_cast<Pool *>(pool)->loop(n, grain, body, arg);
          },
          nullptr};
}

hone_stream Pool::serial_stream() { return {1, nullptr, nullptr, nullptr}; }

}  // namespace hone
