// differentiate.cpp -- the backward pass: nodes in reverse, each adding to its inputs' gradients. The order of all
// additions is the order of the nodes alone, so that recomputed segments give the same bits.
#include "core/base/failure.h"
#include "core/tape/graph.h"

namespace hone {

float *Tape::State::parameter_gradient(hone_tensor parameter) const {
  const ParameterInfo &info = info_of(parameter);
  return info.trained ? gradient + info.offset : nullptr;
}

float *Tape::State::borrow(uint64_t floats) {
  for (size_t i = free_gradients.size(); i-- > 0;)
    if (free_gradients[i].floats == floats) {
      float *data = free_gradients[i].data;
      free_gradients[i] = free_gradients.back();
      free_gradients.pop_back();
      return data;
    }
  return scratch.floats(floats);
}

float *Tape::State::borrow_zeroes(uint64_t floats) {
  float *data = borrow(floats);
  kernels.fill(&stream, data, floats, 0);
  return data;
}

void Tape::State::give_back(float *data, uint64_t floats) { free_gradients.push_back({floats, data}); }

Tape::State::Sum Tape::State::begin_gradient_of(hone_tensor tensor) {
  Node &n = node(tensor);
  if (n.gradient) return {n.gradient, 1};
  n.gradient = keep_boundaries_only && n.kept ? kept.floats(size_of(n)) : borrow(size_of(n));
  return {n.gradient, 0};
}

float *Tape::State::gradient_of(hone_tensor tensor) {
  const Sum sum = begin_gradient_of(tensor);
  if (!sum.begun) kernels.fill(&stream, sum.data, size_of(node(tensor)), 0);
  return sum.data;
}

void Tape::State::add_to_gradient_of(hone_tensor tensor, const float *more) {
  const Sum sum = begin_gradient_of(tensor);
  const uint64_t n = size_of(node(tensor));
  if (sum.begun)
    kernels.add_scaled(&stream, n, more, 1, sum.data);
  else
    kernels.copy(&stream, sum.data, more, n);
}

void Tape::State::contribute(hone_tensor tensor, Node &from) {
  Node &n = node(tensor);
  const bool must_stay = keep_boundaries_only && (n.kept || from.kept);  // one of them outlives the other's memory
  if (n.gradient || must_stay) {
    add_to_gradient_of(tensor, from.gradient);
  } else {
    n.gradient = from.gradient;
    from.gradient = nullptr;
  }
}

void Tape::State::differentiate(Node &n) {
  hone_stream *s = &stream;
  const float *dy = n.gradient;
  switch (n.op) {
    case Operator::embedding:
      if (float *table = parameter_gradient(n.in[0]))
        kernels.embedding_backward(s, T, n.columns, info_of(n.in[0]).dims[0], n.embedding.ids, dy, table);
      break;
    case Operator::linear:
      differentiate_linear(n);
      break;
    case Operator::rms_norm: {
      const float *weight = n.in[1] ? parameter_data(n.in[1]) : nullptr;
      float *dweight = n.in[1] ? parameter_gradient(n.in[1]) : nullptr;
      kernels.rms_norm_backward(s, size_of(n) / n.norm.width, n.norm.width, node(n.in[0]).data, weight, n.norm.inverse,
                                dy, gradient_of(n.in[0]), dweight);
      break;
    }
    case Operator::add:
      add_to_gradient_of(n.in[1], dy);
      contribute(n.in[0], n);
      break;
    case Operator::scale:
      kernels.add_scaled(s, size_of(n), dy, n.scale.factor, gradient_of(n.in[0]));
      break;
    case Operator::swiglu: {
      const bool fresh = n.in[0] != n.in[1] && !node(n.in[0]).gradient && !node(n.in[1]).gradient;
      float *dgate = fresh ? begin_gradient_of(n.in[0]).data : gradient_of(n.in[0]);
      float *dup = fresh ? begin_gradient_of(n.in[1]).data : gradient_of(n.in[1]);
      const float *gate = value_of(n.in[0]), *up = value_of(n.in[1]);
      kernels.swiglu_backward(s, size_of(n), gate, up, dy, dgate, dup, !fresh);
      break;
    }
    case Operator::slice: {
      const auto &[heads, begin, size] = n.slice;
      const uint32_t columns = node(n.in[0]).columns;
      kernels.copy_heads(s, T, heads, size, dy, n.columns, size, gradient_of(n.in[0]) + begin, columns, columns / heads,
                         1);
      break;
    }
    case Operator::join:
      differentiate_join(n);
      break;
    case Operator::rope: {
      const float *table = ropes.table(stream, n.rope.table, positions, weights->architecture().info().max_positions);
      kernels.rope(s, T, n.rope.heads, n.columns / n.rope.heads, n.rope.begin, n.rope.size,
                   static_cast<int>(n.rope.interleaved), position, table, -1, n.gradient, n.gradient);
      contribute(n.in[0], n);
      break;
    }
    case Operator::attention: {
      const hone_model_info &info = weights->architecture().info();
      kernels.attention_backward(s, R, row_start, prefix, n.attention.heads, n.attention.kv_heads, info.key_size,
                                 info.value_size, n.attention.scale, node(n.in[0]).data, node(n.in[1]).data,
                                 node(n.in[2]).data, n.data, n.attention.lse, dy, gradient_of(n.in[0]),
                                 gradient_of(n.in[1]), gradient_of(n.in[2]));
      break;
    }
    case Operator::route:
      differentiate_route(n);
      break;
    case Operator::experts:
      differentiate_experts(n);
      break;
    case Operator::custom:
      differentiate_custom(n);
      break;
  }
}

void Tape::State::differentiate_linear(Node &n) {
  const uint32_t columns = node(n.in[0]).columns;
  const float *dy = n.gradient;
  const Sum dx = begin_gradient_of(n.in[0]);
  kernels.matmul_backward_input(&stream, T, dy, n.columns, &weights->weight(index_of(n.in[1])), dx.data, columns, dx.begun);
  float *dw = parameter_gradient(n.in[1]);
  const float *x = dw || weights->low_rank(index_of(n.in[1])) ? value_of(n.in[0]) : nullptr;  // a bias alone does not read it
  if (dw)
    kernels.matmul_backward_weight(&stream, weights->weight(index_of(n.in[1])).dtype, T, n.columns, columns, x, columns, dy, n.columns,
                                   dw);
  if (float *db = n.in[2] ? parameter_gradient(n.in[2]) : nullptr)
    kernels.add_bias_backward(&stream, T, n.columns, dy, db);
  differentiate_low_rank(n.in[1], {T, 0, nullptr}, x, n.linear.low, dy, dx.data);
}

void Tape::State::differentiate_join(Node &n) {
  const auto &[a_heads, b_heads] = n.join;
  const Node &a = node(n.in[0]), &b = node(n.in[1]);
  const uint32_t a_size = a.columns / a_heads, b_size = b.columns / b_heads, size = a_size + b_size;
  const float *dy = n.gradient;
  kernels.copy_heads(&stream, T, a_heads, a_size, dy, n.columns, size, gradient_of(n.in[0]), a.columns, a_size, 1);
  if (b_heads == a_heads)
    kernels.copy_heads(&stream, T, a_heads, b_size, dy + a_size, n.columns, size, gradient_of(n.in[1]), b.columns,
                       b_size, 1);
  else
    kernels.sum_heads(&stream, T, a_heads, b_size, dy + a_size, n.columns, size, gradient_of(n.in[1]), b.columns);
}

void Tape::State::differentiate_route(Node &n) {
  const auto &route = n.route;
  float *dlogits = gradient_of(n.in[0]);
  if (n.gradient) kernels.route_backward(&stream, &route.args, route.scores, route.index, n.data, n.gradient, dlogits);
  if (route.alpha != 0 && auxiliary_scale != 0)
    kernels.sequence_balance(&stream, &route.args, R, row_start, route.scores, route.index, route.alpha,
                             auxiliary_scale, nullptr, dlogits);
}

void Tape::State::differentiate_experts(Node &n) {
  Node &route = node(n.in[1]);
  const uint32_t E = route.route.args.E, k = route.route.args.k, C = n.columns, F = info_of(n.in[2]).dims[1];
  const uint64_t rows = uint64_t{T} * k;
  const uint32_t *offsets = route.route.offsets, *place = route.route.place;
  const auto &saved = n.experts;
  const hone_weight *gate = &weights->weight(index_of(n.in[2])), *up = &weights->weight(index_of(n.in[3])),
                    *down = &weights->weight(index_of(n.in[4]));

  float *d_down = borrow(rows * C), *d_weight = borrow(rows);
  kernels.combine_backward(&stream, T, k, C, place, route.data, saved.down, n.gradient, d_down, d_weight);
  if (route.gradient) {
    kernels.add_scaled(&stream, rows, d_weight, 1, route.gradient);
    give_back(d_weight, rows);
  } else {
    route.gradient = d_weight;
  }
  float *d_hidden = borrow_zeroes(rows * F);
  kernels.expert_matmul_backward_input(&stream, E, offsets, d_down, down, d_hidden);
  if (float *dw = parameter_gradient(n.in[4]))
    kernels.expert_matmul_backward_weight(&stream, down->dtype, E, offsets, C, F, saved.hidden, d_down, dw);
  const ProductRows by_expert{static_cast<uint32_t>(rows), E, offsets};
  differentiate_low_rank(n.in[4], by_expert, saved.hidden, saved.low_down, d_down, d_hidden);
  float *d_gate = borrow(rows * F), *d_up = borrow(rows * F);
  kernels.swiglu_backward(&stream, rows * F, saved.gate, saved.up, d_hidden, d_gate, d_up, 0);
  float *d_x = d_down;
  kernels.fill(&stream, d_x, rows * C, 0);
  kernels.expert_matmul_backward_input(&stream, E, offsets, d_gate, gate, d_x);
  kernels.expert_matmul_backward_input(&stream, E, offsets, d_up, up, d_x);
  if (float *dw = parameter_gradient(n.in[2]))
    kernels.expert_matmul_backward_weight(&stream, gate->dtype, E, offsets, F, C, saved.x, d_gate, dw);
  if (float *dw = parameter_gradient(n.in[3]))
    kernels.expert_matmul_backward_weight(&stream, up->dtype, E, offsets, F, C, saved.x, d_up, dw);
  differentiate_low_rank(n.in[2], by_expert, saved.x, saved.low_gate, d_gate, d_x);
  differentiate_low_rank(n.in[3], by_expert, saved.x, saved.low_up, d_up, d_x);
  kernels.gather_rows_backward(&stream, T, k, C, place, d_x, gradient_of(n.in[0]));
  give_back(d_down, rows * C);
  for (float *data : {d_hidden, d_gate, d_up}) give_back(data, rows * F);
}

void Tape::State::differentiate_custom(Node &n) {
  const float *inputs[kMostInputs];
  float *d_inputs[kMostInputs];
  for (uint32_t i = 0; i < n.custom.n_inputs; ++i) {
    const hone_tensor input = custom_inputs[n.custom.first_input + i];
    inputs[i] = is_parameter(input) ? parameter_data(input) : node(input).data;
    d_inputs[i] = is_parameter(input) ? parameter_gradient(input) : gradient_of(input);
  }
  kernels.synchronize(&stream);
  n.custom.op.backward(n.custom.op.arg, T, inputs, n.data, n.gradient, d_inputs);
}

// Computes the values of a segment again, into the memory of the one that follows it and is done with.
void Tape::State::replay(uint32_t segment) {
  scratch.rewind();
  free_gradients.clear();
  replaying = true;
  for (uint32_t i = segment_start[segment]; i < segment_start[segment + 1]; ++i) {
    float *boundary = nodes[i].kept ? nodes[i].data : nullptr;
    run(nodes[i]);
    if (boundary) nodes[i].data = boundary;
  }
  replaying = false;
}

void Tape::State::backward() {
  const uint32_t segments = static_cast<uint32_t>(segment_start.size());
  for (uint32_t segment = segments; segment-- > 0;) {
    if (keep_boundaries_only && segment + 1 < segments) replay(segment);
    const uint32_t end = segment + 1 < segments ? segment_start[segment + 1] : static_cast<uint32_t>(nodes.size());
    for (uint32_t i = end; i-- > segment_start[segment];) {
      Node &n = nodes[i];
      const bool own_loss = n.op == Operator::route && n.route.alpha != 0 && auxiliary_scale != 0;
      if (!n.gradient && !own_loss) continue;
      differentiate(n);
      if (n.gradient && !(keep_boundaries_only && n.kept))
        give_back(n.gradient, n.op == Operator::route ? uint64_t{T} * n.route.args.k : size_of(n));
      n.gradient = nullptr;
      if (n.again) {
        give_back(n.data, size_of(n));
        n.data = nullptr, n.again = false;
      }
    }
  }
}

}  // namespace hone
