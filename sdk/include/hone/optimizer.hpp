// optimizer.hpp -- write an optimizer as one const function over flat spans.
#pragma once

#include "hone/ext/optimizer.h"
#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

// A piece of one parameter. The host owns all of it; state[i] is all zero before the first step.
struct Span {
  std::string_view name;
  uint64_t size;           // elements in this piece
  uint64_t rows, columns;  // of the matrix, when pieces are whole matrices (each expert's is one); 0 for what is not a matrix
  bool decay;              // weight decay applies
  float *parameter;
  const float *gradient;  // multiply by the update's gradient_scale
  float *const *state;
  bool embedding = false, head = false;  // a table whose rows are looked up; what gives logits or values. A tied head is both
};

struct Update {
  uint64_t step;                // 1 in the first update
  double learning_rate_factor;  // the schedule's; multiply the optimizer's own learning rate by it
  double gradient_scale;        // what clipping by the global norm leaves
};

class Optimizer {
 public:
  using Interface = Optimizer;
  static constexpr const char *kind = HONE_OPTIMIZER;

  virtual ~Optimizer() = default;
  virtual uint32_t states() const = 0;  // buffers of state per parameter: 2 for adamw
  virtual uint32_t granularity() const { return HONE_ELEMENTWISE; }
  // const, because the host cuts the work as it likes and calls from all threads: [many]. What lasts is in span.state.
  virtual void update(const Update &update, const Span &span) const = 0;

  static const hone_optimizer &methods() {
    static const hone_optimizer m{
        sizeof(hone_optimizer), [](void *self) { return static_cast<const Optimizer *>(self)->states(); },
        [](void *self) { return static_cast<const Optimizer *>(self)->granularity(); },
        [](void *self, const hone_update *step, const hone_span *spans, uint32_t n_spans, hone_error *err) {
          return detail::guard(err, [&] {
            const hone_update u = detail::known(*step);
            const auto *bytes = reinterpret_cast<const char *>(spans);
            for (uint32_t i = 0; i < n_spans; ++i) {
              const hone_span s = detail::known(*reinterpret_cast<const hone_span *>(bytes + size_t{i} * u.span_size));
              static_cast<const Optimizer *>(self)->update(
                  {u.step, u.learning_rate_factor, u.gradient_scale},
                  {detail::view(s.name), s.size, s.rows, s.columns, (s.flags & HONE_SPAN_DECAY) != 0, s.parameter, s.gradient,
                   s.state, (s.flags & HONE_SPAN_EMBEDDING) != 0, (s.flags & HONE_SPAN_HEAD) != 0});
            }
          });
        }};
    return m;
  }
};

}  // namespace hone
