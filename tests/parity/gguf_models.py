#!/usr/bin/env python3
"""Makes tests/core/model/goldens/<architecture>/: a tiny random model saved by transformers (config.json, model.safetensors), and
the GGUF file of the same model as llama.cpp's converter lays it out, written with the `gguf` package and its own name map.
python tests/parity/gguf_models.py (needs torch, transformers, gguf, safetensors, numpy)."""
import json
import math
import pathlib
import shutil
import sys

import gguf
import numpy as np
import torch
import transformers
from safetensors import safe_open

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "core/model/goldens"
VOCABULARY = 20
ARCHITECTURES = {value: arch for arch, value in gguf.MODEL_ARCH_NAMES.items()}
COMMON = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5)
LATENT = dict(COMMON, num_key_value_heads=4, moe_intermediate_size=8, n_shared_experts=1, n_routed_experts=4, num_experts_per_tok=2,
              first_k_dense_replace=1, kv_lora_rank=6, qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=5)


def scaling(kind, **numbers):
    return dict(rope_type=kind, rope_theta=numbers.pop("theta", 10000.0), **numbers)


MODELS = {
    "llama": (transformers.LlamaConfig, dict(COMMON, head_dim=8, rope_parameters=scaling(
        "llama3", theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192))),
    "llama_tied": (transformers.LlamaConfig, dict(COMMON, tie_word_embeddings=True, rope_parameters=scaling("linear", factor=2.0))),
    "qwen2": (transformers.Qwen2Config, dict(COMMON, rope_parameters=scaling("yarn", theta=1e6, factor=4.0, original_max_position_embeddings=16))),
    "qwen3": (transformers.Qwen3Config, dict(COMMON, head_dim=6, rope_parameters=scaling("default", theta=1e6))),
    "qwen3moe": (transformers.Qwen3MoeConfig, dict(COMMON, head_dim=6, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, norm_topk_prob=True)),
    "deepseek2": (transformers.DeepseekV3Config, dict(
        LATENT, q_lora_rank=7, n_group=2, topk_group=1, routed_scaling_factor=2.5, norm_topk_prob=True, rope_parameters=scaling(
            "yarn", factor=4.0, original_max_position_embeddings=16, mscale=0.707, mscale_all_dim=0.707, beta_fast=32.0, beta_slow=1.0))),
    "deepseek2_lite": (transformers.DeepseekV2Config, dict(LATENT, q_lora_rank=None, n_group=1, topk_group=1, topk_method="greedy", norm_topk_prob=False)),
}


def permuted(rows, heads):  # as llama.cpp's converter does for the architecture llama
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def llama3_factors(config):
    p, size = config.rope_parameters, config.head_dim
    out = []
    for i in range(0, size, 2):
        wave = 2 * math.pi * p["rope_theta"] ** (i / size)
        low, high = p["original_max_position_embeddings"] / p["low_freq_factor"], p["original_max_position_embeddings"] / p["high_freq_factor"]
        smooth = (p["original_max_position_embeddings"] / wave - p["low_freq_factor"]) / (p["high_freq_factor"] - p["low_freq_factor"])
        out.append(1 if wave < high else p["factor"] if wave > low else 1 / ((1 - smooth) / p["factor"] + smooth))
    return np.array(out, dtype=np.float32)


