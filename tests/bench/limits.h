// limits.h -- what this machine can do at most, for machine_limits and bench_kernels: measured, not taken from a data sheet.
#pragma once

namespace hone::bench {

// A second, of all threads together, each on work of its own; the best of 12 rounds of about 10 to 30 ms. 0: this CPU has no
// instruction for it, or the file was compiled for a CPU that is not x86-64. Every round runs on threads of its own, so that what
// a measurement does to a thread's registers stays there.
double f32_flops(unsigned threads);   // fused multiply-adds in registers, two operations each
double bf16_flops(unsigned threads);  // the same by the faster of the instructions for bf16: vectors of pairs, or tiles
double bytes_read(unsigned threads);  // in order, from 256 MiB a thread

}  // namespace hone::bench
