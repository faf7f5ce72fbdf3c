// routing_bench.cpp -- choosing experts, and carrying tokens to them and back: 64 experts, 6 of them for each of 512 tokens.
#include "kernels/dispatch/op.h"
#include "kernels/route/op.h"
#include "tests/bench/measure.h"
#include "tests/bench/naive.h"

namespace hone::bench {
namespace {

constexpr uint32_t T = kTokens, E = 64, k = 6, C = kHidden, n = T * k;
constexpr hone_route_args kRoute = {T, E, k, 1, 1, 1, 0, 1, 0};  // softmax, one group, not normalised
constexpr double kTokenBytes = 4.0 * T * C, kChosenBytes = 4.0 * n * C;

// Tokens that were routed and sorted by expert.
struct Routed {
  Floats logits = random_floats(size_t{T} * E), scores = Floats(size_t{T} * E), weight = Floats(n);
  Floats x = random_floats(size_t{T} * C), chosen = random_floats(size_t{n} * C);
  Buffer<int32_t> index = Buffer<int32_t>(n);
  Buffer<uint32_t> order = Buffer<uint32_t>(n), place = Buffer<uint32_t>(n), offsets = Buffer<uint32_t>(E + 1);
  Routed() {
    set()->route(nullptr, &kRoute, logits, nullptr, scores, index, weight);
    set()->dispatch(nullptr, T, k, E, index, order, place, offsets);
  }
};

Case route() {
  const Routed r;
  Case c;
  c.bytes = 4.0 * (2 * T * E + 2 * n);
  c.kernel = [=] { set()->route(nullptr, &kRoute, r.logits, nullptr, r.scores, r.index, r.weight); };
  c.naive = [=, L = widen(r.logits), S = Doubles(r.scores.size()), W = Doubles(n), I = Buffer<int32_t>(n)] {
    reference::route(kRoute, L, nullptr, S, I, W);
  };
  return c;
}

Case route_backward() {
  const Routed r;
  const Floats dweight = random_floats(n), dlogits(r.logits.size());
  Case c;
  c.bytes = 4.0 * (3 * T * E + 3 * n);
  c.kernel = [=] { set()->route_backward(nullptr, &kRoute, r.scores, r.index, r.weight, dweight, dlogits); };
  c.naive = [=, S = widen(r.scores), D = widen(dweight), dL = Doubles(r.logits.size())] {
    naive::route_backward(kRoute, S, r.index, D, dL);
  };
  return c;
}

// The loss alone, which is what its reference computes.
Case sequence_balance() {
  const Routed r;
  Buffer<uint32_t> start(2);
  start[1] = T;
  Case c;
  c.bytes = 4.0 * (T * E + n);
  c.kernel = [=, loss = Doubles(1)] { set()->sequence_balance(nullptr, &kRoute, 1, start, r.scores, r.index, 0.01f, 1, loss, nullptr); };
  c.naive = [=, S = widen(r.scores), loss = Doubles(1)] { *loss = reference::sequence_balance(kRoute, 1, start, S, r.index, 0.01); };
  return c;
}

Case dispatch() {
  const Routed r;
  Case c;
  c.bytes = 4.0 * (3 * n + E + 1);
  c.kernel = [=] { set()->dispatch(nullptr, T, k, E, r.index, r.order, r.place, r.offsets); };
  c.naive = [=] { reference::dispatch(T, k, E, r.index, r.order, r.place, r.offsets); };
  return c;
}

Case gather_rows() {
  const Routed r;
  Case c;
  c.bytes = kTokenBytes + kChosenBytes + 4.0 * n;
  c.kernel = [=] { set()->gather_rows(nullptr, n, C, k, r.order, r.x, r.chosen); };
  c.naive = [=] { reference::gather_rows<float>(n, C, k, r.order, r.x, r.chosen); };
  return c;
}

Case gather_rows_backward() {
  const Routed r;
  Case c;
  c.bytes = 2 * kTokenBytes + kChosenBytes + 4.0 * n;
  c.kernel = [=] { set()->gather_rows_backward(nullptr, T, k, C, r.place, r.chosen, r.x); };
  c.naive = [=] { reference::gather_rows_backward(T, k, C, r.place, r.chosen, r.x); };
  return c;
}

Case combine() {
  const Routed r;
  Case c;
  c.bytes = kTokenBytes + kChosenBytes + 8.0 * n;
  c.kernel = [=] { set()->combine(nullptr, T, k, C, r.place, r.weight, r.chosen, r.x); };
  c.naive = [=] { reference::combine<float>(T, k, C, r.place, r.weight, r.chosen, r.x); };
  return c;
}

Case combine_backward() {
  const Routed r;
  const Floats dx(r.chosen.size()), dweight(n);
  Case c;
  c.bytes = kTokenBytes + 2 * kChosenBytes + 12.0 * n;
  c.kernel = [=] { set()->combine_backward(nullptr, T, k, C, r.place, r.weight, r.chosen, r.x, dx, dweight); };
  c.naive = [=, W = widen(r.weight), X = widen(r.chosen), D = widen(r.x), dX = Doubles(dx.size()), dW = Doubles(n)] {
    reference::combine_backward(T, k, C, r.place, W, X, D, dX, dW);
  };
  return c;
}

}  // namespace

void add_routing() {
  const std::string experts = sizes({{"T", T}, {"E", E}, {"k", k}}), rows = sizes({{"T", T}, {"k", k}, {"C", C}});
  add_case("route/" + experts, route);
  add_case("route_backward/" + experts, route_backward);
  add_case("sequence_balance/" + experts, sequence_balance);
  add_case("dispatch/" + experts, dispatch);
  add_case("gather_rows/" + rows, gather_rows);
  add_case("gather_rows_backward/" + rows, gather_rows_backward);
  add_case("combine/" + rows, combine);
  add_case("combine_backward/" + rows, combine_backward);
}

}  // namespace hone::bench
