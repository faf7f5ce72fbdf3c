#!/usr/bin/env python3
"""The llama plugin's families held against transformers' classes: tiny random models of each, and of each way to scale rotary
positions, in rows longer than original_max_position_embeddings.
  log-probs   `hone logprobs` in f32, of config.json in the new spelling, in the old one, and without the keys that say what
              transformers' class takes anyway, within 2e-4 of transformers' f32
  greedy      `hone generate --temperature 0` gives the ids that transformers' generate() gives
  saved       transformers gives the directory that hone writes the log-probs of the one that hone read, to the bit
  gradients   of the mean negative log-prob, for every parameter: |hone - transformers| <= 1e-3 |transformers|, in the test program
              (LlamaGoldens), which reads the same folders
--write-goldens makes the folders that CI reads without Python: tests/plugins/models/goldens/NAME.
Usage: families.py [--python PYTHON] [--build build/release] [--only NAME] [--write-goldens]"""
import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile

from helpers import PYTHON_HELP, ROOT, run, use_venv, word_level

GOLDENS = ROOT / "tests/plugins/models/goldens"
POSITIONS, ROW, PROMPT = 64, 48, 6

SMALL = dict(vocab_size=24, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=POSITIONS, bos_token_id=None, eos_token_id=None, pad_token_id=None)
EXPERTS = dict(head_dim=6, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8)

LEAVE_OUT_DEFAULTS = {"granite_plain", "smollm3_fourth", "olmo2"}  # the goldens whose config.json does


def rope(kind, theta=10000.0, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=theta, **more))


# name: (transformers' class, without Config and ForCausalLM; what differs from SMALL)
MODELS = {
    "llama": ("Llama", dict(rms_norm_eps=1e-5)),
    "llama_tied": ("Llama", dict(tie_word_embeddings=True, num_key_value_heads=4, **rope("default", 500000.0))),
    "llama_biases": ("Llama", dict(attention_bias=True, mlp_bias=True, head_dim=6)),
    "llama_linear": ("Llama", rope("linear", factor=3.0)),
    "llama_dynamic": ("Llama", rope("dynamic", factor=4.0)),
    "llama3": ("Llama", rope("llama3", 1000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=32)),
    "llama_yarn": ("Llama", rope("yarn", factor=4.0, original_max_position_embeddings=16)),
    "llama_yarn_own": ("Llama", rope("yarn", 1000.0, factor=4.0, original_max_position_embeddings=16, attention_factor=0.8, beta_fast=2,
                                     beta_slow=0.1, truncate=False) | dict(head_dim=16)),  # a ramp from wave 0.28 to wave 3.75
    "llama_yarn_mscale": ("Llama", rope("yarn", factor=4.0, original_max_position_embeddings=16, mscale=1.3, mscale_all_dim=0.6)),
    "llama_yarn_short": ("Llama", rope("yarn", factor=2.0)),  # original_max_position_embeddings: max_position_embeddings
    "qwen2": ("Qwen2", dict(rope("default", 1000000.0))),
    "qwen2_tied": ("Qwen2", dict(tie_word_embeddings=True, num_key_value_heads=1)),
    "qwen3": ("Qwen3", dict(head_dim=6, **rope("default", 1000000.0))),
    "qwen3_yarn": ("Qwen3", dict(head_dim=8, attention_bias=True, tie_word_embeddings=True,
                                 **rope("yarn", 1000.0, factor=4.0, original_max_position_embeddings=16))),
    "qwen3_moe": ("Qwen3Moe", dict(norm_topk_prob=True, **EXPERTS)),
    "qwen3_moe_sparse": ("Qwen3Moe", dict(norm_topk_prob=False, num_hidden_layers=4, decoder_sparse_step=2, mlp_only_layers=[3],
                                          tie_word_embeddings=True, attention_bias=True, **EXPERTS)),
    "mistral": ("Mistral", dict(sliding_window=None, head_dim=6)),
    "mistral_window": ("Mistral", dict(sliding_window=POSITIONS)),
    "granite": ("Granite", dict(embedding_multiplier=3.0, attention_multiplier=0.4, residual_multiplier=0.6, logits_scaling=1.7,
                                attention_bias=True, mlp_bias=True)),
    "granite_plain": ("Granite", {}),
    "smollm3_fourth": ("SmolLM3", dict(num_hidden_layers=4)),
    "smollm3": ("SmolLM3", dict(no_rope_layer_interval=2, tie_word_embeddings=True)),
    "smollm3_listed": ("SmolLM3", dict(no_rope_layers=[0, 1], tie_word_embeddings=False, mlp_bias=True,
                                       **rope("yarn", 1000.0, factor=4.0, original_max_position_embeddings=16))),
    "olmo2": ("Olmo2", dict(num_key_value_heads=4)),
    "olmo2_grouped": ("Olmo2", dict(attention_bias=True, tie_word_embeddings=True)),
}


