// packed_pass.cpp -- gathers the hidden states that predict, runs the heads on them, and scatters the derivatives back.
#include "core/rollout/packed_pass.h"

#include <algorithm>
#include <string>

namespace hone {

void check_sequence(const Weights &weights, std::span<const int32_t> ids, const std::string &what) {
  const hone_model_info &info = weights.architecture().info();
  if (ids.empty()) throw Failure(what + " has no tokens");
  if (ids.size() > info.max_positions)
    throw Failure(what + " has " + std::to_string(ids.size()) + " tokens, but the model has positions for " +
                  std::to_string(info.max_positions) + "; shorten it or raise max_position_embeddings");
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || static_cast<uint32_t>(ids[i]) >= info.vocab_size)
      throw Failure(what + ": token " + std::to_string(i) + " is " + std::to_string(ids[i]) +
                    ", outside the vocabulary of " + std::to_string(info.vocab_size) +
                    "; is it another model's tokenizer?");
}

void PackedRows::clear() {
  ids.clear();
  target.clear();
  predict.clear();
  value_at.clear();
  row_start.assign(1, 0);
  prefix.clear();
  shares_ = false;
}

void PackedRows::add(std::span<const int32_t> sequence, std::span<const uint32_t> tokens, bool value_after, uint32_t shared) {
  const uint32_t start = row_start.back();
  for (uint32_t token : tokens) {
    target.push_back(sequence[token]);
    predict.push_back(start + token - shared - 1);
    value_at.push_back(start + token - shared - (value_after ? 0 : 1));
  }
  const uint32_t length = tokens.empty() ? shared + 1 : tokens.back() + (value_after ? 1 : 0);
  prefix.push_back(shared ? prefix.back() : rows());
  shares_ = shares_ || shared > 0;
  ids.insert(ids.end(), sequence.begin() + shared, sequence.begin() + length);
  row_start.push_back(start + length - shared);
}

void PackedRows::add_prefix(std::span<const int32_t> sequence) {
  prefix.push_back(rows());
  ids.insert(ids.end(), sequence.begin(), sequence.end());
  row_start.push_back(row_start.back() + static_cast<uint32_t>(sequence.size()));
}

PackedPass::PackedPass(const hone_kernels &kernels, const hone_stream &stream)
    : kernels_(kernels),
      stream_(stream),
      tape_(kernels, stream),
      head_(kernels, stream),
      record_(kernels),
      predicted_hidden_(kernels),
      value_hidden_(kernels),
      d_predicted_(kernels),
      d_value_(kernels),
      d_hidden_(kernels),
      scattered_(kernels) {}

void PackedPass::gather(const float *hidden, const std::vector<uint32_t> &places, uint32_t width, FloatBuffer &to) {
  to.at_least(places.size() * uint64_t{width});
  kernels_.gather_rows(&stream_, static_cast<uint32_t>(places.size()), width, 1, places.data(), hidden, to.data());
}

void PackedPass::forward(const Weights &weights, const PackedRows &rows, float temperature, Outputs out, bool record,
                         bool checkpointing, const Weights *reference, const PackedPass *reference_pass,
                         uint32_t depths) {
  const uint32_t width = weights.architecture().info().hidden_size;
  const float *hidden = tape_.forward(weights, rows.packed(), record, checkpointing, depths);
  gather(hidden, rows.predict, width, predicted_hidden_);
  if (out.logp)
    head_.forward(weights, rows.predicted(), predicted_hidden_.data(), rows.target.data(), temperature,
                  {out.logp, out.entropy, nullptr, out.kl}, record ? &record_ : nullptr, out.kl ? reference : nullptr,
                  out.kl ? reference_pass->predicted_hidden() : nullptr);
  if (out.value) {
    gather(hidden, rows.value_at, width, value_hidden_);
    kernels_.value_head(&stream_, rows.predicted(), width, value_hidden_.data(), weights.value_head(), out.value);
  }
  forward_ahead(weights, rows, temperature, depths);
}

void PackedPass::find_places(const std::vector<uint32_t> &places, uint32_t tokens) {
  place_of_.assign(tokens, static_cast<uint32_t>(places.size()));
  for (uint32_t i = 0; i < places.size(); ++i) place_of_[places[i]] = i;
}

void PackedPass::scatter(const FloatBuffer &d, const std::vector<uint32_t> &places, uint32_t tokens, uint32_t width,
                         bool add) {
  // Row places.size() of d is zero: it serves every token that predicted nothing.
  find_places(places, tokens);
  const uint64_t n = uint64_t{tokens} * width;
  if (!add) {
    kernels_.gather_rows(&stream_, tokens, width, 1, place_of_.data(), d.data(), d_hidden_.at_least(n));
    return;
  }
  kernels_.gather_rows(&stream_, tokens, width, 1, place_of_.data(), d.data(), scattered_.at_least(n));
  kernels_.add_scaled(&stream_, n, scattered_.data(), 1.0f, d_hidden_.data());
}

void PackedPass::backward(const Weights &weights, const PackedRows &rows, float temperature, Gradients d,
                          float *gradient, float auxiliary_scale, const Weights *reference,
                          const PackedPass *reference_pass, std::span<const std::vector<float>> dlogp_ahead) {
  const uint32_t n = rows.predicted(), width = weights.architecture().info().hidden_size;
  const auto any = [n](const float *x) { return x && std::any_of(x, x + n, [](float v) { return v != 0; }); };
  const auto ahead = std::any_of(dlogp_ahead.begin(), dlogp_ahead.end(), [](const std::vector<float> &of_depth) {
    return std::any_of(of_depth.begin(), of_depth.end(), [](float v) { return v != 0; });
  });
  const bool auxiliary = auxiliary_scale != 0 && tape_.auxiliary_loss() != 0;
  // Rows that teach nothing, such as groups of equal rewards: all that would be added is zero.
  if (!any(d.dlogp) && !any(d.dentropy) && !any(d.dkl) && !any(d.dvalue) && !ahead && !auxiliary) return;
  const uint64_t size = (uint64_t{n} + 1) * width;

  kernels_.fill(&stream_, d_predicted_.at_least(size), size, 0.0f);
  if (any(d.dlogp) || any(d.dentropy) || any(d.dkl))
    head_.backward(weights, n, predicted_hidden_.data(), rows.target.data(), temperature, record_, d.dlogp, d.dentropy,
                   nullptr, d.dkl, d_predicted_.data(), gradient, d.dkl ? reference : nullptr,
                   d.dkl ? reference_pass->predicted_hidden() : nullptr);
  scatter(d_predicted_, rows.predict, rows.tokens(), width, false);

  if (any(d.dvalue)) {
    const uint64_t head = weights.parameters().back().offset;  // the value head is the last parameter
    kernels_.fill(&stream_, d_value_.at_least(size), size, 0.0f);
    kernels_.value_head_backward(&stream_, n, width, value_hidden_.data(), weights.value_head(), d.dvalue,
                                 d_value_.data(), gradient + head);
    scatter(d_value_, rows.value_at, rows.tokens(), width, true);
  }
  backward_ahead(weights, rows, temperature, dlogp_ahead, gradient);
  std::vector<const float *> d_ahead;
  for (size_t k = 0; k < dlogp_ahead.size(); ++k)
    d_ahead.push_back(ahead_[k].token.empty() ? nullptr : ahead_[k].d_hidden.data());
  tape_.backward(d_hidden_.data(), gradient, auxiliary_scale, d_ahead);
}

}  // namespace hone
