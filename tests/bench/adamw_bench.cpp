// adamw_bench.cpp -- the update of the AdamW plugin, over the model's largest parameter. The plugin's source is part of this file, so
// that its loop can be called without a host.
#include "plugins/optimizers/adamw/adamw.cpp"
#include "tests/bench/measure.h"
#include "tests/bench/naive.h"

namespace hone::bench {

static Case adamw(uint64_t n) {
  const Floats parameter = random_floats(n), gradient = random_floats(n), mean(n), square(n);
  Case c;
  c.bytes = 7 * 4.0 * static_cast<double>(n);  // all four read, all but the gradient written
  c.kernel = [=, adam = AdamW()] {
    float *const state[] = {mean, square};
    adam.update({1, 1, 1}, {"parameter", n, 0, 0, true, parameter, gradient, state});
  };
  const uint64_t part = n / 8;
  c.naive_part = 1.0 / 8;
  c.naive = [=, G = widen(gradient, part), P = widen(parameter, part), M = Doubles(part), S = Doubles(part)] {
    naive::adamw(part, 1 - 1e-5, 1e-2, 0.0316, G, P, M, S);
  };
  return c;
}

void add_optimizers() {
  for (const uint64_t n : {uint64_t{kIntermediate} * kHidden, uint64_t{kVocabulary} * kHidden})
    add_case("adamw/" + sizes({{"n", n}}), [n] { return adamw(n); });
}

}  // namespace hone::bench
