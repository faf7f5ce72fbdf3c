// linear.hpp -- a matrix with or without a bias, under the names that checkpoints give the two.
#pragma once

#include <hone/model.hpp>
#include <string>

namespace hone HONE_HIDDEN {

struct Linear {
  Parameter weight, bias;

  static Linear declare(Parameters &parameters, const std::string &name, uint32_t out, uint32_t in, bool bias) {
    Linear made{parameters.matrix(name + ".weight", out, in), {}};
    if (bias) made.bias = parameters.bias(name + ".bias", out);
    return made;
  }
  Tensor operator()(const Tape &tape, Tensor x) const { return tape.linear(x, weight, bias); }
};

}  // namespace HONE_HIDDEN
