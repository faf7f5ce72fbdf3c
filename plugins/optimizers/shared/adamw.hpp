// adamw.hpp -- one step of Adam with decoupled weight decay over a span: Loshchilov & Hutter, arXiv 1711.05101,
// algorithm 2, in PyTorch's order.
//
//   p <- p - lr wd p                      (matrices only: the host says which)
//   m <- m + (1 - beta1) (g - m)          v <- beta2 v + (1 - beta2) g^2
//   p <- p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
#pragma once

#include <cmath>
#include <hone/optimizer.hpp>

namespace hone HONE_HIDDEN {

struct AdamwSettings {
  double learning_rate, beta1, beta2, epsilon, weight_decay;  // the learning rate before the schedule
};

// state[0] is m, state[1] is v. Elementwise: the same bits however the host cuts.
inline void adamw_step(const AdamwSettings &settings, const Update &update, const Span &span) {
  const double rate = settings.learning_rate * update.learning_rate_factor, t = static_cast<double>(update.step);
  const float scale = static_cast<float>(update.gradient_scale);
  const float keep = static_cast<float>(1 - (span.decay ? rate * settings.weight_decay : 0));
  const float to_mean = static_cast<float>(1 - settings.beta1), old_square = static_cast<float>(settings.beta2),
              new_square = static_cast<float>(1 - settings.beta2);
  const float step = static_cast<float>(rate / (1 - std::pow(settings.beta1, t)));
  const float root = static_cast<float>(std::sqrt(1 - std::pow(settings.beta2, t))),
              least = static_cast<float>(settings.epsilon);
  float *__restrict parameter = span.parameter, *__restrict mean = span.state[0], *__restrict square = span.state[1];
  const float *__restrict gradient = span.gradient;
  for (uint64_t i = 0; i < span.size; ++i) {
    const float g = gradient[i] * scale;
    const float m = mean[i] + to_mean * (g - mean[i]);
    const float v = old_square * square[i] + new_square * (g * g);
    mean[i] = m;
    square[i] = v;
    parameter[i] = keep * parameter[i] - step * m / (std::sqrt(v) / root + least);
  }
}

}  // namespace hone
