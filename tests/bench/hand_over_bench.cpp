// hand_over_bench.cpp -- what handing work to the host's thread pool (core/base/pool.h) costs, two threads. Names begin with "hand_over/".
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "core/base/pool.h"
#include "tests/bench/measure.h"

namespace hone::bench {
namespace {

constexpr uint32_t kThreads = 2;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// One loop of a range for each thread, each busy for so many seconds.
void one_loop(Pool &pool, double seconds) {
  pool.loop(
      kThreads, 1,
      [](void *arg, uint64_t, uint64_t) {
        const double busy = *static_cast<const double *>(arg);
        if (busy == 0) return;
        for (const double end = now() + busy; now() < end;) {
        }
      },
      &seconds);
}

// What a loop takes beyond one of its ranges. pause: how long the pool has had nothing to do; beyond 40 us its threads sleep. Time on
// the clock, since two threads matter; and since other programs take their turns in between, the counters tell what half and what a
// tenth of the loops stayed under. Where the other thread does not come in time the caller does both ranges.
void hand_over(benchmark::State &state, double seconds, std::chrono::microseconds pause) {
  Pool pool(kThreads);
  std::vector<double> beyond;
  for (auto _ : state) {
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
    const double begin = now();
    one_loop(pool, seconds);
    beyond.push_back(std::max(0.0, now() - begin - seconds));
    state.SetIterationTime(beyond.back());
  }
  std::sort(beyond.begin(), beyond.end());
  state.counters["half_us"] = 1e6 * beyond[beyond.size() / 2];
  state.counters["tenth_us"] = 1e6 * beyond[beyond.size() / 10];
}

void add(const char *name, double seconds, std::chrono::microseconds pause) {
  benchmark::RegisterBenchmark((std::string("hand_over/") + name).c_str(),
                               [=](benchmark::State &state) { hand_over(state, seconds, pause); })
      ->Unit(benchmark::kMicrosecond)
      ->UseManualTime()
      ->Iterations(1000);
}

}  // namespace

void add_hand_overs() {
  constexpr double kRange = 20e-6;
  constexpr std::chrono::microseconds kAsleep(200);
  add("two_empty_ranges", 0, {});
  add("two_ranges_of_20_us", kRange, {});
  add("two_empty_ranges_after_a_pause", 0, kAsleep);
  add("two_ranges_of_20_us_after_a_pause", kRange, kAsleep);
}

}  // namespace hone::bench
