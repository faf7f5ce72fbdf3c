// packed_ahead.cpp -- multi-token prediction in a packed pass (arXiv 2412.19437, eq. 21-24): depth k's state at t
// expects token t + 1 + k, by the model's own head.
#include <string>

#include "core/base/failure.h"
#include "core/rollout/packed_pass.h"

namespace hone {

void PackedPass::forward_ahead(const Weights &weights, const PackedRows &rows, float temperature, uint32_t depths) {
  const uint32_t width = weights.architecture().info().hidden_size;
  ahead_.clear();
  for (uint32_t depth = 1; depth <= depths; ++depth) {
    Ahead &out = ahead_.emplace_back(kernels_);
    for (uint32_t r = 0, i = 0; r < rows.rows(); ++r)
      for (; i < rows.predicted() && rows.predict[i] < rows.row_start[r + 1]; ++i) {
        if (rows.predict[i] < rows.row_start[r] + depth) continue;
        out.token.push_back(i);
        out.place.push_back(rows.predict[i] - depth);
        out.target.push_back(rows.target[i]);
      }
    out.logp.resize(out.token.size());
    if (out.token.empty()) continue;
    gather(tape_.hidden_ahead(depth), out.place, width, out.hidden);
    head_.forward(weights, static_cast<uint32_t>(out.token.size()), out.hidden.data(), out.target.data(), temperature,
                  {out.logp.data(), nullptr, nullptr, nullptr}, &out.record);
  }
}

void PackedPass::backward_ahead(const Weights &weights, const PackedRows &rows, float temperature,
                                std::span<const std::vector<float>> dlogp, float *gradient) {
  const uint32_t width = weights.architecture().info().hidden_size;
  if (dlogp.size() > ahead_.size())
    throw Failure("there are gradients for " + std::to_string(dlogp.size()) + " depths, but the pass ran " +
                  std::to_string(ahead_.size()));
  for (size_t k = 0; k < dlogp.size(); ++k) {
    Ahead &depth = ahead_[k];
    const uint32_t n = static_cast<uint32_t>(depth.token.size());
    if (n == 0) continue;
    const uint64_t size =
        (uint64_t{n} + 1) * width;  // the last row stays zero: it serves tokens that predicted nothing
    kernels_.fill(&stream_, d_predicted_.at_least(size), size, 0.0f);
    head_.backward(weights, n, depth.hidden.data(), depth.target.data(), temperature, depth.record, dlogp[k].data(), nullptr,
                   nullptr, nullptr, d_predicted_.data(), gradient);
    find_places(depth.place, rows.tokens());
    kernels_.gather_rows(&stream_, rows.tokens(), width, 1, place_of_.data(), d_predicted_.data(),
                         depth.d_hidden.at_least(uint64_t{rows.tokens()} * width));
  }
}

}  // namespace hone
