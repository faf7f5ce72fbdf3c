// kernels_bench.cpp -- speed of the CPU kernels: matmul and its gradients, attention, heads. Run with --benchmark_filter=...;
// HONE_ISA picks the set. Not a test: nothing here can fail.
#include <benchmark/benchmark.h>

#include <random>
#include <utility>
#include <vector>

#include "kernels/cpu/sets.h"

extern "C" const hone_kernels *hone_kernels_v1(void);

namespace {

using Floats = std::vector<float>;

Floats random_floats(size_t n) {
  std::minstd_rand bits(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Floats x(n);
  for (float &v : x) v = uniform(bits);
  return x;
}

void flops(benchmark::State &state, double each) {
  state.counters["GFLOP/s"] = benchmark::Counter(each * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

struct Problem {
  uint32_t T, N, K;
  Floats x, W, y;
  std::vector<char> packed;
  hone_weight weight;
  explicit Problem(benchmark::State &state, uint32_t dtype = HONE_F32)
      : T(uint32_t(state.range(0))), N(uint32_t(state.range(1))), K(uint32_t(state.range(2))), x(random_floats(size_t(T) * K)),
        W(random_floats(size_t(N) * K)), y(size_t(T) * N, 0.5f), packed(hone_kernels_v1()->packed_bytes(dtype, N, K)),
        weight{dtype, 0, N, K, W.data(), packed.data()} {
    hone_kernels_v1()->pack_weight(nullptr, dtype, N, K, W.data(), packed.data());
  }
  double flops() const { return 2.0 * T * N * K; }
};

void matmul(benchmark::State &state, uint32_t dtype) {
  Problem p(state, dtype);
  const hone_kernels *set = hone_kernels_v1();
  for (auto _ : state) set->matmul(nullptr, p.T, p.x.data(), p.K, &p.weight, p.y.data(), p.N, 0);
  flops(state, p.flops());
}
void matmul_f32(benchmark::State &state) { matmul(state, HONE_F32); }
void matmul_bf16(benchmark::State &state) { matmul(state, hone_kernels_v1()->bf16); }
void matmul_backward_input(benchmark::State &state, uint32_t dtype) {
  Problem p(state, dtype);
  const hone_kernels *set = hone_kernels_v1();
  Floats dx(p.x.size());
  for (auto _ : state) set->matmul_backward_input(nullptr, p.T, p.y.data(), p.N, &p.weight, dx.data(), p.K, 1);
  flops(state, p.flops());
}
void matmul_backward_weight(benchmark::State &state, uint32_t dtype) {
  Problem p(state, dtype);
  const hone_kernels *set = hone_kernels_v1();
  Floats dW(p.W.size());
  for (auto _ : state) set->matmul_backward_weight(nullptr, dtype, p.T, p.N, p.K, p.x.data(), p.K, p.y.data(), p.N, dW.data());
  flops(state, p.flops());
}

void shapes(benchmark::internal::Benchmark *b) {
  for (int T : {1, 4, 16, 64, 256, 2048})
    for (int size : {64, 256}) b->Args({T, size, size});
  b->Args({256, 16, 64})->Args({256, 64, 16})->Args({512, 2048, 2048})->Args({512, 4096, 4096})->Args({1, 4096, 4096});
}
BENCHMARK(matmul_f32)->Apply(shapes);
// Those of SmolLM2-135M: queries, gate and up, down, head.
void model_shapes(benchmark::internal::Benchmark *b) {
  for (int T : {1, 8, 64, 512})
    for (auto [N, K] : {std::pair{576, 576}, {1536, 576}, {576, 1536}, {49152, 576}}) b->Args({T, N, K});
}
BENCHMARK(matmul_f32)->Apply(model_shapes);
BENCHMARK(matmul_bf16)->Apply(model_shapes);
void backward_shapes(benchmark::internal::Benchmark *b) {
  for (auto [N, K] : {std::pair{576, 576}, {1536, 576}, {576, 1536}, {2048, 576}}) b->Args({2048, N, K});
  b->Args({256, 64, 64})->Args({64, 256, 256});
}
BENCHMARK_CAPTURE(matmul_backward_input, f32, HONE_F32)->Apply(backward_shapes);
BENCHMARK_CAPTURE(matmul_backward_input, bf16, hone_kernels_v1()->bf16)->Apply(backward_shapes);
BENCHMARK_CAPTURE(matmul_backward_weight, f32, HONE_F32)->Apply(backward_shapes);
BENCHMARK_CAPTURE(matmul_backward_weight, bf16, hone_kernels_v1()->bf16)->Apply(backward_shapes);

// R rows of `length` tokens, H heads of 16 or 64.
void attention(benchmark::State &state, bool backward) {
  const uint32_t R = 8, H = 4, length = uint32_t(state.range(0)), D = uint32_t(state.range(1)), T = R * length;
  std::vector<uint32_t> start;
  for (uint32_t r = 0; r <= R; ++r) start.push_back(r * length);
  const Floats q = random_floats(size_t(T) * H * D);
  Floats y(q.size()), lse(size_t(T) * H), dq(q.size()), dk(q.size()), dv(q.size());
  const hone_kernels *set = hone_kernels_v1();
  set->attention(nullptr, R, start.data(), nullptr, H, H, D, D, 0.25f, q.data(), q.data(), q.data(), y.data(), lse.data());
  for (auto _ : state) {
    if (backward)
      set->attention_backward(nullptr, R, start.data(), nullptr, H, H, D, D, 0.25f, q.data(), q.data(), q.data(), y.data(), lse.data(),
                              q.data(), dq.data(), dk.data(), dv.data());
    else
      set->attention(nullptr, R, start.data(), nullptr, H, H, D, D, 0.25f, q.data(), q.data(), q.data(), y.data(), lse.data());
  }
  flops(state, (backward ? 10.0 : 4.0) * R * H * D * length * (length + 1) / 2);  // the causal half only
}
void attention_forward(benchmark::State &state) { attention(state, false); }
void attention_backward(benchmark::State &state) { attention(state, true); }
BENCHMARK(attention_forward)->ArgsProduct({{16, 64, 128, 512, 2048}, {16, 64}});
BENCHMARK(attention_backward)->ArgsProduct({{16, 64, 128, 512, 2048}, {16, 64}});

// One new token in each of 64 rows at position range(0).
void attention_decode(benchmark::State &state) {
  const uint32_t R = 64, H = 4, D = 16, position = uint32_t(state.range(0)), n = position / 32 + 1;
  const hone_kv_page_shape shape = {32, H, D, D};
  std::vector<uint32_t> start, first(R, position), table;
  for (uint32_t r = 0; r <= R; ++r) start.push_back(r);
  for (uint32_t i = 0; i < R * n; ++i) table.push_back(i);
  const hone_kernels *set = hone_kernels_v1();
  Floats pages = random_floats(R * n * set->kv_page_bytes(&shape) / 4), q = random_floats(R * H * D), y(q.size());
  const hone_cached_rows rows = {R, n, start.data(), first.data(), table.data()};
  for (auto _ : state) set->attention_cached(nullptr, &rows, &shape, H, 0.25f, q.data(), q.data(), q.data(), pages.data(), y.data());
  flops(state, 4.0 * R * H * D * (position + 1));
}
BENCHMARK(attention_decode)->Arg(10)->Arg(100)->Arg(1000);

void logprob(benchmark::State &state) {
  const uint32_t T = 256, V = uint32_t(state.range(0));
  const Floats logits = random_floats(size_t(T) * V);
  const std::vector<int32_t> target(T, 3);
  Floats logp(T), lse(T), entropy(T);
  for (auto _ : state)
    hone_kernels_v1()->logprob(nullptr, T, V, logits.data(), 1, target.data(), logp.data(), lse.data(), entropy.data());
  state.counters["logits/s"] = benchmark::Counter(double(T) * V, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(logprob)->Arg(64)->Arg(1024)->Arg(32000);

void sample(benchmark::State &state) {
  const uint32_t R = 64, V = uint32_t(state.range(0));
  const Floats logits = random_floats(size_t(R) * V), uniform(R, 0.4f);
  const hone_sample_args args = {1, state.range(1) ? 0.95f : 1.0f, 0, state.range(1) ? 20u : 0u};
  std::vector<int32_t> token(R);
  Floats logp(R);
  for (auto _ : state) hone_kernels_v1()->sample(nullptr, R, V, logits.data(), &args, uniform.data(), token.data(), logp.data());
  state.counters["logits/s"] = benchmark::Counter(double(R) * V, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(sample)->ArgsProduct({{64, 32000}, {0, 1}});

void swiglu(benchmark::State &state) {
  const Floats a = random_floats(65536);
  Floats y(a.size());
  for (auto _ : state) hone_kernels_v1()->swiglu(nullptr, a.size(), a.data(), a.data(), y.data());
  state.counters["elements/s"] = benchmark::Counter(double(a.size()), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(swiglu);

void rms_norm(benchmark::State &state) {
  const Floats x = random_floats(256 * 64), w(64, 1);
  Floats y(x.size()), inverse(256);
  for (auto _ : state) hone_kernels_v1()->rms_norm(nullptr, 256, 64, x.data(), w.data(), 1e-6f, y.data(), inverse.data());
}
BENCHMARK(rms_norm);

}  // namespace

BENCHMARK_MAIN();
