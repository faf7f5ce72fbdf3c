// gguf_names.cpp -- see gguf_names.h.
#include "core/model/gguf_names.h"

namespace hone {
namespace {

struct Pair {
  const char *gguf, *hugging_face;
};

const Pair kWhole[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

// Without ".weight" or ".bias", after "blk.N." and "model.layers.N.".
const Pair kLayer[] = {
    {"attn_norm", "input_layernorm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"attn_q_a", "self_attn.q_a_proj"},
    {"attn_q_a_norm", "self_attn.q_a_layernorm"},
    {"attn_q_b", "self_attn.q_b_proj"},
    {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"},
    {"attn_kv_a_norm", "self_attn.kv_a_layernorm"},
    {"attn_kv_b", "self_attn.kv_b_proj"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_exps", "mlp.experts.{}.gate_proj"},
    {"ffn_up_exps", "mlp.experts.{}.up_proj"},
    {"ffn_down_exps", "mlp.experts.{}.down_proj"},
    {"ffn_gate_shexp", "mlp.shared_experts.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_experts.up_proj"},
    {"ffn_down_shexp", "mlp.shared_experts.down_proj"},
};
const Pair kChoiceBias = {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"};  // the one without a common suffix

// "blk.12.attn_q.bias" after "blk." is "12.", "attn_q", ".bias".
struct Parts {
  std::string number, stem, suffix;
};
bool divide(const std::string &name, const std::string &prefix, Parts &parts) {
  if (!name.starts_with(prefix)) return false;
  const size_t dot = name.find('.', prefix.size());
  if (dot == std::string::npos || dot == prefix.size()) return false;
  parts.number = name.substr(prefix.size(), dot + 1 - prefix.size());
  if (parts.number.find_first_not_of("0123456789") != parts.number.size() - 1) return false;
  const std::string rest = name.substr(dot + 1);
  const size_t last = rest.rfind('.');
  if (last == std::string::npos) return false;
  parts.stem = rest.substr(0, last);
  parts.suffix = rest.substr(last);
  return true;
}

std::string translate(const std::string &name, const char *Pair::*from, const char *Pair::*to,
                      const std::string &prefix, const std::string &new_prefix) {
  for (const Pair &pair : kWhole)
    if (name == pair.*from) return pair.*to;
  Parts parts;
  if (!divide(name, prefix, parts)) return "";
  if (parts.stem + parts.suffix == kChoiceBias.*from) return new_prefix + parts.number + kChoiceBias.*to;
  if (parts.suffix != ".weight" && parts.suffix != ".bias") return "";
  for (const Pair &pair : kLayer)
    if (parts.stem == pair.*from) return new_prefix + parts.number + pair.*to + parts.suffix;
  return "";
}

}  // namespace

std::string gguf_tensor_name(const std::string &hugging_face) {
  return translate(hugging_face, &Pair::hugging_face, &Pair::gguf, "model.layers.", "blk.");
}
std::string hugging_face_tensor_name(const std::string &gguf) {
  return translate(gguf, &Pair::gguf, &Pair::hugging_face, "blk.", "model.layers.");
}

}  // namespace hone
