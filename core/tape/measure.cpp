// measure.cpp -- see measure.h. The memory of the weights, the gradient and the pass is asked for and, but by a model's own
// operators, never touched, so that it takes none.
#include "core/tape/measure.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/base/pool.h"
#include "core/tape/tape.h"

namespace hone {
namespace {

// A kernel of this type that does nothing.
template <class R, class... A>
auto idle(R (*)(A...)) -> R (*)(A...) {
  return [](A...) -> R { return R(); };
}

// The real kernels' sizes and memory; everything else idle.
hone_kernels idle_kernels(const hone_kernels &real) {
  hone_kernels t = real;
  const auto each = [](auto &...kernel) { ((kernel = idle(kernel)), ...); };
  each(t.discard, t.copy_in, t.copy_out, t.fill, t.copy, t.synchronize, t.pack_weight, t.matmul, t.matmul_backward_input,
       t.matmul_backward_weight, t.expert_matmul, t.expert_matmul_backward_input, t.expert_matmul_backward_weight, t.add, t.add_scaled,
       t.add_bias, t.add_bias_backward, t.swiglu, t.swiglu_backward, t.copy_heads, t.sum_heads, t.embedding, t.embedding_backward,
       t.rms_norm, t.rms_norm_backward, t.rope, t.attention, t.attention_backward, t.route, t.route_backward, t.sequence_balance,
       t.dispatch, t.gather_rows, t.combine, t.combine_backward, t.gather_rows_backward);
  return t;
}

}  // namespace

std::optional<uint64_t> training_pass_bytes(const std::shared_ptr<const Architecture> &architecture, const PassShape &shape) {
  const hone_kernels table = idle_kernels(kernels());
  try {
    Weights weights(architecture, false, shape.dtype, &table);
    Pool pool(1);
    weights.prepare(pool);
    Tape tape(table, Pool::serial_stream());
    const uint32_t length = std::min(shape.tokens_per_row, architecture->info().max_positions);
    std::vector<uint32_t> row_start(shape.rows + 1);
    for (uint32_t r = 0; r <= shape.rows; ++r) row_start[r] = r * length;
    const std::vector<int32_t> ids(row_start.back(), 0);
    tape.forward(weights, {ids, row_start}, true, shape.checkpointing, shape.depths);
    const FloatBuffer d_hidden(table, uint64_t{row_start.back()} * architecture->info().hidden_size), gradient(table, weights.trained_size());
    tape.backward(d_hidden.data(), gradient.data());
    return tape.most_used_bytes();
  } catch (const Failure &) {
    return std::nullopt;
  }
}

}  // namespace hone
