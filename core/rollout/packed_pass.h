// packed_pass.h -- one pass over packed sequences with the heads at its end: what scoring and training share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/tape/float_buffer.h"
#include "core/tape/tape.h"

namespace hone {

// Failure (starting with `what`) when an id is outside the vocabulary or the sequence is longer than the model's
// positions.
void check_sequence(const Weights &, std::span<const int32_t> ids, const std::string &what);

// Sequences to run, and the tokens among them to predict. Token ids[t] is predicted by the hidden state at t - 1.
struct PackedRows {
  std::vector<int32_t> ids, target;
  std::vector<uint32_t> row_start{0};
  std::vector<uint32_t> prefix;    // of each row, as PackedTokens has it
  std::vector<uint32_t> predict;   // per predicted token: the packed place of the hidden state that predicts it
  std::vector<uint32_t> value_at;  // per predicted token: that of the hidden state whose value it gets

  void clear();
  // Tokens `tokens` (places in ids, rising, each >= 1) are predicted. value_after: a token's value is that of the state
  // after it, else of the state in which it was chosen. Only what the last of them needs is run. The first `shared` ids
  // are those of the prefix added last, and are not run again; the first of `tokens` comes after them and one more.
  void add(std::span<const int32_t> ids, std::span<const uint32_t> tokens, bool value_after, uint32_t shared = 0);
  // What the rows added next share.
  void add_prefix(std::span<const int32_t> ids);
  uint32_t rows() const { return static_cast<uint32_t>(row_start.size() - 1); }
  uint32_t tokens() const { return static_cast<uint32_t>(ids.size()); }
  uint32_t predicted() const { return static_cast<uint32_t>(target.size()); }
  PackedTokens packed() const { return {ids, row_start, shares_ ? std::span<const uint32_t>(prefix) : std::span<const uint32_t>()}; }

 private:
  bool shares_ = false;
};

// Serves one thread at a time. Pointers to numbers per predicted token are the host's, [predicted()] each.
class PackedPass {
 public:
  PackedPass(const hone_kernels &, const hone_stream &);

  struct Outputs {
    float *logp = nullptr, *entropy = nullptr, *value = nullptr, *kl = nullptr;
  };  // null: not wanted
  struct Gradients {
    const float *dlogp = nullptr, *dentropy = nullptr, *dvalue = nullptr, *dkl = nullptr;
  };

  // kl needs what forward() of another pass over the same rows left in reference->predicted_hidden(). depths: of the
  // model's multi-token prediction, run as well.
  void forward(const Weights &, const PackedRows &, float temperature, Outputs, bool record = false,
               bool checkpointing = false, const Weights *reference = nullptr,
               const PackedPass *reference_pass = nullptr, uint32_t depths = 0);
  // Of the last forward(record = true); adds to gradient. dlogp_ahead[depth - 1] has a number for each of
  // ahead()[depth - 1].token.
  void backward(const Weights &, const PackedRows &, float temperature, Gradients, float *gradient,
                float auxiliary_scale, const Weights *reference = nullptr, const PackedPass *reference_pass = nullptr,
                std::span<const std::vector<float>> dlogp_ahead = {});

  // What depth k of the last pass expects: predicted token i by the state k places before the one that predicts it.
  struct Ahead {
    std::vector<uint32_t> token;  // i of each predicted token that has such a state in its row
    std::vector<float> logp;      // of each of them
    std::vector<uint32_t> place;  // of that state
    std::vector<int32_t> target;
    FloatBuffer hidden, d_hidden;
    HeadRecord record;
    explicit Ahead(const hone_kernels &kernels) : hidden(kernels), d_hidden(kernels), record(kernels) {}
  };
  const std::vector<Ahead> &ahead() const { return ahead_; }

  const float *predicted_hidden() const { return predicted_hidden_.data(); }
  Tape &tape() { return tape_; }

 private:
  void gather(const float *hidden, const std::vector<uint32_t> &places, uint32_t width, FloatBuffer &to);
  void forward_ahead(const Weights &, const PackedRows &, float temperature, uint32_t depths);
  void backward_ahead(const Weights &, const PackedRows &, float temperature, std::span<const std::vector<float>> dlogp,
                      float *gradient);
  void find_places(const std::vector<uint32_t> &places, uint32_t tokens);
  // d_hidden (+)= rows of d put back at their places
  void scatter(const FloatBuffer &d, const std::vector<uint32_t> &places, uint32_t tokens, uint32_t width, bool add);

  const hone_kernels &kernels_;
  hone_stream stream_;
  Tape tape_;
  Head head_;
  HeadRecord record_;
  FloatBuffer predicted_hidden_, value_hidden_, d_predicted_, d_value_, d_hidden_, scattered_;
  std::vector<uint32_t> place_of_;
  std::vector<Ahead> ahead_;
};

}  // namespace hone
