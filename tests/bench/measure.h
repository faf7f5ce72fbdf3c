// measure.h -- what the kernel benchmarks share: a case (one kernel at one size), its memory, and the counters that are printed.
//
// A case's line has, beside its time: "GFLOP/s" and "percent_of_arithmetic", where products are counted; "GB/s" and
// "percent_of_memory"; and "times_naive", how many times as long its naive twin takes, whose time for the kernel's work is
// "naive_us". Percents are of what limits.h measured in this process on one thread. The library writes "/s" after all that it divides by
// the time, percents and times too. All kernels run on the caller alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/table.h"

extern "C" const hone_kernels *hone_kernels_v1(void);

namespace hone::bench {

// Which of the machine's limits a kernel's operations are held to.
enum class Arithmetic { f32, bf16 };

struct Case {
  double flops = 0;  // of one call, a multiply-add being two; 0: not counted
  double bytes = 0;  // that one call must read and write at least, each number once
  Arithmetic arithmetic = Arithmetic::f32;
  std::function<void()> kernel;
  std::function<void()> naive = nullptr;  // null: has none
  double naive_part = 1;                  // how much of the kernel's work one call of naive does
};

// Adds a case to the benchmarks. make is called when it is first run, and its memory is released before another case's is made.
void add_case(const std::string &name, std::function<Case()> make);

struct Limits {
  double f32, bf16, bytes;  // one thread's, a second; bf16 is no less than f32, by which it can be emulated
};
const Limits &limits();  // measured at the first call, some seconds long

// The set whose kernels are measured: the program ends with a sentence if HONE_ISA names none.
const hone_kernels *set();

// f32, or the set's own bf16, and what they are held to.
inline uint32_t dtype_of(bool bf16) { return bf16 ? set()->bf16 : uint32_t{HONE_F32}; }
inline Arithmetic arithmetic_of(uint32_t dtype) { return dtype == HONE_F32 ? Arithmetic::f32 : Arithmetic::bf16; }

// n numbers from the kernel table's own allocator, shared by copies, so that lambdas can hold them.
template <class Number>
class Buffer {
 public:
  explicit Buffer(size_t n = 0, Number value = 0)
      : n_(n), data_(static_cast<Number *>(set()->allocate(n * sizeof(Number))), set()->release) {
    for (size_t i = 0; value != 0 && i < n; ++i) data_.get()[i] = value;
  }
  operator Number *() const { return data_.get(); }
  size_t size() const { return n_; }

 private:
  size_t n_;
  std::shared_ptr<Number> data_;
};
using Floats = Buffer<float>;
using Doubles = Buffer<double>;
Floats random_floats(size_t n);                      // in [-1, 1)
Doubles widen(const Floats &, size_t n = SIZE_MAX);  // the first n
Buffer<int32_t> random_ids(size_t n, uint32_t n_ids);

// Sizes of SmolLM2-135M, at which the table's figures are made.
constexpr uint32_t kHidden = 576, kIntermediate = 1536, kHeads = 9, kKvHeads = 3, kHeadSize = 64, kVocabulary = 49152;
constexpr uint32_t kTokens = 512;

// "T:512/N:576": how sizes are written in a case's name.
std::string sizes(const std::vector<std::pair<const char *, uint64_t>> &);

// The families; each adds its cases.
void add_products();
void add_expert_products();
void add_attention();
void add_layers();  // norms, rope, swiglu, additions, embedding
void add_heads();   // log-probs, KL, sampling, the value head
void add_routing();
void add_buffers();  // memory, reductions, columns of heads
void add_optimizers();
void add_calls();       // one call of each entry on the smallest input
void add_hand_overs();  // of the thread pool

}  // namespace hone::bench
