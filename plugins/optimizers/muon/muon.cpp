// muon.cpp -- Muon, momentum orthogonalised by Newton-Schulz: Jordan et al., 2024 (kellerjordan.github.io/posts/muon),
// with the weight decay and the second scale of Moonlight, arXiv 2502.16982.
//
//   m <- momentum m + (1 - momentum) g        d = nesterov ? momentum m + (1 - momentum) g : m
//   p <- p - lr wd p                          p <- p - lr scale(rows, columns) orthogonalised(d)
//
// For every matrix between vectors that a layer computes: an expert's own, a router's, a low-rank factor's. Embeddings,
// heads and whatever is no matrix are AdamW's, as in Jordan et al.: there a row is a token's and not a direction's.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../shared/adamw.hpp"
#include "newton_schulz.hpp"

namespace {

class Muon final : public hone::Optimizer {
 public:
  double learning_rate = 0.02, momentum = 0.95, weight_decay = 0.01;
  bool nesterov = true;
  uint32_t ns_steps = 5;
  std::string scale = "original";
  double adamw_learning_rate = 3e-4, adam_beta1 = 0.9, adam_beta2 = 0.95, adam_epsilon = 1e-10;

  static auto params() {
    constexpr double below_one = 1 - 1e-9;
    using M = Muon;
    return hone::params(
        hone::param("learning_rate", &M::learning_rate, "step size of matrices; the schedule multiplies it", {.min = 0}),
        hone::param("momentum", &M::momentum, "decay of the mean of gradients of matrices", {.min = 0, .max = below_one}),
        hone::param("nesterov", &M::nesterov, "whether the direction looks one gradient ahead of the mean"),
        hone::param("ns_steps", &M::ns_steps, "steps of the Newton-Schulz iteration", {.min = 1, .max = 100}),
        hone::param("scale", &M::scale,
                    "what a matrix's step is multiplied by: original, sqrt(max(1, rows / columns)); match_rms_adamw, "
                    "0.2 sqrt(max(rows, columns)), for learning rates of AdamW",
                    {.choices = {"original", "match_rms_adamw"}}),
        hone::param("weight_decay", &M::weight_decay, "how fast matrices shrink, apart from the gradient", {.min = 0}),
        hone::param("adamw_learning_rate", &M::adamw_learning_rate,
                    "step size of embeddings, heads and vectors; the schedule multiplies it", {.min = 0}),
        hone::param("adam_beta1", &M::adam_beta1, "decay of the mean of their gradients", {.min = 0, .max = below_one}),
        hone::param("adam_beta2", &M::adam_beta2, "decay of the mean of the squares", {.min = 0, .max = below_one}),
        hone::param("adam_epsilon", &M::adam_epsilon, "added to the root, so that nothing is divided by zero",
                    {.min = 1e-30}));
  }

  void start(const hone::Services &services) {
    if (services.host().minor < 1)
      throw hone::Error("muon must be told which matrices are embeddings and heads, and this host, of ABI 1." +
                        std::to_string(services.host().minor) + ", does not tell; update hone to one of ABI 1.1");
    products_ = &muon::fastest_products();
  }

  uint32_t states() const override { return 2; }  // a matrix has no use for the second: it stays zero
  uint32_t granularity() const override { return HONE_WHOLE_MATRIX; }

  void update(const hone::Update &update, const hone::Span &span) const override {
    if (span.rows == 0 || span.embedding || span.head)
      return hone::adamw_step({adamw_learning_rate, adam_beta1, adam_beta2, adam_epsilon, weight_decay}, update, span);
    const double rate = learning_rate * update.learning_rate_factor;
    const float gradient_scale = static_cast<float>(update.gradient_scale), kept = static_cast<float>(momentum),
                to_mean = static_cast<float>(1 - momentum);
    const float keep = static_cast<float>(1 - (span.decay ? rate * weight_decay : 0));
    const float step = static_cast<float>(rate * factor(span.rows, span.columns));
    std::vector<float> direction(span.size);
    float *__restrict d = direction.data(), *__restrict mean = span.state[0], *__restrict parameter = span.parameter;
    const float *__restrict gradient = span.gradient;
    for (uint64_t i = 0; i < span.size; ++i) {
      const float g = gradient[i] * gradient_scale;
      const float m = mean[i] + to_mean * (g - mean[i]);
      mean[i] = m;
      d[i] = nesterov ? g + kept * (m - g) : m;
    }
    muon::orthogonalise(*products_, d, span.rows, span.columns, ns_steps);
    for (uint64_t i = 0; i < span.size; ++i) parameter[i] = keep * parameter[i] - step * d[i];
  }

 private:
  double factor(uint64_t rows, uint64_t columns) const {
    const double r = static_cast<double>(rows), c = static_cast<double>(columns);
    return scale == "original" ? std::sqrt(std::max(1.0, r / c)) : 0.2 * std::sqrt(std::max(r, c));
  }
  const muon::Products *products_ = nullptr;
};

}  // namespace

HONE_PLUGIN("hone.muon", "1.0.0",
            hone::component<Muon>("muon", "Orthogonalised momentum for matrices, AdamW for everything else."));
