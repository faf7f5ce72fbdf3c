// keep.cpp -- which values of a recorded pass stay until their gradient is computed, and which are given back and, where a
// gradient reads them, computed once more: the same kernels on the same numbers, so the same bits.
#include "core/tape/graph.h"

namespace hone {
namespace {

bool cheap(const Node &n) { return n.op == Operator::rms_norm || n.op == Operator::swiglu; }

// Attention, routes, experts and custom operators read their own values, or hand them to others' code.
bool may_go(const Node &n) {
  switch (n.op) {
    case Operator::attention:
    case Operator::route:
    case Operator::experts:
    case Operator::custom:
      return false;
    default:
      return !n.kept && !n.needed;
  }
}

}  // namespace

// A product of tiles, where the machine has them, costs less than its memory is worth: the two that swiglu takes are half of what a
// layer keeps.
bool Tape::State::cheap_product(const Node &n) {
  if (n.op != Operator::linear || keep_boundaries_only || is_parameter(n.in[0]) || node(n.in[0]).op != Operator::rms_norm) return false;
  const uint32_t weight = index_of(n.in[1]);
  return weights->weight(weight).dtype == HONE_BF16_BLOCKS && kernels.bf16 == HONE_BF16_BLOCKS && !weights->low_rank(weight);
}

void Tape::State::note_needs(const Node &n) {
  const auto reads = [&](hone_tensor tensor) {
    if (tensor && !is_parameter(tensor)) node(tensor).needed = true;
  };
  switch (n.op) {
    case Operator::linear:
      if (!cheap(node(n.in[0]))) reads(n.in[0]);
      break;
    case Operator::rms_norm:
      reads(n.in[0]);
      break;
    case Operator::swiglu:
      for (const hone_tensor in : {n.in[0], n.in[1]})
        if (!cheap_product(node(in))) reads(in);
      break;
    case Operator::attention:
      for (int i = 0; i < 3; ++i) reads(n.in[i]);
      break;
    case Operator::custom:
      for (uint32_t i = 0; i < n.custom.n_inputs; ++i) reads(custom_inputs[n.custom.first_input + i]);
      break;
    default:  // gradients of sums, copies, turns and routes read no values, experts their own copies
      break;
  }
}

void Tape::State::give_back_segment(uint32_t first) {
  for (size_t i = first; i < nodes.size(); ++i) {
    Node &n = nodes[i];
    if (!n.data || !may_go(n)) continue;
    give_back(n.data, size_of(n));
    n.data = nullptr;
  }
}

float *Tape::State::value_of(hone_tensor tensor) {
  Node &n = node(tensor);
  if (n.data) return n.data;
  n.data = borrow(size_of(n));
  n.again = true;
  switch (n.op) {
    case Operator::rms_norm: run_norm(n, n.data); break;
    case Operator::swiglu: run_swiglu(n, n.data); break;
    default: run_product(n, value_of(n.in[0]), n.data);
  }
  return n.data;
}

}  // namespace hone
