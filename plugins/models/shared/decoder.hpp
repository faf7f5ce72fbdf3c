// decoder.hpp -- what a decoder has whatever its blocks are made of: the settings that mean the same in every family,
// the embedding before the blocks, and the norm and the head after them.
#pragma once

#include <hone/model.hpp>
#include <string>

#include "feed_forward.hpp"
#include "rope.hpp"

namespace hone HONE_HIDDEN {

class Decoder : public Model {
 public:
  // Sizes: a family's constructor gives its defaults.
  uint32_t vocab_size = 0, hidden_size = 0, num_hidden_layers = 0, num_attention_heads = 0, max_position_embeddings = 0;
  double rope_theta = 10000, rms_norm_eps = 1e-6, initializer_range = 0.02;
  JsonTable rope_scaling;
  std::string hidden_act = "silu";
  bool tie_word_embeddings = false;

 protected:
  // The settings but for the sizes, which each family tells in its own words.
  static auto common_params() {
    using D = Decoder;
    return hone::params(
        param("rope_theta", &D::rope_theta, "base of the rotary frequencies", {.min = 1e-3}),
        param("rope_scaling", &D::rope_scaling,
              "how positions are stretched: linear, dynamic, llama3 or yarn, with its numbers; {}: not at all"),
        param("rms_norm_eps", &D::rms_norm_eps, "added to the mean square", {.min = 0, .max = 1}),
        param("initializer_range", &D::initializer_range, "standard deviation of fresh weights", {.min = 0, .max = 10}),
        param("hidden_act", &D::hidden_act, "the gate's activation", {.choices = {"silu"}}),
        param("tie_word_embeddings", &D::tie_word_embeddings, "whether the embedding is the head too"));
  }

  Rope rope_for(uint32_t size) const {  // size: of the rotated part of a head
    return make_rope({size, rope_theta, rope_scaling.text, max_position_embeddings});
  }

  // Declares everything; declare_block(i) declares block i.
  template <class DeclareBlock>
  void declare_around(Parameters &parameters, DeclareBlock &&declare_block) {
    parameters.deviation = static_cast<float>(initializer_range);
    embedding_ = parameters.table("model.embed_tokens.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < num_hidden_layers; ++i) declare_block(i);
    norm_ = parameters.vector("model.norm.weight", hidden_size);
    head_ = tie_word_embeddings ? embedding_ : parameters.matrix("lm_head.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < parameters.count(); ++i) active_ += parameters.elements({i});
  }
  // Of one block: to be told after declare_around().
  void count_experts(const Experts &experts, uint32_t chosen) {
    if (!experts) return;
    ++routed_layers_;
    active_ -= experts.unused(chosen);
  }

  // What info() tells of the parts above; the blocks' own sizes are 0.
  hone_model_info info_around() const {
    hone_model_info info{};
    info.vocab_size = vocab_size;
    info.hidden_size = hidden_size;
    info.max_positions = max_position_embeddings;
    info.attention_layers = num_hidden_layers;
    info.routed_layers = routed_layers_;
    info.head = head_.index;
    info.active_parameters = active_;
    return info;
  }

  // x itself where there is no such norm.
  Tensor norm(const Tape &tape, Tensor x, Parameter weight) const {
    return weight ? tape.rms_norm(x, weight, hidden_size, static_cast<float>(rms_norm_eps)) : x;
  }

  Rope rope_;  // a family's declare() sets it
  Parameter embedding_, norm_, head_;
  uint32_t routed_layers_ = 0;
  uint64_t active_ = 0;  // parameters that one token uses
};

}  // namespace HONE_HIDDEN
