// tape.h -- runs a model's forward pass over the kernel table, and differentiates it.
//
// One Tape serves one thread at a time and is reused from pass to pass: its arena grows to the largest pass and stays.
// Three kinds of pass: recorded (training), packed without recording (log-probs), cached (decoding).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/model/model.h"
#include "core/tape/float_buffer.h"

namespace hone {

// The KV cache's pages for all attention layers of one model. Pages are counted; a prompt's pages can be shared by
// rows.
class KvCache {
 public:
  KvCache(const hone_kernels &, const hone_model_info &, uint32_t pages, uint32_t page_tokens = 32);
  ~KvCache();
  uint32_t page_tokens() const;
  uint32_t pages() const;
  uint32_t free_pages() const;
  uint32_t take();              // a free page with one reference; Failure when none is left
  void share(uint32_t page);    // one more reference
  void release(uint32_t page);  // one fewer; free at zero
  uint32_t references(uint32_t page) const;
  void copy_page(hone_stream &, uint32_t to, uint32_t from);  // in all layers
  void discard(hone_stream &);  // the memory of all pages, until they are written again: what they hold is lost
  void *layer(uint32_t attention_layer);                      // kernels' `pages`
  const hone_kv_page_shape &shape() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Sequences packed one after another, without padding: row r owns tokens row_start[r] .. row_start[r+1]. prefix[r] != r: the
// tokens of row prefix[r], which has no prefix itself, come before its own, computed once for all rows that share them;
// these follow it at once. No bit of a hidden state depends on whether a prefix is shared or repeated. Not for models
// that route tokens to experts, whose balance counts rows, nor with further depths of prediction.
struct PackedTokens {
  std::span<const int32_t> ids;         // [T]
  std::span<const uint32_t> row_start;  // [R + 1]
  std::span<const uint32_t> prefix = {};  // [R]; empty: no row shares anything
};

class Tape {
 public:
  Tape(const hone_kernels &, const hone_stream &);  // the stream's pool outlives this
  ~Tape();
  Tape(const Tape &) = delete;

  // Hidden states after the last norm, [T, hidden]; valid until the next pass. weights.prepare() was called before.
  // record keeps what backward needs; checkpointing keeps only the boundaries' inputs and recomputes the rest.
  // depths: how many of the model's depths of multi-token prediction are run as well.
  const float *forward(const Weights &, const PackedTokens &, bool record, bool checkpointing = false,
                       uint32_t depths = 0);
  // What depth 1 .. depths of the last forward() gave, [T, hidden]; valid as long.
  const float *hidden_ahead(uint32_t depth) const;

  // d_hidden [T, hidden] -> adds every trained parameter's gradient into gradient [weights.trained_size()].
  // auxiliary_scale multiplies the models' own losses (sequence balance): the step's 1 / number of sequences.
  // d_ahead: [T, hidden] for each depth that was run, or fewer; null: no gradient from there.
  void backward(const float *d_hidden, float *gradient, float auxiliary_scale = 0,
                std::span<const float *const> d_ahead = {});
  double auxiliary_loss() const;  // of the last recorded pass: sum over routed layers and sequences, unscaled

  // Cached pass: row r's new tokens start at first_position[r]; page_table[r * max_pages + i] as in hone_cached_rows,
  // with room for the new tokens already taken. Same bits as forward() gives for the same tokens.
  const float *forward_cached(const Weights &, const PackedTokens &, std::span<const uint32_t> first_position,
                              std::span<const uint32_t> page_table, uint32_t max_pages, KvCache &);

  // Expert choices counted in all passes since the last reset, or since another model was run:
  // [routed_layers, and then those of all depths][experts].
  std::span<const uint64_t> expert_counts() const;
  void reset_expert_counts();
  void discard_values();  // of the last pass: their memory is given back until the next
  size_t arena_bytes() const;
  uint64_t most_used_bytes() const;  // of the arenas, in any pass so far

  struct State;  // core/tape/graph.h

 private:
  std::unique_ptr<State> state_;
};

// The head. Whole logits are never kept: forward goes over chunks of tokens, backward over blocks of the vocabulary.
// hidden [n, C] rows are gathered by the caller.
struct HeadOutputs {
  float *logp, *entropy, *value, *kl;
};  // [n] each; entropy, value and kl may be null
// What backward() needs of a forward(), [n] each.
struct HeadRecord {
  FloatBuffer lse, entropy, kl, reference_lse;
  uint32_t n = 0;
  bool has_entropy = false, has_kl = false;
  explicit HeadRecord(const hone_kernels &kernels) : lse(kernels), entropy(kernels), kl(kernels), reference_lse(kernels) {}
};
class Head {
 public:
  Head(const hone_kernels &, const hone_stream &);
  ~Head();
  // targets [n]; temperature divides the logits. reference_hidden with reference weights only for kl. record null: no
  // backward() follows.
  void forward(const Weights &, uint32_t n, const float *hidden, const int32_t *target, float temperature, HeadOutputs,
               HeadRecord *record = nullptr, const Weights *reference = nullptr, const float *reference_hidden = nullptr);
  // Of the forward() with the same arguments that left this record. Recomputes the logits; d_hidden [n, C] += ; the head's and
  // value head's gradients += into gradient. d_* [n], may be null; entropies and KL are differentiated where forward() gave them.
  void backward(const Weights &, uint32_t n, const float *hidden, const int32_t *target, float temperature, const HeadRecord &,
                const float *dlogp, const float *dentropy, const float *dvalue, const float *dkl, float *d_hidden,
                float *gradient, const Weights *reference = nullptr, const float *reference_hidden = nullptr);
  // Logits of a few rows, for sampling: [n, V], valid until the next call.
  const float *logits(const Weights &, uint32_t n, const float *hidden);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hone
