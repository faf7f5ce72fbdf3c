// machine_limits.cpp -- what this machine can do at most, with all threads at once: multiply-adds a second in f32 and, where the
// CPU has instructions for them, in bf16 (the faster of vectors and tiles), and bytes a second read from memory. JSON on stdout.
//   machine_limits [THREADS]
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "tests/bench/limits.h"

int main(int argc, char **argv) {
  const unsigned threads = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : std::thread::hardware_concurrency();
  const double f32 = hone::bench::f32_flops(threads), bf16 = hone::bench::bf16_flops(threads), read = hone::bench::bytes_read(threads);
  std::printf("{\"threads\": %u, \"f32_gflops\": %.1f, \"bf16_gflops\": %.1f, \"read_gigabytes\": %.1f}\n", threads, f32 * 1e-9,
              bf16 * 1e-9, read * 1e-9);
}
