// run.cpp -- computes the value of one noted operator; called when it is noted, and again when a segment is recomputed.
#include "core/tape/graph.h"

namespace hone {

void Tape::State::run(Node &n) {
  if (n.op == Operator::route) return run_route(n);
  if (n.op == Operator::experts) return run_experts(n);
  if (n.op == Operator::custom) return run_custom(n);
  const float *x = n.op == Operator::embedding ? nullptr : node(n.in[0]).data;
  float *y = n.data = record && !keep_boundaries_only ? borrow(size_of(n)) : scratch.floats(size_of(n));
  hone_stream *s = &stream;
  switch (n.op) {
    case Operator::embedding:
      kernels.embedding(s, T, n.columns, n.embedding.ids, parameter_data(n.in[0]), y);
      break;
    case Operator::linear:
      run_product(n, x, y);
      n.linear.low = add_low_rank(n.in[1], {T, 0, nullptr}, x, y);
      break;
    case Operator::rms_norm:
      n.norm.inverse = scratch.floats(size_of(n) / n.norm.width);
      run_norm(n, y);
      break;
    case Operator::add:
      kernels.add(s, size_of(n), x, node(n.in[1]).data, y);
      break;
    case Operator::scale:
      kernels.fill(s, y, size_of(n), 0);
      kernels.add_scaled(s, size_of(n), x, n.scale.factor, y);
      break;
    case Operator::swiglu:
      run_swiglu(n, y);
      break;
    case Operator::slice: {
      const auto &[heads, begin, size] = n.slice;
      const uint32_t columns = node(n.in[0]).columns;
      kernels.copy_heads(s, T, heads, size, x + begin, columns, columns / heads, y, n.columns, size, 0);
      break;
    }
    case Operator::join: {
      const auto &[a_heads, b_heads] = n.join;
      const Node &b = node(n.in[1]);
      const uint32_t a_columns = node(n.in[0]).columns, a_size = a_columns / a_heads, b_size = b.columns / b_heads,
                     size = a_size + b_size;
      kernels.copy_heads(s, T, a_heads, a_size, x, a_columns, a_size, y, n.columns, size, 0);
      kernels.copy_heads(s, T, a_heads, b_size, b.data, b.columns, b_heads == a_heads ? b_size : 0, y + a_size,
                         n.columns, size, 0);
      break;
    }
    case Operator::rope: {
      const float *table = ropes.table(stream, n.rope.table, positions, weights->architecture().info().max_positions);
      kernels.rope(s, T, n.rope.heads, n.columns / n.rope.heads, n.rope.begin, n.rope.size,
                   static_cast<int>(n.rope.interleaved), position, table, 1, x, y);
      break;
    }
    case Operator::attention: {
      const float *k = node(n.in[1]).data, *v = node(n.in[2]).data;
      if (cache) {
        kernels.attention_cached(s, &cached_rows, &cache->shape(), n.attention.heads, n.attention.scale, x, k, v,
                                 cache->layer(n.attention.layer), y);
      } else {
        const hone_model_info &info = weights->architecture().info();
        n.attention.lse = scratch.floats(uint64_t{T} * n.attention.heads);
        kernels.attention(s, R, row_start, prefix, n.attention.heads, n.attention.kv_heads, info.key_size, info.value_size,
                          n.attention.scale, x, k, v, y, n.attention.lse);
      }
      break;
    }
    case Operator::route:
    case Operator::experts:
    case Operator::custom:
      break;
  }
}

void Tape::State::run_product(const Node &n, const float *x, float *y) {
  kernels.matmul(&stream, T, x, node(n.in[0]).columns, &weights->weight(index_of(n.in[1])), y, n.columns, 0);
  if (n.in[2]) kernels.add_bias(&stream, T, n.columns, parameter_data(n.in[2]), y);
}

void Tape::State::run_norm(Node &n, float *y) {
  kernels.rms_norm(&stream, size_of(n) / n.norm.width, n.norm.width, node(n.in[0]).data, n.in[1] ? parameter_data(n.in[1]) : nullptr,
                   n.norm.epsilon, y, n.norm.inverse);
}

void Tape::State::run_swiglu(Node &n, float *y) {
  const float *gate = value_of(n.in[0]), *up = value_of(n.in[1]);
  kernels.swiglu(&stream, size_of(n), gate, up, y);
}

void Tape::State::run_route(Node &n) {
  auto &route = n.route;
  const uint64_t choices = uint64_t{T} * route.args.k;
  route.scores = scratch.floats(uint64_t{T} * route.args.E);
  route.index = static_cast<int32_t *>(scratch.take(choices * sizeof(int32_t)));
  route.order = static_cast<uint32_t *>(scratch.take(choices * sizeof(uint32_t)));
  route.place = static_cast<uint32_t *>(scratch.take(choices * sizeof(uint32_t)));
  route.offsets = static_cast<uint32_t *>(scratch.take((route.args.E + 1) * sizeof(uint32_t)));
  n.data = scratch.floats(choices);
  kernels.route(&stream, &route.args, node(n.in[0]).data, n.in[1] ? parameter_data(n.in[1]) : nullptr, route.scores,
                route.index, n.data);
  kernels.dispatch(&stream, T, route.args.k, route.args.E, route.index, route.order, route.place, route.offsets);
  if (replaying) return;
  kernels.copy_out(&stream, host_offsets.data(), route.offsets, (route.args.E + 1) * sizeof(uint32_t));
  uint64_t *count = counts.data() + uint64_t{route.layer} * route.args.E;
  for (uint32_t e = 0; e < route.args.E; ++e) count[e] += host_offsets[e + 1] - host_offsets[e];
  if (record && route.alpha != 0)
    kernels.sequence_balance(&stream, &route.args, R, row_start, route.scores, route.index, route.alpha, 0,
                             &auxiliary_loss, nullptr);
}

void Tape::State::run_experts(Node &n) {
  const Node &x = node(n.in[0]), &route = node(n.in[1]);
  const uint32_t E = route.route.args.E, k = route.route.args.k, C = n.columns, F = info_of(n.in[2]).dims[1];
  const uint64_t rows = uint64_t{T} * k;
  auto &saved = n.experts;
  n.data = scratch.floats(size_of(n));
  saved = {scratch.floats(rows * C),
           scratch.floats(rows * F),
           scratch.floats(rows * F),
           scratch.floats(rows * F),
           scratch.floats(rows * C),
           nullptr,
           nullptr,
           nullptr};
  const uint32_t *offsets = route.route.offsets;
  const ProductRows by_expert{static_cast<uint32_t>(rows), E, offsets};
  kernels.gather_rows(&stream, static_cast<uint32_t>(rows), C, k, route.route.order, x.data, saved.x);
  kernels.expert_matmul(&stream, E, offsets, saved.x, &weights->weight(index_of(n.in[2])), saved.gate);
  kernels.expert_matmul(&stream, E, offsets, saved.x, &weights->weight(index_of(n.in[3])), saved.up);
  saved.low_gate = add_low_rank(n.in[2], by_expert, saved.x, saved.gate);
  saved.low_up = add_low_rank(n.in[3], by_expert, saved.x, saved.up);
  kernels.swiglu(&stream, rows * F, saved.gate, saved.up, saved.hidden);
  kernels.expert_matmul(&stream, E, offsets, saved.hidden, &weights->weight(index_of(n.in[4])), saved.down);
  saved.low_down = add_low_rank(n.in[4], by_expert, saved.hidden, saved.down);
  kernels.combine(&stream, T, k, C, route.route.place, route.data, saved.down, n.data);
}

void Tape::State::run_custom(Node &n) {
  const float *inputs[kMostInputs];
  for (uint32_t i = 0; i < n.custom.n_inputs; ++i) {
    const hone_tensor input = custom_inputs[n.custom.first_input + i];
    inputs[i] = is_parameter(input) ? parameter_data(input) : node(input).data;
  }
  n.data = scratch.floats(size_of(n));
  kernels.synchronize(&stream);
  n.custom.op.forward(n.custom.op.arg, T, inputs, n.data);
}

}  // namespace hone
