// attention_bench.cpp -- attention over packed rows, forward and backward, and of one new token in each row over a cache.
// The naive twin of the forward pass is the reference in double; of the others, the loops of naive.h.
#include <numeric>

#include "kernels/attention/op.h"
#include "tests/bench/measure.h"
#include "tests/bench/naive.h"

namespace hone::bench {
namespace {

using Lengths = std::vector<uint32_t>;
constexpr float kScale = 0.125f;

uint32_t sum(const Lengths &lengths) { return std::accumulate(lengths.begin(), lengths.end(), 0u); }
// Pairs of a query and a key that it sees.
double pairs(const Lengths &lengths) {
  double n = 0;
  for (const uint32_t length : lengths) n += 0.5 * length * (length + 1.0);
  return n;
}
Buffer<uint32_t> starts(const Lengths &lengths) {
  Buffer<uint32_t> at(lengths.size() + 1);
  for (size_t r = 0; r < lengths.size(); ++r) at[r + 1] = at[r] + lengths[r];
  return at;
}

struct Packed {
  Lengths lengths;
  uint32_t H, G, D;
  uint32_t R() const { return static_cast<uint32_t>(lengths.size()); }
  size_t queries() const { return size_t{sum(lengths)} * H * D; }
  size_t keys() const { return size_t{sum(lengths)} * G * D; }
  std::string name(const char *what) const {
    return sizes({{"R", R()}, {"T", sum(lengths)}, {"H", H}, {"G", G}, {"D", D}}).insert(0, std::string(what) + "/");
  }
};

Case forward(const Packed &p, const Lengths &few) {
  const Floats q = random_floats(p.queries()), k = random_floats(p.keys()), v = random_floats(p.keys());
  const Floats y(q.size()), lse(size_t{sum(p.lengths)} * p.H);
  const Buffer<uint32_t> at = starts(p.lengths), few_at = starts(few);
  Case c;
  c.flops = 4.0 * p.H * p.D * pairs(p.lengths);
  c.bytes = 4.0 * static_cast<double>(q.size() + k.size() + v.size() + y.size() + lse.size());
  c.kernel = [=] { set()->attention(nullptr, p.R(), at, nullptr, p.H, p.G, p.D, p.D, kScale, q, k, v, y, lse); };
  c.naive_part = pairs(few) / pairs(p.lengths);
  if (few.empty()) return c;
  c.naive = [=, n = static_cast<uint32_t>(few.size()), Q = widen(q), K = widen(k), V = widen(v), Y = Doubles(q.size()),
             L = Doubles(lse.size())] {
    reference::attention(n, few_at, nullptr, p.H, p.G, p.D, p.D, static_cast<double>(kScale), Q, K, V, Y, L);
  };
  return c;
}

Case backward(const Packed &p, const Lengths &few) {
  const Floats q = random_floats(p.queries()), k = random_floats(p.keys()), v = random_floats(p.keys()), dy = random_floats(p.queries());
  const Floats y(q.size()), lse(size_t{sum(p.lengths)} * p.H), dq(q.size()), dk(k.size()), dv(v.size());
  const Buffer<uint32_t> at = starts(p.lengths), few_at = starts(few);
  set()->attention(nullptr, p.R(), at, nullptr, p.H, p.G, p.D, p.D, kScale, q, k, v, y, lse);
  Case c;
  c.flops = 10.0 * p.H * p.D * pairs(p.lengths);
  c.bytes = 4.0 * static_cast<double>(5 * q.size() + 6 * k.size() + lse.size());
  c.kernel = [=] { set()->attention_backward(nullptr, p.R(), at, nullptr, p.H, p.G, p.D, p.D, kScale, q, k, v, y, lse, dy, dq, dk, dv); };
  c.naive_part = pairs(few) / pairs(p.lengths);
  if (few.empty()) return c;
  c.naive = [=, Q = widen(q), K = widen(k), V = widen(v), D = widen(dy), dQ = Doubles(q.size()), dK = Doubles(k.size()),
             dV = Doubles(v.size())] {
    for (size_t r = 0; r < few.size(); ++r) {
      const size_t own = size_t{few_at[r]} * p.H * p.D, kept = size_t{few_at[r]} * p.G * p.D;
      naive::attention_backward(few[r], p.H, p.G, p.D, static_cast<double>(kScale), Q + own, K + kept, V + kept, D + own, dQ + own,
                                dK + kept, dV + kept);
    }
  };
  return c;
}

// One new token in each of R rows, at this position.
Case cached(uint32_t R, uint32_t position, uint32_t H, uint32_t G, uint32_t D) {
  constexpr uint32_t kPage = 32, kNaiveRows = 8;
  const hone_kv_page_shape shape = {kPage, G, D, D};
  const uint32_t pages_of_row = position / kPage + 1, keys = position + 1;
  Buffer<uint32_t> start(R + 1), first(R, position), table(R * pages_of_row);
  for (uint32_t r = 0; r <= R; ++r) start[r] = r;
  for (uint32_t i = 0; i < table.size(); ++i) table[i] = i;
  const Floats pages = random_floats(table.size() * set()->kv_page_bytes(&shape) / 4);
  const Floats q = random_floats(size_t{R} * H * D), k = random_floats(size_t{R} * G * D), y(q.size());
  const hone_cached_rows rows = {R, pages_of_row, start, first, table};
  Case c;
  c.flops = 4.0 * R * H * D * keys;
  c.bytes = 4.0 * R * (2.0 * keys * G * D + 2.0 * H * D + 2.0 * G * D);  // a page's keys and values once for all heads
  c.kernel = [=, kept = start, kept_first = first, kept_table = table] {
    set()->attention_cached(nullptr, &rows, &shape, H, kScale, q, k, k, pages, y);
  };
  c.naive_part = double(kNaiveRows) / R;
  c.naive = [=, Q = widen(q), K = widen(random_floats(size_t{kNaiveRows} * keys * G * D)), Y = Doubles(q.size())] {
    naive::attention_of_one(kNaiveRows, keys, H, G, D, static_cast<double>(kScale), Q, K, K, Y);
  };
  return c;
}

}  // namespace

void add_attention() {
  const Lengths uneven = {37, 64, 101, 5, 128, 77, 60, 40}, one = {2048}, part = {512};  // uneven: 512 tokens
  struct {
    Packed problem;
    Lengths few;  // rows of the naive twin
  } const all[] = {{{uneven, kHeads, kHeads, kHeadSize}, uneven},
                   {{uneven, kHeads, kKvHeads, kHeadSize}, uneven},
                   {{one, kHeads, kKvHeads, kHeadSize}, part}};
  for (const auto &a : all) {
    add_case(a.problem.name("attention"), [a] { return forward(a.problem, a.few); });
    add_case(a.problem.name("attention_backward"), [a] { return backward(a.problem, a.few); });
  }
  for (const uint32_t position : {63u, 511u})
    add_case("attention_cached/" + sizes({{"R", 64}, {"position", position}, {"H", kHeads}, {"G", kKvHeads}, {"D", kHeadSize}}),
             [=] { return cached(64, position, kHeads, kKvHeads, kHeadSize); });
  // Of models of other sizes; kernel_table.py leaves them out.
  for (const uint32_t D : {16u, 64u})
    for (const uint32_t length : {16u, 64u, 128u, 512u, 2048u}) {
      const Packed p{Lengths(8, length), 4, 4, D};
      add_case(p.name("sweep/attention"), [=] { return forward(p, {}); });
      add_case(p.name("sweep/attention_backward"), [=] { return backward(p, {}); });
    }
}

}  // namespace hone::bench