def in_old_spelling(config):
    """config.json as transformers 4 wrote it."""
    old = dict(config)
    if "dtype" in old:
        old["torch_dtype"] = old.pop("dtype")
    if old.get("rope_parameters"):
        scaling = dict(old.pop("rope_parameters"))
        old["rope_theta"] = scaling.pop("rope_theta")
        scaling["type"] = scaling["rope_type"]
        old["rope_scaling"] = None if scaling["rope_type"] == "default" else scaling
    if "num_local_experts" in old:
        old["num_experts"] = old.pop("num_local_experts")
    return old


def without_defaults(config, kind):
    """config.json without the keys that say what transformers' class takes anyway."""
    import transformers
    usual = getattr(transformers, kind + "Config")().to_dict()
    return {key: value for key, value in config.items() if key == "model_type" or key not in usual or usual[key] != value}


def checkpoint_gradients(model):
    """Gradients by the names that a checkpoint has: experts are one tensor each there."""
    found = {}
    for name, parameter in model.named_parameters():
        if ".mlp.experts." not in name:
            found[name] = parameter.grad
            continue
        at, kind = name.rsplit(".", 1)
        for e in range(parameter.shape[0]):
            if kind == "gate_up_proj":
                found[f"{at}.{e}.gate_proj.weight"], found[f"{at}.{e}.up_proj.weight"] = parameter.grad[e].chunk(2)
            else:
                found[f"{at}.{e}.{kind}.weight"] = parameter.grad[e]
    return {f"gradient.{name}": gradient.clone().contiguous() for name, gradient in found.items()}


def make(name, folder):
    """Writes the model and expected.safetensors; returns the model and the row."""
    import torch
    import transformers
    from safetensors.torch import save_file
    kind, changes = MODELS[name]
    config = getattr(transformers, kind + "Config")(**dict(SMALL, **changes))
    torch.manual_seed(sum(map(ord, name)))
    model = getattr(transformers, kind + "ForCausalLM")(config).eval()
    for parameter_name, parameter in model.named_parameters():
        if "norm" in parameter_name:
            parameter.data.normal_(1, 0.2)
        else:
            parameter.data.normal_(0, 0.2 if parameter.dim() == 1 else 1.2 / parameter.shape[-1] ** 0.5)
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    word_level(folder, SMALL["vocab_size"])
    row = torch.randint(SMALL["vocab_size"], (ROW,))
    logits = model(row[None]).logits[0, :-1].float()
    logprobs = torch.log_softmax(logits, -1).gather(1, row[1:, None])[:, 0]
    (-logprobs.mean()).backward()
    save_file({"tokens": row, "logprobs": logprobs.detach().contiguous(), **checkpoint_gradients(model)}, folder / "expected.safetensors")
    return model, row


