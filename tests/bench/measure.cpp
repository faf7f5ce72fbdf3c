// measure.cpp -- runs a case and makes its counters (measure.h).
#include "tests/bench/measure.h"

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include "tests/bench/limits.h"

namespace hone::bench {
namespace {

// This thread's own time on a core, as Google Benchmark counts: other programs' turns are not in it.
double thread_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Of one call of work: the best of up to five turns of at least 10 ms, as far as they fit in a second.
double best_seconds(const std::function<void()> &work) {
  double best = 1e300;
  const double begin = thread_seconds();
  uint64_t calls = 1;
  for (int turn = 0; turn < 5;) {
    const double from = thread_seconds();
    for (uint64_t i = 0; i < calls; ++i) work();
    const double took = thread_seconds() - from;
    if (took < 1e-2) {
      calls *= 2;
      continue;
    }
    best = std::min(best, took / static_cast<double>(calls));
    ++turn;
    if (thread_seconds() - begin > 1) break;
  }
  return best;
}

// Seconds that a case's naive twin would take for the kernel's work; measured once a process.
double naive_seconds(const std::string &name, const Case &of) {
  static std::map<std::string, double> known;
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  return known[name] = best_seconds(of.naive) / of.naive_part;
}

// The benchmark library runs a case several times over; what it needs is made once.
const Case &made(const std::string &name, const std::function<Case()> &make) {
  static std::string last;
  static std::unique_ptr<Case> now;
  if (last != name) {
    now.reset();
    now = std::make_unique<Case>(make());
    last = name;
  }
  return *now;
}

void run(benchmark::State &state, const std::string &name, const std::function<Case()> &make) {
  const Case &c = made(name, make);
  const double naive = c.naive ? naive_seconds(name, c) : 0;
  c.kernel();
  for (auto _ : state) c.kernel();
  // So much of a thing in one call: shown for one second.
  const auto rate = [&](const char *of, double each) {
    state.counters[of] = benchmark::Counter(each, benchmark::Counter::kIsIterationInvariantRate);
  };
  const double most = c.arithmetic == Arithmetic::bf16 ? limits().bf16 : limits().f32;
  if (c.flops > 0) rate("GFLOP/s", c.flops * 1e-9);
  if (c.flops > 0 && most > 0) rate("percent_of_arithmetic", 100 * c.flops / most);
  if (c.bytes > 0) rate("GB/s", c.bytes * 1e-9);
  if (c.bytes > 0 && limits().bytes > 0) rate("percent_of_memory", 100 * c.bytes / limits().bytes);
  if (naive > 0) rate("times_naive", naive);
  if (naive > 0) state.counters["naive_us"] = naive * 1e6;
  state.counters["bf16"] = c.arithmetic == Arithmetic::bf16;
}

}  // namespace

void add_case(const std::string &name, std::function<Case()> make) {
  benchmark::RegisterBenchmark(name.c_str(), [name, make](benchmark::State &state) {
    run(state, name, make);
  })->Unit(benchmark::kMicrosecond);
}

const Limits &limits() {
  static const Limits measured = [] {
    // Some seconds of rounds: on a shared machine the best of a few may be half of what it can do.
    Limits best = {0, 0, 0};
    for (int i = 0; i < 5; ++i) {
      best.f32 = std::max(best.f32, f32_flops(1));
      best.bf16 = std::max({best.bf16, best.f32, bf16_flops(1)});
      best.bytes = std::max(best.bytes, bytes_read(1));
    }
    return best;
  }();
  return measured;
}

const hone_kernels *set() {
  static const hone_kernels *chosen = [] {
    const hone_kernels *found = hone_kernels_v1();
    if (!found) {
      std::fprintf(stderr, "HONE_ISA names no set of kernels that this CPU can run; leave it out, or try avx2 or plain\n");
      std::exit(1);
    }
    return found;
  }();
  return chosen;
}

Floats random_floats(size_t n) {
  std::minstd_rand bits(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Floats x(n);
  for (size_t i = 0; i < n; ++i) x[i] = uniform(bits);
  return x;
}

Doubles widen(const Floats &x, size_t n) {
  Doubles wide(std::min(n, x.size()));
  for (size_t i = 0; i < wide.size(); ++i) wide[i] = x[i];
  return wide;
}

Buffer<int32_t> random_ids(size_t n, uint32_t n_ids) {
  std::minstd_rand bits(1);
  Buffer<int32_t> ids(n);
  for (size_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>(bits() % n_ids);
  return ids;
}

std::string sizes(const std::vector<std::pair<const char *, uint64_t>> &all) {
  std::string text;
  for (const auto &[name, size] : all) text += (text.empty() ? "" : "/") + std::string(name) + ":" + std::to_string(size);
  return text;
}

}  // namespace hone::bench
