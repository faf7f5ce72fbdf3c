// experts_bench.cpp -- products with one weight for each expert, of tokens sorted by expert; the naive twin is the product in double.
#include "kernels/expert_matmul/op.h"
#include "tests/bench/measure.h"

namespace hone::bench {
namespace {

// 512 tokens, two experts each, as unevenly as a router may share them out; one expert gets none.
constexpr uint32_t kExperts = 8, kRows = 2 * kTokens, kCounts[kExperts] = {300, 4, 120, 0, 212, 64, 32, 292};
constexpr uint32_t N = kIntermediate, K = kHidden, kNaivePart = 4;  // the twin has a fourth of each expert's rows

Buffer<uint32_t> offsets(uint32_t part) {
  Buffer<uint32_t> at(kExperts + 1);
  for (uint32_t e = 0; e < kExperts; ++e) at[e + 1] = at[e] + kCounts[e] / part;
  return at;
}

struct Experts {
  Floats W = random_floats(size_t{kExperts} * N * K), x = random_floats(size_t{kRows} * K), dy = random_floats(size_t{kRows} * N);
  Floats y = Floats(dy.size()), dx = Floats(x.size()), dW = Floats(W.size());
  Buffer<uint32_t> at = offsets(1), few = offsets(kNaivePart);
  Buffer<char> packed;
  std::vector<hone_weight> weights;

  explicit Experts(uint32_t dtype) : packed(kExperts * set()->packed_bytes(dtype, N, K)) {
    const size_t bytes = set()->packed_bytes(dtype, N, K);
    for (uint32_t e = 0; e < kExperts; ++e) {
      weights.push_back({dtype, 0, N, K, W + size_t{e} * N * K, packed + e * bytes});
      set()->pack_weight(nullptr, dtype, N, K, W + size_t{e} * N * K, packed + e * bytes);
    }
  }
};

Case made(const Experts &x, uint32_t dtype, double weight_bytes, double naive_part) {
  Case c;
  c.flops = 2.0 * kRows * N * K;
  c.bytes = 4.0 * kRows * (N + K) + weight_bytes * (kExperts - 1) / kExperts;  // one is not read
  c.arithmetic = arithmetic_of(dtype);
  c.naive_part = naive_part / kNaivePart;
  if (naive_part == 1)
    c.naive = [=, X = widen(x.x), W = widen(x.W), Y = Doubles(x.y.size())] { reference::expert_matmul(kExperts, x.few, N, K, X, W, Y); };
  else
    c.naive = [=, X = widen(x.x), W = widen(x.W), D = widen(x.dy), dX = Doubles(x.dx.size()), dW = Doubles(x.dW.size())] {
      reference::expert_matmul_backward(kExperts, x.few, N, K, X, W, D, dX, dW);
    };
  return c;
}

Case forward(uint32_t dtype) {
  const Experts x(dtype);
  Case c = made(x, dtype, static_cast<double>(x.packed.size()), 1);
  c.kernel = [=] { set()->expert_matmul(nullptr, kExperts, x.at, x.x, x.weights.data(), x.y); };
  return c;
}
Case backward_input(uint32_t dtype) {
  const Experts x(dtype);
  Case c = made(x, dtype, 4.0 * static_cast<double>(x.W.size()), 2);
  c.bytes += 4.0 * kRows * K;  // dx is added to
  c.kernel = [=] { set()->expert_matmul_backward_input(nullptr, kExperts, x.at, x.dy, x.weights.data(), x.dx); };
  return c;
}
Case backward_weight(uint32_t dtype) {
  const Experts x(dtype);
  Case c = made(x, dtype, 8.0 * static_cast<double>(x.W.size()), 2);
  c.kernel = [=] { set()->expert_matmul_backward_weight(nullptr, dtype, kExperts, x.at, N, K, x.x, x.dy, x.dW); };
  return c;
}

}  // namespace

void add_expert_products() {
  const std::string size = sizes({{"E", kExperts}, {"rows", kRows}, {"N", N}, {"K", K}});
  for (const bool bf16 : {false, true}) {
    const std::string rest = (bf16 ? "_bf16/" : "_f32/") + size;
    add_case("expert_matmul" + rest, [=] { return forward(dtype_of(bf16)); });
    add_case("expert_matmul_backward_input" + rest, [=] { return backward_input(dtype_of(bf16)); });
    add_case("expert_matmul_backward_weight" + rest, [=] { return backward_weight(dtype_of(bf16)); });
  }
}

}  // namespace hone::bench
