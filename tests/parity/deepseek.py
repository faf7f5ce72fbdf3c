"""deepseek.py -- makes tiny random DeepSeek-V2 and V3 checkpoints with transformers, holds deepseek_reference.py to transformers'
log-probs and gradients on them, and writes the reference's (in double) as goldens for tests/plugins/models/deepseek_goldens_test.cpp.
Then, with --hone, it holds `hone logprobs` and `hone generate` at temperature 0 to transformers.

  $(tests/parity/venv.sh) tests/parity/deepseek.py [--write tests/plugins/models/goldens] [--hone build/release/bin/hone]

A golden is {config.json, model.safetensors, tokenizer.json, expected.safetensors}. expected has `tokens` and `row_start`, `logprobs` of
every token but each row's first, `gradient.<tensor>` of their negative mean; with multi-token prediction also `mtp.logprobs` (depth
after depth, row after row) and `mtp.gradient.<tensor>` of that mean plus 0.3 times eq. 24's loss."""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import DeepseekV2Config, DeepseekV2ForCausalLM, DeepseekV3Config, DeepseekV3ForCausalLM

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from deepseek_reference import Reference

MTP_WEIGHT = 0.3
BLOCK = (6, 5)  # of FP8 weights: some matrices are no multiple of it
PROMPT = 8
ROWS = (23, 1, 40)
SMALL = dict(vocab_size=32, hidden_size=16, intermediate_size=20, moe_intermediate_size=6, num_hidden_layers=2, num_attention_heads=2,
             num_key_value_heads=2, n_routed_experts=8, num_experts_per_tok=3, kv_lora_rank=8, qk_rope_head_dim=8, qk_nope_head_dim=6,
             v_head_dim=5, max_position_embeddings=64, bos_token_id=0, eos_token_id=1)
# beta_fast and beta_slow such that, of four pairs and 16 positions, some stay, some are blended and some are stretched.
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=4, beta_slow=1)
V2, V3 = (DeepseekV2Config, DeepseekV2ForCausalLM), (DeepseekV3Config, DeepseekV3ForCausalLM)
CASES = {
    "deepseek_v3_mtp": (V3, dict(q_lora_rank=7, n_group=4, topk_group=2, first_k_dense_replace=1, n_shared_experts=1, num_mtp_layers=1,
                                 rope_parameters=dict(YARN, rope_theta=10000.0, mscale=1.0, mscale_all_dim=1.0))),
    "deepseek_v3_plain": (V3, dict(q_lora_rank=None, n_group=1, topk_group=1, first_k_dense_replace=0, n_shared_experts=2, num_mtp_layers=1,
                                   norm_topk_prob=False, attention_bias=True, rope_interleave=False, tie_word_embeddings=True,
                                   rope_parameters=dict(rope_type="default", rope_theta=500.0))),
    # The checkpoint in FP8, as V3 is published: transformers and the reference get what the blocks dequantise to.
    "deepseek_v3_fp8": (V3, dict(q_lora_rank=7, n_group=2, topk_group=1, first_k_dense_replace=1, n_shared_experts=1,
                                 rope_parameters=dict(rope_type="default", rope_theta=10000.0))),
    "deepseek_v2": (V2, dict(q_lora_rank=7, n_group=4, topk_group=2, topk_method="group_limited_greedy", routed_scaling_factor=2.0,
                             first_k_dense_replace=1, n_shared_experts=2,
                             rope_parameters=dict(YARN, rope_theta=10000.0, mscale=0.9, mscale_all_dim=0.707))),
    "deepseek_v2_lite": (V2, dict(q_lora_rank=None, topk_method="greedy", first_k_dense_replace=1, n_shared_experts=1, attention_bias=True,
                                  mlp_bias=True, rope_parameters=dict(rope_type="default", rope_theta=10000.0))),
}


def randomise(parameters, generator):
    """No gradient is zero by accident: norms and biases are random too, and choices of experts are far from ties."""
    with torch.no_grad():
        for name, p in parameters:
            noise = torch.randn(p.shape, generator=generator)
            if p.dim() == 1:
                p.copy_(noise * 0.2 + (1.0 if "norm" in name else 0.0))
            else:
                p.copy_(noise * 1.2 / math.sqrt(p.shape[-1]))


