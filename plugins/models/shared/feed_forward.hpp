// feed_forward.hpp -- what a block does to each token by itself: a SwiGLU network (arXiv 2002.05202), or several, the
// experts, of which a router chooses a few per token.
#pragma once

#include <hone/model.hpp>
#include <string>

#include "linear.hpp"

namespace hone HONE_HIDDEN {

// False, as Experts are, until declared.
struct FeedForward {
  Linear gate, up, down;
  explicit operator bool() const { return static_cast<bool>(gate.weight); }

  // `at` ends with a dot: "model.layers.0.mlp."
  static FeedForward declare(Parameters &parameters, const std::string &at, uint32_t hidden, uint32_t width,
                             bool bias) {
    FeedForward made;
    made.gate = Linear::declare(parameters, at + "gate_proj", width, hidden, bias);
    made.up = Linear::declare(parameters, at + "up_proj", width, hidden, bias);
    made.down = Linear::declare(parameters, at + "down_proj", hidden, width, bias);
    return made;
  }
  Tensor operator()(const Tape &tape, Tensor x) const { return down(tape, tape.swiglu(gate(tape, x), up(tape, x))); }
};

struct Experts {
  Parameter router, balance, gate, up, down;  // balance: the bias on the choice, if there is one
  uint32_t count = 0;
  uint64_t size = 0;  // of one expert, in parameters
  explicit operator bool() const { return static_cast<bool>(router); }
  uint64_t unused(uint32_t chosen) const { return size * (count - chosen); }  // parameters, by one token

  static Experts declare(Parameters &parameters, const std::string &at, uint32_t count, uint32_t hidden, uint32_t width,
                         bool balanced) {
    Experts made;
    made.count = count;
    made.size = uint64_t{3} * width * hidden;
    made.router = parameters.matrix(at + "gate.weight", count, hidden);
    if (balanced) made.balance = parameters.buffer(at + "gate.e_score_correction_bias", count);
    made.gate = parameters.experts(at + "experts.{}.gate_proj.weight", count, width, hidden);
    made.up = parameters.experts(at + "experts.{}.up_proj.weight", count, width, hidden);
    made.down = parameters.experts(at + "experts.{}.down_proj.weight", count, hidden, width);
    return made;
  }
  Tensor operator()(const Tape &tape, Tensor x, const hone_route_shape &shape) const {
    const Tensor route = tape.route(tape.linear(x, router), balance, shape);
    return tape.experts(x, route, gate, up, down);
  }
};

}  // namespace HONE_HIDDEN
