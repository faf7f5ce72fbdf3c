// calls_bench.cpp -- what a call of each entry of the kernel table costs at the least: one token, every size 1 (or the least allowed), on
// the caller alone. Names begin with "call/".
#include <benchmark/benchmark.h>

#include <cstddef>
#include <iterator>

#include "tests/bench/measure.h"

namespace hone::bench {
namespace {

// One number of each thing, where an entry needs no more.
struct One {
  float x = 0.5f, y = 0, z = 0, w = 0, in = 0.5f, out = 0, more = 0, d[3] = {};
  float pair[2] = {1, 0}, turned[2] = {0.5f, 0.5f};
  double loss = 0;
  int32_t id = 0;
  uint32_t zero = 0, order = 0, place = 0, offsets[2] = {0, 1};
  char packed_bytes[3][4096] = {};
  hone_weight weights[2] = {}, part = {};  // f32, and the set's bf16
  float pages[2][16 * 2] = {};
  const float *slots[1] = {&x};
} one;

constexpr hone_kv_page_shape kShape = {16, 1, 1, 1};
constexpr hone_route_args kRoute = {1, 1, 1, 1, 1, 0, 0, 1, 0};
constexpr hone_sample_args kSample = {1, 1, 0, 0};
const hone_cached_rows kRows = {1, 1, one.offsets, &one.zero, &one.zero};

struct Call {
  const char *name;
  void (*call)(const hone_kernels &);
};
constexpr Call kCalls[] = {
    {"allocate", [](const hone_kernels &k) { k.release(k.allocate(4)); }},  // and release, which is measured with it
    {"discard", [](const hone_kernels &k) { k.discard(nullptr, &one.y, 4); }},
    {"copy_in", [](const hone_kernels &k) { k.copy_in(nullptr, &one.y, &one.x, 4); }},
    {"copy_out", [](const hone_kernels &k) { k.copy_out(nullptr, &one.y, &one.x, 4); }},
    {"fill", [](const hone_kernels &k) { k.fill(nullptr, &one.y, 1, 1); }},
    {"copy", [](const hone_kernels &k) { k.copy(nullptr, &one.y, &one.x, 1); }},
    {"synchronize", [](const hone_kernels &k) { benchmark::DoNotOptimize(k.synchronize(nullptr)); }},
    {"packed_bytes", [](const hone_kernels &k) { benchmark::DoNotOptimize(k.packed_bytes(HONE_F32, 1, 1)); }},
    {"pack_weight", [](const hone_kernels &k) { k.pack_weight(nullptr, HONE_F32, 1, 1, &one.x, one.packed_bytes[2]); }},
    {"weight_outputs", [](const hone_kernels &k) { k.weight_outputs(&one.weights[0], 0, 1, &one.part); }},
    {"matmul", [](const hone_kernels &k) { k.matmul(nullptr, 1, &one.x, 1, &one.weights[0], &one.y, 1, 0); }},
    {"matmul_backward_input",
     [](const hone_kernels &k) { k.matmul_backward_input(nullptr, 1, &one.in, 1, &one.weights[0], &one.out, 1, 0); }},
    {"matmul_backward_weight",
     [](const hone_kernels &k) { k.matmul_backward_weight(nullptr, HONE_F32, 1, 1, 1, &one.x, 1, &one.in, 1, &one.out); }},
    {"expert_matmul", [](const hone_kernels &k) { k.expert_matmul(nullptr, 1, one.offsets, &one.x, &one.weights[0], &one.y); }},
    {"expert_matmul_backward_input",
     [](const hone_kernels &k) { k.expert_matmul_backward_input(nullptr, 1, one.offsets, &one.in, &one.weights[0], &one.out); }},
    {"expert_matmul_backward_weight",
     [](const hone_kernels &k) { k.expert_matmul_backward_weight(nullptr, HONE_F32, 1, one.offsets, 1, 1, &one.x, &one.in, &one.out); }},
    {"add", [](const hone_kernels &k) { k.add(nullptr, 1, &one.x, &one.in, &one.y); }},
    {"add_scaled", [](const hone_kernels &k) { k.add_scaled(nullptr, 1, &one.x, 0.5f, &one.out); }},
    {"add_bias", [](const hone_kernels &k) { k.add_bias(nullptr, 1, 1, &one.x, &one.out); }},
    {"add_bias_backward", [](const hone_kernels &k) { k.add_bias_backward(nullptr, 1, 1, &one.x, &one.out); }},
    {"swiglu", [](const hone_kernels &k) { k.swiglu(nullptr, 1, &one.x, &one.in, &one.y); }},
    {"swiglu_backward", [](const hone_kernels &k) { k.swiglu_backward(nullptr, 1, &one.x, &one.in, &one.in, &one.out, &one.more, 0); }},
    {"copy_heads", [](const hone_kernels &k) { k.copy_heads(nullptr, 1, 1, 1, &one.x, 1, 1, &one.y, 1, 1, 0); }},
    {"sum_heads", [](const hone_kernels &k) { k.sum_heads(nullptr, 1, 1, 1, &one.x, 1, 1, &one.out, 1); }},
    {"embedding", [](const hone_kernels &k) { k.embedding(nullptr, 1, 1, &one.id, &one.x, &one.y); }},
    {"embedding_backward", [](const hone_kernels &k) { k.embedding_backward(nullptr, 1, 1, 1, &one.id, &one.x, &one.out); }},
    {"rms_norm", [](const hone_kernels &k) { k.rms_norm(nullptr, 1, 1, &one.x, &one.in, 1e-5f, &one.y, &one.z); }},
    {"rms_norm_backward",
     [](const hone_kernels &k) { k.rms_norm_backward(nullptr, 1, 1, &one.x, &one.in, &one.in, &one.in, &one.out, &one.more); }},
    {"rope", [](const hone_kernels &k) { k.rope(nullptr, 1, 1, 2, 0, 2, 0, &one.zero, one.pair, 1, one.turned, one.turned); }},
    {"attention",
     [](const hone_kernels &k) { k.attention(nullptr, 1, one.offsets, nullptr, 1, 1, 1, 1, 1, &one.x, &one.in, &one.in, &one.y, &one.z); }},
    {"attention_backward",
     [](const hone_kernels &k) {
       k.attention_backward(nullptr, 1, one.offsets, nullptr, 1, 1, 1, 1, 1, &one.x, &one.in, &one.in, &one.y, &one.z, &one.in, &one.d[0],
                            &one.d[1], &one.d[2]);
     }},
    {"kv_page_bytes", [](const hone_kernels &k) { benchmark::DoNotOptimize(k.kv_page_bytes(&kShape)); }},
    {"attention_cached",
     [](const hone_kernels &k) { k.attention_cached(nullptr, &kRows, &kShape, 1, 1, &one.x, &one.in, &one.in, one.pages, &one.y); }},
    {"copy_page", [](const hone_kernels &k) { k.copy_page(nullptr, &kShape, one.pages, 1, 0); }},
    {"route", [](const hone_kernels &k) { k.route(nullptr, &kRoute, &one.x, nullptr, &one.z, &one.id, &one.w); }},
    {"route_backward", [](const hone_kernels &k) { k.route_backward(nullptr, &kRoute, &one.in, &one.id, &one.in, &one.in, &one.out); }},
    {"sequence_balance",
     [](const hone_kernels &k) { k.sequence_balance(nullptr, &kRoute, 1, one.offsets, &one.in, &one.id, 0.1f, 1, &one.loss, &one.out); }},
    {"dispatch", [](const hone_kernels &k) { k.dispatch(nullptr, 1, 1, 1, &one.id, &one.order, &one.place, one.offsets); }},
    {"gather_rows", [](const hone_kernels &k) { k.gather_rows(nullptr, 1, 1, 1, &one.zero, &one.x, &one.y); }},
    {"combine", [](const hone_kernels &k) { k.combine(nullptr, 1, 1, 1, &one.zero, &one.in, &one.x, &one.y); }},
    {"combine_backward",
     [](const hone_kernels &k) { k.combine_backward(nullptr, 1, 1, 1, &one.zero, &one.in, &one.x, &one.in, &one.y, &one.z); }},
    {"gather_rows_backward", [](const hone_kernels &k) { k.gather_rows_backward(nullptr, 1, 1, 1, &one.zero, &one.x, &one.out); }},
    {"logprob", [](const hone_kernels &k) { k.logprob(nullptr, 1, 1, &one.x, 1, &one.id, &one.y, &one.z, &one.w); }},
    {"logprob_backward",
     [](const hone_kernels &k) { k.logprob_backward(nullptr, 1, 0, 1, &one.out, 1, &one.id, &one.in, nullptr, &one.in, nullptr); }},
    {"kl", [](const hone_kernels &k) { k.kl(nullptr, 1, 1, &one.x, &one.in, 1, &one.y, &one.z); }},
    {"kl_backward",
     [](const hone_kernels &k) { k.kl_backward(nullptr, 1, 1, &one.x, &one.in, 1, &one.in, &one.in, &one.in, &one.in, &one.out); }},
    {"value_head", [](const hone_kernels &k) { k.value_head(nullptr, 1, 1, &one.x, &one.in, &one.y); }},
    {"value_head_backward",
     [](const hone_kernels &k) { k.value_head_backward(nullptr, 1, 1, &one.x, &one.in, &one.in, &one.out, &one.more); }},
    {"sample", [](const hone_kernels &k) { k.sample(nullptr, 1, 1, &one.x, &kSample, &one.in, &one.id, &one.y); }},
    {"sum_of_squares", [](const hone_kernels &k) { benchmark::DoNotOptimize(k.sum_of_squares(nullptr, 1, &one.x)); }},
    {"add_slots", [](const hone_kernels &k) { k.add_slots(nullptr, 1, 1, one.slots, &one.y); }},
    {"all_finite", [](const hone_kernels &k) { benchmark::DoNotOptimize(k.all_finite(nullptr, 1, &one.x)); }},
};
// release stands with allocate.
constexpr size_t kEntries = (sizeof(hone_kernels) - offsetof(hone_kernels, allocate)) / sizeof(void (*)());
static_assert(std::size(kCalls) + 1 == kEntries, "the kernel table has an entry without a line here, and perhaps without a case elsewhere");

// Products in the set's own bf16 too.
constexpr Call kBf16Calls[] = {
    {"matmul_bf16", [](const hone_kernels &k) { k.matmul(nullptr, 1, &one.x, 1, &one.weights[1], &one.y, 1, 0); }},
    {"matmul_backward_input_bf16",
     [](const hone_kernels &k) { k.matmul_backward_input(nullptr, 1, &one.in, 1, &one.weights[1], &one.out, 1, 0); }},
    {"matmul_backward_weight_bf16",
     [](const hone_kernels &k) { k.matmul_backward_weight(nullptr, k.bf16, 1, 1, 1, &one.x, 1, &one.in, 1, &one.out); }},
};

void add(const Call &c) {
  const auto run = [call = c.call](benchmark::State &state) {
    const hone_kernels &kernels = *set();
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t dtype = i ? kernels.bf16 : uint32_t{HONE_F32};
      one.weights[i] = {dtype, 0, 1, 1, &one.in, one.packed_bytes[i]};
      kernels.pack_weight(nullptr, dtype, 1, 1, &one.in, one.packed_bytes[i]);
    }
    for (auto _ : state) call(kernels);
  };
  benchmark::RegisterBenchmark((std::string("call/") + c.name).c_str(), run)->Unit(benchmark::kMicrosecond);
}

}  // namespace

void add_calls() {
  for (const Call &c : kCalls) add(c);
  for (const Call &c : kBf16Calls) add(c);
}

}  // namespace hone::bench