def old_spelling(config):
    """config.json as published checkpoints have it: rope_theta and rope_scaling."""
    config = dict(config)
    rope = dict(config.pop("rope_parameters"))
    config["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else dict(rope, type=kind)
    return config


def by_expert(named):
    """transformers keeps the experts' matrices fused; a checkpoint holds each alone."""
    out = {}
    for name, value in named.items():
        if name.endswith("experts.gate_up_proj"):
            at = name.removesuffix("gate_up_proj")
            for e in range(value.shape[0]):
                out[f"{at}{e}.gate_proj.weight"], out[f"{at}{e}.up_proj.weight"] = value[e].chunk(2, 0)
        elif name.endswith("experts.down_proj"):
            at = name.removesuffix("down_proj")
            for e in range(value.shape[0]):
                out[f"{at}{e}.down_proj.weight"] = value[e]
        else:
            out[name] = value
    return out


def mtp_names(named, layers):
    """transformers' MtpModel in the names of the published checkpoint."""
    out = {}
    for name, value in by_expert(named).items():
        if not name.startswith("layers."):
            continue  # what it shares with the model
        _, k, rest = name.split(".", 2)
        rest = rest.removeprefix("mtp_block.").replace("post_norm.", "shared_head.norm.") if not rest.startswith("post_norm") else "shared_head.norm.weight"
        out[f"model.layers.{layers + int(k)}.{rest}"] = value
    return out


def to_fp8(matrix):
    """A matrix as torch.float8_e4m3fn and a scale for each block, and what they dequantise to."""
    rows, columns = (-(-n // b) for n, b in zip(matrix.shape, BLOCK))
    scale = torch.empty(rows, columns)
    spread = lambda s: s.repeat_interleave(BLOCK[0], 0)[: matrix.shape[0]].repeat_interleave(BLOCK[1], 1)[:, : matrix.shape[1]]
    for i in range(rows):
        for j in range(columns):
            scale[i, j] = matrix[i * BLOCK[0]:(i + 1) * BLOCK[0], j * BLOCK[1]:(j + 1) * BLOCK[1]].abs().max() / 448
    small = (matrix / spread(scale)).to(torch.float8_e4m3fn)
    return small, scale, small.float() * spread(scale)


def relative(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-12))


class Case:
    def __init__(self, name):
        (Config, Model), changes = CASES[name]
        self.name = name
        generator = torch.Generator().manual_seed(sum(map(ord, name)))
        config = Config(**{**SMALL, **changes})
        config._attn_implementation = config._experts_implementation = "eager"
        self.model = Model(config).eval()
        randomise(self.model.named_parameters(), generator)
        for layer in self.model.model.layers:
            if hasattr(layer.mlp, "gate") and hasattr(layer.mlp.gate, "e_score_correction_bias"):
                layer.mlp.gate.e_score_correction_bias.copy_(torch.randn(config.n_routed_experts, generator=generator) * 0.2)
        self.fp8 = {}  # of the checkpoint's tensors: (numbers, scales)
        if name.endswith("_fp8"):
            with torch.no_grad():
                for n, p in self.model.named_parameters():
                    for at, part in by_expert({n: p}).items():
                        if not at.endswith(("_proj.weight", "_proj_with_mqa.weight")):
                            continue
                        small, scale, plain = to_fp8(part)
                        self.fp8[at] = small, scale
                        part.copy_(plain)  # a view of p
        self.mtp = None
        self.depths = config.num_mtp_layers if name.endswith("_mtp") else 0
        if self.depths:
            from transformers.modeling_layers import MtpModel

            self.mtp = MtpModel(self.model, self.depths).eval()
            randomise([(n, p) for n, p in self.mtp.named_parameters() if n.startswith("layers.")], generator)
            for layer in self.mtp.layers:
                layer.mtp_block.mlp.gate.e_score_correction_bias.copy_(torch.randn(config.n_routed_experts, generator=generator) * 0.2)
        self.rows = [torch.randint(0, config.vocab_size, (n,), generator=generator) for n in ROWS]
        with tempfile.TemporaryDirectory() as folder:
            self.model.save_pretrained(folder)
            self.config = old_spelling(json.loads(pathlib.Path(folder, "config.json").read_text()))
            self.tensors = load_file(pathlib.Path(folder, "model.safetensors"))
        if self.mtp:
            self.tensors |= mtp_names(dict(self.mtp.state_dict()), config.num_hidden_layers)
            for k in range(self.depths):  # as the published checkpoint has them
                at = f"model.layers.{config.num_hidden_layers + k}."
                self.tensors[at + "embed_tokens.weight"] = self.tensors["model.embed_tokens.weight"]
                self.tensors[at + "shared_head.head.weight"] = self.tensors["lm_head.weight"]
        # As config.json of V3 has it. Without its layer (transformers saves none) hone must load the model all the same.
        assert self.config.get("num_nextn_predict_layers", 0) == (1 if Config is DeepseekV3Config else 0)

    def of_transformers(self, mtp):
        """Log-probs of all rows, those of the depth, and the gradients of the mean loss."""
        self.model.zero_grad()
        if self.mtp:
            self.mtp.zero_grad()
        logprobs, ahead = [], []
        for row in self.rows:
            if len(row) < 2:
                continue
            state = self.model.model(row[None], use_cache=False).last_hidden_state
            expect = lambda hidden, targets: self.model.lm_head(hidden)[0].log_softmax(-1).gather(1, targets[:, None])[:, 0]
            logprobs.append(expect(state[:, :-1], row[1:]))
            if mtp and len(row) > 2:
                positions = torch.arange(1, len(row))[None]
                after = self.mtp.forward_layer(0, state[:, :-1], positions, None, input_ids=row[None, 1:])
                ahead.append(expect(after[:, :-1], row[2:]))
        logprobs = torch.cat(logprobs)
        loss = -logprobs.mean()
        if mtp:
            ahead = torch.cat(ahead)
            loss = loss - MTP_WEIGHT * ahead.sum() / len(logprobs)
        loss.backward()
        gradients = by_expert({n: p.grad for n, p in self.model.named_parameters()})
        if mtp:
            gradients |= mtp_names({n: p.grad for n, p in self.mtp.named_parameters()}, self.config["num_hidden_layers"])
        return logprobs.detach(), ahead.detach() if mtp else None, gradients

    def of_reference(self, mtp):
        copies = ("embed_tokens.weight", "shared_head.head.weight")
        tensors = {n: t.double().requires_grad_() for n, t in self.tensors.items() if not (n.startswith("model.layers.") and n.endswith(copies))}
        reference = Reference(self.config, tensors)
        rows = [r for r in self.rows if len(r) > 1]
        logprobs = torch.cat([reference.logprobs(r) for r in rows])
        loss, ahead = -logprobs.mean(), None
        if mtp:
            per_row = [reference.logprobs_ahead(r, self.depths) for r in rows if len(r) > 2]
            ahead = torch.cat([torch.cat([r[k] for r in per_row]) for k in range(self.depths)])
            loss = loss - MTP_WEIGHT / self.depths * ahead.sum() / len(logprobs)
        loss.backward()
        return logprobs.detach(), ahead.detach() if mtp else None, {n: t.grad for n, t in tensors.items() if t.grad is not None}

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        config = dict(self.config)
        for key in ("transformers_version", "dtype"):
            config.pop(key, None)
        if self.fp8:
            config["quantization_config"] = dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=list(BLOCK))
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        words = ["<bos>", "<eos>"] + [f"t{i}" for i in range(2, config["vocab_size"])]
        special = [dict(id=i, content=w, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) for i, w in enumerate(words[:2])]
        (folder / "tokenizer.json").write_text(json.dumps({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
            "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
            "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(words)}, "unk_token": ""}}) + "\n")
        tensors = {n: t.clone().contiguous() for n, t in self.tensors.items()}
        for n, (small, scale) in self.fp8.items():
            tensors[n], tensors[n + "_scale_inv"] = small.contiguous(), scale
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    def expected(self):
        logprobs, _, gradients = self.of_reference(False)
        out = {"tokens": torch.cat(self.rows), "row_start": torch.tensor([0] + [len(r) for r in self.rows]).cumsum(0), "logprobs": logprobs.float()}
        out |= {f"gradient.{n}": g.float() for n, g in gradients.items()}
        if self.depths:
            _, ahead, gradients = self.of_reference(True)
            out["mtp.logprobs"] = ahead.float()
            out |= {f"mtp.gradient.{n}": g.float() for n, g in gradients.items()}
        return out

    def greedy(self):
        """A prompt, and the ids with which transformers goes on."""
        prompt = self.rows[0][:PROMPT]
        ids = self.model.generate(prompt[None], attention_mask=torch.ones_like(prompt)[None], max_new_tokens=40, do_sample=False, pad_token_id=0)
        return prompt, ids[0, PROMPT:].tolist()

    def compare(self):
        """transformers and the reference: how far apart at most."""
        worst = {}
        for mtp in (False, True) if self.depths else (False,):
            a, b = self.of_transformers(mtp), self.of_reference(mtp)
            worst["logprobs"] = max(worst.get("logprobs", 0), float((a[0] - b[0]).abs().max()))
            if mtp:
                worst["mtp.logprobs"] = float((a[1] - b[1]).abs().max())
            gradients = {n: g for n, g in a[2].items() if g is not None and float(g.abs().max()) > 0}
            missing = set(gradients) ^ {n for n, g in b[2].items() if float(g.abs().max()) > 0}
            assert not missing, f"{self.name}: only one has a gradient of {sorted(missing)}"
            for n, g in gradients.items():
                worst["gradient"] = max(worst.get("gradient", 0), relative(g, b[2][n]))
        return worst


def hone_logprobs(hone, folder, rows):
    lines = "".join(json.dumps({"tokens": r.tolist()}) + "\n" for r in rows)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(lines)
        file.flush()
        out = subprocess.run([hone, "logprobs", "--model", str(folder), "--input", file.name], capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"hone logprobs failed: {out.stderr}")
    return torch.tensor([x for line in out.stdout.splitlines() for x in json.loads(line)["logprobs"]], dtype=torch.float64)


def hone_greedy(hone, folder, prompt):
    words = ["<bos>", "<eos>"] + [f"t{i}" for i in range(2, 32)]
    row = json.dumps({"prompt": " ".join(words[i] for i in prompt.tolist())}) + "\n"
    out = subprocess.run([hone, "generate", "--model", str(folder), "--input", "-", "--temperature", "0", "--max-tokens", "40"],
                         input=row, capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"hone generate failed: {out.stderr}")
    return json.loads(out.stdout)["tokens"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--write", type=pathlib.Path, help="folder for the goldens")
    arguments.add_argument("--hone", help="the program to compare as well")
    a = arguments.parse_args()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    failed = False
    for name in CASES:
        case = Case(name)
        worst = case.compare()
        if a.write:
            case.write(a.write / name)
            save_file(case.expected(), a.write / name / "expected.safetensors")
        if a.hone:
            with tempfile.TemporaryDirectory() as folder:
                case.write(pathlib.Path(folder))
                found = hone_logprobs(a.hone, folder, case.rows)
                prompt, wanted = case.greedy()
                continued = hone_greedy(a.hone, folder, prompt)
                if continued != wanted:
                    failed = True
                    print(f"{name}: greedy ids are {continued}, not {wanted}")
            worst["hone's logprobs"] = float((found - case.of_transformers(False)[0].double()).abs().max())
        limits = {"gradient": 1e-3}
        bad = {k: v for k, v in worst.items() if not v <= limits.get(k, 2e-4)}
        failed |= bool(bad)
        print(f"{name}: " + ", ".join(f"{k} {v:.2g}" for k, v in worst.items()) + (f"  TOO FAR: {sorted(bad)}" if bad else ""))
    sys.exit(failed)


main()
