// kernels_bench.cpp -- speed of the CPU kernels, one thread: each beside the machine's limits and its naive twin, what a call costs,
// and what handing work to the thread pool costs. Not a test: nothing here can fail.
//   bench_kernels [--benchmark_filter=...] [--benchmark_format=json]     HONE_ISA picks the set
// kernel_table.py makes the tables of docs/kernel-speed.md of its JSON.
#include <benchmark/benchmark.h>

#include <cstdio>

#include "tests/bench/measure.h"

int main(int argc, char **argv) {
  using namespace hone::bench;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const auto tell = [](const char *name, double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value * 1e-9);
    benchmark::AddCustomContext(name, text);
  };
  benchmark::AddCustomContext("set", set()->isa);
  tell("f32_gflops", limits().f32);
  tell("bf16_gflops", limits().bf16);
  tell("read_gigabytes", limits().bytes);
  add_products();
  add_expert_products();
  add_attention();
  add_layers();
  add_heads();
  add_routing();
  add_buffers();
  add_optimizers();
  add_calls();
  add_hand_overs();
  benchmark::RunSpecifiedBenchmarks();
}
