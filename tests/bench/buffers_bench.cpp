// buffers_bench.cpp -- kernels over whole buffers: fills, copies, reductions; and over columns of heads.
#include "kernels/heads/op.h"
#include "kernels/memory/op.h"
#include "kernels/reduce/op.h"
#include "tests/bench/measure.h"

namespace hone::bench {
namespace {

Case fill(uint64_t n) {
  const Floats x(n);
  Case c;
  c.bytes = 4.0 * static_cast<double>(n);
  c.kernel = [=] { set()->fill(nullptr, x, n, 1); };
  c.naive = [=] { reference::fill(x, n, 1); };
  return c;
}

Case copy(uint64_t n) {
  const Floats x = random_floats(n), y(n);
  Case c;
  c.bytes = 8.0 * static_cast<double>(n);
  c.kernel = [=] { set()->copy(nullptr, y, x, n); };
  c.naive = [=] { reference::copy(y, x, n); };
  return c;
}

Case sum_of_squares(uint64_t n) {
  const Floats x = random_floats(n);
  Case c;
  c.bytes = 4.0 * static_cast<double>(n);
  c.kernel = [=, total = Doubles(1)] { *total = set()->sum_of_squares(nullptr, n, x); };
  c.naive = [=, total = Doubles(1)] { *total = reference::sum_of_squares(n, x); };
  return c;
}

Case all_finite(uint64_t n) {
  const Floats x = random_floats(n);
  Case c;
  c.bytes = 4.0 * static_cast<double>(n);
  c.kernel = [=, said = Buffer<int32_t>(1)] { *said = set()->all_finite(nullptr, n, x); };
  c.naive = [=, said = Buffer<int32_t>(1)] { *said = reference::all_finite(n, x); };
  return c;
}

Case add_slots(uint64_t n) {
  constexpr uint32_t kSlots = 4;
  std::vector<Floats> slots;
  std::vector<const float *> at;
  for (uint32_t s = 0; s < kSlots; ++s) slots.push_back(random_floats(n)), at.push_back(slots.back());
  const Floats to(n);
  Case c;
  c.bytes = (kSlots + 1) * 4.0 * static_cast<double>(n);
  c.kernel = [=, kept = slots] { set()->add_slots(nullptr, n, kSlots, at.data(), to); };
  c.naive = [=, kept = slots] {
    for (uint64_t i = 0; i < n; ++i) to[i] = reference::add_slots(i, kSlots, at.data());
  };
  return c;
}

// One of three kv heads out of queries, keys and values that stand beside one another.
constexpr uint32_t T = kTokens, kAll = (kHeads + 2 * kKvHeads) * kHeadSize;

Case copy_heads() {
  const Floats x = random_floats(size_t{T} * kAll), y(size_t{T} * kHidden);
  Case c;
  c.bytes = 2 * 4.0 * T * kHidden;
  c.kernel = [=] { set()->copy_heads(nullptr, T, kHeads, kHeadSize, x, kAll, kHeadSize, y, kHidden, kHeadSize, 0); };
  c.naive = [=] { reference::copy_heads<float>(T, kHeads, kHeadSize, x, kAll, kHeadSize, y, kHidden, kHeadSize, false); };
  return c;
}

Case sum_heads() {
  const Floats dy = random_floats(size_t{T} * kHidden), dx(size_t{T} * kHeadSize);
  Case c;
  c.bytes = 4.0 * T * (kHidden + 2 * kHeadSize);
  c.kernel = [=] { set()->sum_heads(nullptr, T, kHeads, kHeadSize, dy, kHidden, kHeadSize, dx, kHeadSize); };
  c.naive = [=] { reference::sum_heads(T, kHeads, kHeadSize, dy, kHidden, kHeadSize, dx, kHeadSize); };
  return c;
}

}  // namespace

void add_buffers() {
  constexpr uint64_t n = uint64_t{kVocabulary} * kHidden;  // the largest parameter's gradient: from memory
  const std::string whole = sizes({{"n", n}}), heads = sizes({{"T", T}, {"H", kHeads}, {"D", kHeadSize}});
  add_case("fill/" + whole, [] { return fill(n); });
  add_case("copy/" + whole, [] { return copy(n); });
  add_case("sum_of_squares/" + whole, [] { return sum_of_squares(n); });
  add_case("all_finite/" + whole, [] { return all_finite(n); });
  add_case("add_slots/" + whole + "/slots:4", [] { return add_slots(n); });
  add_case("copy_heads/" + heads, copy_heads);
  add_case("sum_heads/" + heads, sum_heads);
}

}  // namespace hone::bench