def metadata(writer, architecture, config):
    rope = config.rope_parameters
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_vocab_size(config.vocab_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    if architecture == "deepseek2":
        writer.add_head_count_kv(1)
        if config.q_lora_rank:
            writer.add_q_lora_rank(config.q_lora_rank)
        writer.add_kv_lora_rank(config.kv_lora_rank)
        writer.add_key_length(config.kv_lora_rank + config.qk_rope_head_dim)
        writer.add_value_length(config.kv_lora_rank)
        writer.add_key_length_mla(config.qk_nope_head_dim + config.qk_rope_head_dim)
        writer.add_value_length_mla(config.v_head_dim)
        writer.add_leading_dense_block_count(config.first_k_dense_replace)
        writer.add_expert_count(config.n_routed_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
        writer.add_expert_shared_count(config.n_shared_experts)
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
        writer.add_expert_group_count(config.n_group)
        writer.add_expert_group_used_count(config.topk_group)
        writer.add_expert_weights_scale(config.routed_scaling_factor)
        writer.add_expert_weights_norm(bool(config.norm_topk_prob))
        v3 = config.model_type == "deepseek_v3"
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID if v3 else gguf.ExpertGatingFuncType.SOFTMAX)
        writer.add_rope_dimension_count(config.qk_rope_head_dim)
    else:
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_key_length(size)
        writer.add_value_length(size)
        writer.add_rope_dimension_count(size)
        if architecture == "qwen3moe":
            writer.add_expert_count(config.num_experts)
            writer.add_expert_used_count(config.num_experts_per_tok)
            writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        if architecture == "deepseek2":
            writer.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])


def tensors(architecture, config, folder):
    names = gguf.get_tensor_name_map(ARCHITECTURES[architecture], config.num_hidden_layers)
    stacks = {}
    with safe_open(folder / "model.safetensors", "numpy") as file:
        for name in sorted(file.keys()):
            data = file.get_tensor(name)
            layer = name.split(".")[2] if name.startswith("model.layers.") else ""
            if ".experts." in name:
                head, tail = name.split(".experts.")
                number, tail = tail.split(".", 1)
                stacks.setdefault(f"{head}.experts.{tail}", {})[int(number)] = data
                continue
            if name.endswith("kv_b_proj.weight"):
                heads, keys, values = config.num_attention_heads, config.qk_nope_head_dim, config.v_head_dim
                parts = data.reshape(heads, keys + values, config.kv_lora_rank)
                yield f"blk.{layer}.attn_k_b.weight", np.ascontiguousarray(parts[:, :keys].transpose(0, 2, 1))
                yield f"blk.{layer}.attn_v_b.weight", np.ascontiguousarray(parts[:, keys:])
                continue
            if name.endswith("e_score_correction_bias"):
                name = name.replace("e_score_correction_bias", "e_score_correction.bias")
            if architecture == "llama" and ".q_proj." in name:
                data = permuted(data, config.num_attention_heads)
            if architecture == "llama" and ".k_proj." in name:
                data = permuted(data, config.num_key_value_heads)
            yield names.get_name(name, try_suffixes=(".weight", ".bias")), data
    for name, experts in stacks.items():
        yield names.get_name(name, try_suffixes=(".weight",)), np.stack([experts[i] for i in range(len(experts))])


def build(name, folder, **changes):
    kind, settings = MODELS[name]
    architecture, config = name.split("_")[0], kind(**dict(settings, **changes))
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for parameter in [*model.parameters(), *model.buffers()]:
        if parameter.dtype == torch.float32 and parameter.dim() > 0:
            parameter.data.normal_(0, 0.5)
    model.save_pretrained(folder)
    writer = gguf.GGUFWriter(folder / "model.gguf", architecture)
    metadata(writer, architecture, config)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([chr(97 + i) for i in range(VOCABULARY)])
    writer.add_token_types([1] * VOCABULARY)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(3)
    if config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    for tensor, data in tensors(architecture, config, folder):
        assert tensor, "no name"
        writer.add_tensor(tensor, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    for name in MODELS:
        folder = FOLDER / name
        shutil.rmtree(folder, ignore_errors=True)
        build(name, folder)
        for extra in folder.iterdir():
            if extra.name not in ("config.json", "model.safetensors", "model.gguf"):
                extra.unlink()
        print(name, sum(file.stat().st_size for file in folder.iterdir()), json.loads((folder / "config.json").read_text())["model_type"])


if __name__ == "__main__":
    sys.exit(main())
