// products_bench.cpp -- matmul and its two gradients, f32 and the set's own bf16; the naive twin is the product in double, one sum
// at a time.
#include <algorithm>

#include "kernels/matmul/op.h"
#include "tests/bench/measure.h"

namespace hone::bench {
namespace {

constexpr double kNaiveSteps = 2e8;  // multiply-adds of a naive twin: a fraction of a second

struct Shape {
  uint32_t T, N, K;
  double flops() const { return 2.0 * T * N * K; }
  // x, y and W once each; a weight of bf16 takes half the bytes where it is packed.
  double bytes(double weight_bytes) const { return 4.0 * T * K + 4.0 * T * N + weight_bytes; }
  // Tokens of the naive twin.
  uint32_t few() const { return std::min(T, static_cast<uint32_t>(std::max(1.0, kNaiveSteps / N / K))); }
};

struct Packed {
  Floats W;
  Buffer<char> packed;
  hone_weight weight;
  Packed(uint32_t dtype, uint32_t N, uint32_t K)
      : W(random_floats(size_t{N} * K)), packed(set()->packed_bytes(dtype, N, K)), weight{dtype, 0, N, K, W, packed} {
    set()->pack_weight(nullptr, dtype, N, K, W, packed);
  }
};

Case matmul(uint32_t dtype, Shape s, bool with_naive) {
  const Packed w(dtype, s.N, s.K);
  const Floats x = random_floats(size_t{s.T} * s.K), y(size_t{s.T} * s.N);
  Case c;
  c.flops = s.flops();
  c.bytes = s.bytes(static_cast<double>(w.packed.size()));
  c.arithmetic = arithmetic_of(dtype);
  c.kernel = [=] { set()->matmul(nullptr, s.T, x, s.K, &w.weight, y, s.N, 0); };
  if (!with_naive) return c;
  const uint32_t few = s.few();
  c.naive_part = double(few) / s.T;
  c.naive = [=, X = widen(x, size_t{few} * s.K), W = widen(w.W), Y = Doubles(size_t{few} * s.N)] {
    reference::matmul(few, s.N, s.K, X, W, Y);
  };
  return c;
}

// What the naive twin of both gradients takes: it makes both at once.
void add_naive_gradients(Case &c, Shape s, const Floats &x, const Floats &W, const Floats &dy) {
  const uint32_t few = s.few();
  c.naive_part = 2.0 * few / s.T;
  c.naive = [=, X = widen(x, size_t{few} * s.K), V = widen(W), D = widen(dy, size_t{few} * s.N), dX = Doubles(size_t{few} * s.K),
             dW = Doubles(W.size())] { reference::matmul_backward(few, s.N, s.K, X, V, D, dX, dW); };
}

Case backward_input(uint32_t dtype, Shape s, bool with_naive) {
  const Packed w(dtype, s.N, s.K);
  const Floats x = random_floats(size_t{s.T} * s.K), dy = random_floats(size_t{s.T} * s.N), dx(x.size());
  Case c;
  c.flops = s.flops();
  c.bytes = s.bytes(4.0 * s.N * s.K);
  c.arithmetic = arithmetic_of(dtype);
  c.kernel = [=] { set()->matmul_backward_input(nullptr, s.T, dy, s.N, &w.weight, dx, s.K, 0); };
  if (with_naive) add_naive_gradients(c, s, x, w.W, dy);
  return c;
}

Case backward_weight(uint32_t dtype, Shape s, bool with_naive) {
  const Floats W = random_floats(size_t{s.N} * s.K), x = random_floats(size_t{s.T} * s.K), dy = random_floats(size_t{s.T} * s.N),
               dW(W.size());
  Case c;
  c.flops = s.flops();
  c.bytes = s.bytes(8.0 * s.N * s.K);  // added to
  c.arithmetic = arithmetic_of(dtype);
  c.kernel = [=] { set()->matmul_backward_weight(nullptr, dtype, s.T, s.N, s.K, x, s.K, dy, s.N, dW); };
  if (with_naive) add_naive_gradients(c, s, x, W, dy);
  return c;
}

Case pack(uint32_t dtype, uint32_t N, uint32_t K) {
  const Floats W = random_floats(size_t{N} * K), naive(size_t{N} * K);
  const Buffer<char> packed(set()->packed_bytes(dtype, N, K));
  Case c;
  c.bytes = 4.0 * N * K + static_cast<double>(packed.size());
  c.kernel = [=] { set()->pack_weight(nullptr, dtype, N, K, W, packed); };
  c.naive = [=] {  // of floats
    for (uint32_t n = 0; n < N; ++n)
      for (uint32_t k = 0; k < K; ++k) naive[(size_t{n} / 16 * K + k) * 16 + n % 16] = W[size_t{n} * K + k];
  };
  return c;
}

using Make = Case (*)(uint32_t dtype, Shape, bool with_naive);
void add(const std::string &name, Make make, Shape s, bool with_naive = true) {
  for (const bool bf16 : {false, true})
    add_case(name + (bf16 ? "_bf16/" : "_f32/") + sizes({{"T", s.T}, {"N", s.N}, {"K", s.K}}),
             [=] { return make(dtype_of(bf16), s, with_naive); });
}

}  // namespace

void add_products() {
  // Queries, gate and up, down, and the head: one new token, one in each of 64 rows, and a pass over many.
  for (const auto &[N, K] : {std::pair{kHidden, kHidden}, {kIntermediate, kHidden}, {kHidden, kIntermediate}, {kVocabulary, kHidden}})
    for (const uint32_t T : {1u, 64u, kTokens}) add("matmul", matmul, {T, N, K});
  // The head's gradients are made by blocks of ids.
  for (const auto &[N, K] : {std::pair{kHidden, kHidden}, {kIntermediate, kHidden}, {kHidden, kIntermediate}, {2048u, kHidden}}) {
    add("matmul_backward_input", backward_input, {kTokens, N, K});
    add("matmul_backward_weight", backward_weight, {kTokens, N, K});
  }
  for (const bool bf16 : {false, true})
    add_case(std::string("pack_weight") + (bf16 ? "_bf16/" : "_f32/") + sizes({{"N", kIntermediate}, {"K", kHidden}}),
             [=] { return pack(dtype_of(bf16), kIntermediate, kHidden); });
  // Of models of other sizes; kernel_table.py leaves them out.
  for (const uint32_t size : {64u, 256u, 2048u, 4096u})
    for (const uint32_t T : {1u, 4u, 16u, 64u, 256u, 2048u}) {
      if (size > 256 && T > 256) continue;
      add("sweep/matmul", matmul, {T, size, size}, false);
      if (T < 64 || size > 256) continue;
      add("sweep/matmul_backward_input", backward_input, {T, size, size}, false);
      add("sweep/matmul_backward_weight", backward_weight, {T, size, size}, false);
    }
}

}  // namespace hone::bench