def compare(name, folder, hone):
    import torch
    model, row = make(name, folder)
    from safetensors.torch import load_file
    expected = load_file(folder / "expected.safetensors")["logprobs"]
    written = json.loads((folder / "config.json").read_text())
    rows = json.dumps({"tokens": row.tolist()}) + "\n"
    worst, bits = 0.0, []
    for config in (written, in_old_spelling(written), without_defaults(written, MODELS[name][0])):
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        found = json.loads(run(hone, "logprobs", "--model", folder, "--input", "-", stdin=rows).stdout)["logprobs"]
        bits.append(found)
        worst = max(worst, (torch.tensor(found) - expected).abs().max().item())
    kept = without_defaults(written, MODELS[name][0]) if name in LEAVE_OUT_DEFAULTS else written
    (folder / "config.json").write_text(json.dumps(kept, indent=2) + "\n")
    problems = []
    if bits[0] != bits[1]:
        problems.append("the two spellings of config.json give different log-probs")
    if bits[0] != bits[2]:
        problems.append("a key that is left out does not mean what transformers means by it")
    if worst > 2e-4:
        problems.append(f"log-probs differ by {worst:.1e}")
    prompt = row[:PROMPT]
    wanted = model.generate(prompt[None], attention_mask=torch.ones_like(prompt)[None], max_new_tokens=POSITIONS - PROMPT, do_sample=False,
                            pad_token_id=0)[0, PROMPT:].tolist()
    text = json.dumps({"prompt": " ".join(f"t{i}" for i in prompt.tolist())}) + "\n"
    greedy = json.loads(run(hone, "generate", "--model", folder, "--input", "-", "--temperature", 0, "--max-tokens", POSITIONS - PROMPT, stdin=text).stdout)["tokens"]
    if greedy != wanted:
        problems.append(f"greedy ids are {greedy}, not {wanted}")
    long = json.dumps({"tokens": [1] * (POSITIONS + 1)}) + "\n"
    if f"more than the model's {POSITIONS} positions" not in run(hone, "logprobs", "--model", folder, "--input", "-", stdin=long, check=False).stderr:
        problems.append("a row longer than max_position_embeddings is not refused")
    return worst, problems


def read_again(saved, folder):
    """Whether transformers' log-probs of the directory that hone wrote are those of the one that hone read, to the bit."""
    import torch
    import transformers
    from safetensors.torch import load_file
    expected = load_file(folder / "expected.safetensors")
    model = transformers.AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32).eval()
    row = expected["tokens"]
    logits = model(row[None]).logits[0, :-1].float()
    return torch.equal(torch.log_softmax(logits, -1).gather(1, row[1:, None])[:, 0], expected["logprobs"])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--python", help=PYTHON_HELP)
    arguments.add_argument("--build", default=str(ROOT / "build/release"))
    arguments.add_argument("--only")
    arguments.add_argument("--write-goldens", action="store_true")
    a = arguments.parse_args()
    use_venv(a.python)
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    build, failed = pathlib.Path(a.build), False
    with tempfile.TemporaryDirectory() as scratch:
        for name in MODELS if not a.only else [a.only]:
            folder = pathlib.Path(scratch) / name
            worst, problems = compare(name, folder, str(build / "bin/hone"))
            test = run(str(build / "bin/test_models"), "--gtest_filter=LlamaGoldens.Match*:LlamaGoldens.AreWritten*",
                       environment=os.environ | {"HONE_LLAMA_GOLDEN": str(folder), "HONE_LLAMA_SAVED": str(folder) + "-saved"}, check=False)
            gradient = next((line.split("gradients ")[1] for line in test.stdout.splitlines() if "gradients " in line), "no gradients")
            if test.returncode:
                problems.append("the test program says:\n" + test.stdout[-3000:])
            elif not read_again(pathlib.Path(str(folder) + "-saved"), folder):
                problems.append("transformers reads what hone writes otherwise")
            print(f"{name:18} log-probs within {worst:.1e}, gradients {gradient}: {'; '.join(problems) or 'greedy ids equal'}", flush=True)
            failed |= bool(problems)
            if a.write_goldens and not problems:
                shutil.rmtree(GOLDENS / name, ignore_errors=True)
                shutil.copytree(folder, GOLDENS / name)
                for file in (GOLDENS / name).iterdir():
                    file.chmod(0o644)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
