// layers_bench.cpp -- what stands between the products of a layer: norms, rope, swiglu, additions, the embedding. Held to the memory's
// speed by the bytes that must be read and written; 512 tokens' tensors fit the caches.
#include "kernels/elementwise/op.h"
#include "kernels/embedding/op.h"
#include "kernels/rmsnorm/op.h"
#include "kernels/rope/op.h"
#include "tests/bench/measure.h"
#include "tests/bench/naive.h"

namespace hone::bench {
namespace {

constexpr uint32_t T = kTokens, C = kHidden;
constexpr double kNumbers = 4.0 * T * C;  // bytes of a tensor of the hidden size
constexpr float kEpsilon = 1e-5f;

Case rms_norm() {
  const Floats x = random_floats(size_t{T} * C), w(C, 1), y(x.size()), inverse(T);
  Case c;
  c.bytes = 2 * kNumbers + 4.0 * C + 4.0 * T;
  c.kernel = [=] { set()->rms_norm(nullptr, T, C, x, w, kEpsilon, y, inverse); };
  c.naive = [X = widen(x), W = widen(w), Y = Doubles(x.size())] { reference::rms_norm(T, C, X, W, double{kEpsilon}, Y); };
  return c;
}

Case rms_norm_backward() {
  const Floats x = random_floats(size_t{T} * C), w(C, 1), inverse(T, 1.7f), dy = random_floats(x.size()), dx(x.size()), dw(C);
  Case c;
  c.bytes = 4 * kNumbers + 12.0 * C + 4.0 * T;
  c.kernel = [=] { set()->rms_norm_backward(nullptr, T, C, x, w, inverse, dy, dx, dw); };
  c.naive = [X = widen(x), W = widen(w), I = widen(inverse), D = widen(dy), dX = Doubles(x.size()), dW = Doubles(C)] {
    naive::rms_norm_backward(T, C, X, W, I, D, dX, dW);
  };
  return c;
}

Case rope(int interleaved) {
  const Floats x = random_floats(size_t{T} * C), y(x.size()), angles = random_floats(size_t{T} * kHeadSize);
  Buffer<uint32_t> position(T);
  for (uint32_t t = 0; t < T; ++t) position[t] = t;
  Case c;
  c.bytes = 2 * kNumbers + 4.0 * T * kHeadSize + 4.0 * T;
  c.kernel = [=] { set()->rope(nullptr, T, kHeads, kHeadSize, 0, kHeadSize, interleaved, position, angles, 1, x, y); };
  const Doubles still(angles.size());  // angles of 0: the reference turns in place, and x shall stay in range
  for (size_t i = 0; i < still.size(); ++i) still[i] = i % kHeadSize < kHeadSize / 2;
  c.naive = [=, X = widen(x)] { reference::rope(T, kHeads, kHeadSize, 0, kHeadSize, interleaved, position, still, X); };
  return c;
}

Case swiglu() {
  constexpr uint64_t n = uint64_t{T} * kIntermediate;
  const Floats gate = random_floats(n), up = random_floats(n), y(n);
  Case c;
  c.bytes = 3 * 4.0 * n;
  c.kernel = [=] { set()->swiglu(nullptr, n, gate, up, y); };
  c.naive = [G = widen(gate), U = widen(up), Y = Doubles(n)] { reference::swiglu(n, G, U, Y); };
  return c;
}

Case swiglu_backward() {
  constexpr uint64_t n = uint64_t{T} * kIntermediate;
  const Floats gate = random_floats(n), up = random_floats(n), dy = random_floats(n), dgate(n), dup(n);
  Case c;
  c.bytes = 5 * 4.0 * n;
  c.kernel = [=] { set()->swiglu_backward(nullptr, n, gate, up, dy, dgate, dup, 0); };
  c.naive = [G = widen(gate), U = widen(up), D = widen(dy), dG = Doubles(n), dU = Doubles(n)] {
    naive::swiglu_backward(n, G, U, D, dG, dU);
  };
  return c;
}

Case add(uint64_t n) {
  const Floats a = random_floats(n), b = random_floats(n), y(n);
  Case c;
  c.bytes = 3 * 4.0 * static_cast<double>(n);
  c.kernel = [=] { set()->add(nullptr, n, a, b, y); };
  c.naive = [=] { reference::add(n, a, b, y); };
  return c;
}

Case add_scaled() {
  const Floats x = random_floats(size_t{T} * C), y(x.size());
  Case c;
  c.bytes = 3 * kNumbers;
  c.kernel = [=] { set()->add_scaled(nullptr, x.size(), x, 0.5f, y); };
  c.naive = [=] { reference::add_scaled(x.size(), x, 0.5f, y); };
  return c;
}

Case add_bias() {
  const Floats bias = random_floats(C), y(size_t{T} * C);
  Case c;
  c.bytes = 2 * kNumbers + 4.0 * C;
  c.kernel = [=] { set()->add_bias(nullptr, T, C, bias, y); };
  c.naive = [=] { reference::add_bias<float>(T, C, bias, y); };
  return c;
}

Case add_bias_backward() {
  const Floats dy = random_floats(size_t{T} * C), dbias(C);
  Case c;
  c.bytes = kNumbers + 8.0 * C;
  c.kernel = [=] { set()->add_bias_backward(nullptr, T, C, dy, dbias); };
  c.naive = [=] { reference::add_bias_backward(T, C, dy, dbias); };
  return c;
}

Case embedding() {
  const Floats table = random_floats(size_t{kVocabulary} * C), y(size_t{T} * C);
  const Buffer<int32_t> ids = random_ids(T, kVocabulary);
  Case c;
  c.bytes = 2 * kNumbers + 4.0 * T;
  c.kernel = [=] { set()->embedding(nullptr, T, C, ids, table, y); };
  c.naive = [=] { reference::embedding<float>(T, C, ids, table, y); };
  return c;
}

Case embedding_backward() {
  const Floats dtable(size_t{kVocabulary} * C), dy = random_floats(size_t{T} * C);
  const Buffer<int32_t> ids = random_ids(T, kVocabulary);
  Case c;
  c.bytes = 3 * kNumbers + 4.0 * T;  // as if every id were another
  c.kernel = [=] { set()->embedding_backward(nullptr, T, C, kVocabulary, ids, dy, dtable); };
  c.naive = [=] { reference::embedding_backward(T, C, ids, dy, dtable); };
  return c;
}

}  // namespace

void add_layers() {
  const std::string rows = sizes({{"T", T}, {"C", C}}), heads = sizes({{"T", T}, {"H", kHeads}, {"D", kHeadSize}});
  const std::string wide = sizes({{"n", uint64_t{T} * kIntermediate}}), looked_up = sizes({{"T", T}, {"C", C}, {"V", kVocabulary}});
  constexpr uint64_t kFromMemory = uint64_t{1} << 25;  // numbers: 128 MiB a tensor
  add_case("rms_norm/" + rows, rms_norm);
  add_case("rms_norm_backward/" + rows, rms_norm_backward);
  add_case("rope/" + heads, [] { return rope(0); });
  add_case("rope_interleaved/" + heads, [] { return rope(1); });
  add_case("swiglu/" + wide, swiglu);
  add_case("swiglu_backward/" + wide, swiglu_backward);
  for (const uint64_t n : {uint64_t{T} * C, kFromMemory}) add_case("add/" + sizes({{"n", n}}), [n] { return add(n); });
  add_case("add_scaled/" + sizes({{"n", uint64_t{T} * C}}), add_scaled);
  add_case("add_bias/" + rows, add_bias);
  add_case("add_bias_backward/" + rows, add_bias_backward);
  add_case("embedding/" + looked_up, embedding);
  add_case("embedding_backward/" + looked_up, embedding_backward);
}

}  // namespace hone::bench
