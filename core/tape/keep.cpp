// keep.cpp -- which values of a recorded pass stay until their gradient is computed, and which are given back and, where a
// product's gradient reads them, computed once more: the same kernels on the same numbers, so the same bits.
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
      reads(n.in[0]), reads(n.in[1]);
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
  if (n.op == Operator::rms_norm)
    run_norm(n, n.data);
  else
    run_swiglu(n, n.data);
  return n.data;
}

}  // namespace hone
