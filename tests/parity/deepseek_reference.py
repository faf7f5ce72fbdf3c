"""deepseek_reference.py -- DeepSeek-V2 and V3 written once more in PyTorch, from the papers' equations: arXiv 2405.04434 (V2)
and 2412.19437 (V3), with YaRN (arXiv 2309.00071) as both use it. It knows config.json's keys and the checkpoint's tensor names
and shares no code with hone or transformers. One sequence at a time; the numbers have whatever dtype the tensors have."""
import math

import torch
import torch.nn.functional as F


class Reference:
    def __init__(self, config, tensors):
        self.c, self.w = config, tensors

    def norm(self, x, name, epsilon):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * self.w[name]

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w.get(name + ".bias"))

    def frequencies(self):
        """The angles per position, what cosines and sines are multiplied by, and what scores are."""
        c, size = self.c, self.c["qk_rope_head_dim"]
        theta = c.get("rope_theta", 10000.0)
        i = torch.arange(size // 2, dtype=torch.float64)
        plain = theta ** (-2 * i / size)
        scaling = c.get("rope_scaling")
        if not scaling:
            return plain, 1.0, 1.0
        assert scaling.get("type", scaling.get("rope_type")) == "yarn"
        factor, length = scaling["factor"], scaling["original_max_position_embeddings"]
        # The pair that turns r times within the original context: solve length * theta^(-2 i / size) = 2 pi r for i.
        turning = lambda r: size * math.log(length / (2 * math.pi * r)) / (2 * math.log(theta))
        low = max(math.floor(turning(scaling.get("beta_fast", 32))), 0)
        high = min(math.ceil(turning(scaling.get("beta_slow", 1))), size - 1)
        stretched = ((i - low) / max(high - low, 0.001)).clamp(0, 1)
        m = lambda weight: 0.1 * weight * math.log(factor) + 1 if factor > 1 else 1.0
        every = scaling.get("mscale_all_dim", 0)
        of_scores = m(every) ** 2 if every else 1.0
        return plain * (1 - stretched) + plain / factor * stretched, m(scaling.get("mscale", 1)) / m(every), of_scores

    def rotate(self, x, positions):
        """x [T, H, size]: each pair as a complex number, turned by its position's angle."""
        frequency, magnitude, _ = self.frequencies()
        angle = positions[:, None].to(torch.float64) * frequency
        turn = torch.polar(torch.full_like(angle, magnitude), angle)[:, None, :]
        if self.c.get("rope_interleave", True):
            a, b = x[..., 0::2], x[..., 1::2]
        else:
            a, b = x.chunk(2, -1)
        turned = torch.complex(a.double(), b.double()) * turn
        return torch.cat([turned.real, turned.imag], -1).to(x.dtype)  # the order within a head is one for q and k

    def attention(self, x, at):
        """V2's eq. 9-19: keys and values from one latent, and a rotary key that all heads share."""
        c, T = self.c, x.shape[0]
        H, nope, rope, value, rank = (c[k] for k in ("num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "kv_lora_rank"))
        positions = torch.arange(T)
        if c.get("q_lora_rank"):
            q = self.linear(self.norm(self.linear(x, at + "q_a_proj"), at + "q_a_layernorm.weight", 1e-6), at + "q_b_proj")
        else:
            q = self.linear(x, at + "q_proj")
        q = q.view(T, H, nope + rope)
        latent, shared = self.linear(x, at + "kv_a_proj_with_mqa").split([rank, rope], -1)
        up = self.linear(self.norm(latent, at + "kv_a_layernorm.weight", 1e-6), at + "kv_b_proj").view(T, H, nope + value)
        q_rotated = self.rotate(q[..., nope:], positions)
        k_rotated = self.rotate(shared[:, None, :], positions)[:, 0]
        scores = torch.einsum("thd,shd->hts", q[..., :nope], up[..., :nope]) + torch.einsum("thd,sd->hts", q_rotated, k_rotated)
        scores = scores * self.frequencies()[2] / math.sqrt(nope + rope)
        hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
        return self.linear(torch.einsum("hts,shv->thv", weights, up[..., nope:]).reshape(T, H * value), at + "o_proj")

    def network(self, x, at):
        return self.linear(F.silu(self.linear(x, at + "gate_proj")) * self.linear(x, at + "up_proj"), at + "down_proj")

    def gate(self, x, at):
        """The experts of each token and their weights: V3's eq. 12-16, V2's section 2.1.2 and 2.1.3."""
        c = self.c
        v3 = c["model_type"] == "deepseek_v3"
        logits = F.linear(x, self.w[at + "gate.weight"])
        scores = logits.sigmoid() if v3 else logits.softmax(-1)
        choice = scores.detach().clone()
        if v3:
            choice += self.w[at + "gate.e_score_correction_bias"]
        limited = v3 or c.get("topk_method") == "group_limited_greedy"
        groups = c["n_group"] if limited else 1
        if groups > 1:
            of_group = choice.view(x.shape[0], groups, -1)
            value = of_group.sort(-1, descending=True)[0][..., : 2 if v3 else 1].sum(-1)
            worst = value.argsort(-1)[:, : groups - c["topk_group"]]
            choice = of_group.scatter(1, worst[..., None].expand(-1, -1, of_group.shape[-1]), -math.inf).view_as(choice)
        chosen = choice.argsort(-1, descending=True)[:, : c["num_experts_per_tok"]]
        weights = scores.gather(1, chosen)
        normalised = c.get("norm_topk_prob") and c["num_experts_per_tok"] > 1
        if normalised:
            weights = weights / weights.sum(-1, keepdim=True)
        return chosen, weights * (c["routed_scaling_factor"] if v3 or not normalised else 1)

    def experts(self, x, at):
        chosen, weights = self.gate(x, at)
        rows = [sum(weights[t, j] * self.network(x[t], f"{at}experts.{int(e)}.") for j, e in enumerate(chosen[t])) for t in range(x.shape[0])]
        out = torch.stack(rows)
        return out + self.network(x, at + "shared_experts.") if self.c.get("n_shared_experts") else out

    def block(self, x, i):
        at, epsilon = f"model.layers.{i}.", self.c["rms_norm_eps"]
        x = x + self.attention(self.norm(x, at + "input_layernorm.weight", epsilon), at + "self_attn.")
        normed = self.norm(x, at + "post_attention_layernorm.weight", epsilon)
        routed = at + "mlp.gate.weight" in self.w
        return x + (self.experts if routed else self.network)(normed, at + "mlp.")

    def hidden(self, ids):
        x = self.w["model.embed_tokens.weight"][ids]
        for i in range(self.c["num_hidden_layers"]):
            x = self.block(x, i)
        return self.norm(x, "model.norm.weight", self.c["rms_norm_eps"])

    def expect(self, hidden, targets):
        head = self.w["model.embed_tokens.weight" if self.c.get("tie_word_embeddings") else "lm_head.weight"]
        return F.linear(hidden, head).log_softmax(-1).gather(1, targets[:, None])[:, 0]

    def logprobs(self, ids):
        """Of ids[1:]."""
        return self.expect(self.hidden(ids)[:-1], ids[1:])

    def logprobs_ahead(self, ids, depths):
        """V3's eq. 21-24 for each depth k: of ids[1 + k:], by states that have seen the embeddings up to k tokens on."""
        epsilon, state, out = self.c["rms_norm_eps"], self.hidden(ids), []
        for k in range(1, depths + 1):
            at = f"model.layers.{self.c['num_hidden_layers'] + k - 1}."
            token = self.norm(self.w["model.embed_tokens.weight"][ids[k:]], at + "enorm.weight", epsilon)
            before = self.norm(state[: len(ids) - k], at + "hnorm.weight", epsilon)
            x = self.block(self.linear(torch.cat([token, before], -1), at + "eh_proj"), self.c["num_hidden_layers"] + k - 1)
            state = self.norm(x, at + "shared_head.norm.weight", epsilon)
            out.append(self.expect(state[:-1], ids[1 + k :]))
        return out
