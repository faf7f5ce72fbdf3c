// gguf_names.h -- a tensor's name in GGUF files (ggml's tensor naming) and in Hugging Face checkpoints.
#pragma once

#include <string>

namespace hone {

// Both ways "" when the other side has no such tensor. The experts of a layer are one tensor in GGUF; its Hugging Face
// name has
// "{}" where an expert's number goes. Keys and values of latent attention (attn_k_b, attn_v_b) are one tensor,
// kv_b_proj, in Hugging Face's layout: neither function knows them.
std::string gguf_tensor_name(const std::string &hugging_face);
std::string hugging_face_tensor_name(const std::string &gguf);

}  // namespace hone
