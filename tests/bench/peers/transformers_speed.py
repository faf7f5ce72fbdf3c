#!/usr/bin/env python3
"""What model_speed.cpp measures, in transformers and PyTorch: transformers_speed.py MODEL f32|bf16 THREADS WHAT ROUNDS.
One JSON line for each round, the first of which is a warm-up."""
import json
import resource
import sys
import time

import torch
import transformers

model_path, dtype, threads, what, rounds = sys.argv[1:6]
torch.set_num_threads(int(threads))
torch.manual_seed(1)
transformers.logging.set_verbosity_error()
kind = torch.bfloat16 if dtype == "bf16" else torch.float32
# Training keeps f32 weights and computes in bf16, as hone does; what is only run is loaded in the type it runs in.
model = transformers.AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32 if what == "train" else kind)
vocabulary = model.config.vocab_size


def tokens(rows, n):
    return torch.randint(vocabulary // 4, vocabulary * 3 // 4, (rows, n))


def report(n_tokens, seconds):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"what": what, "tokens": n_tokens, "seconds": seconds, "tokens_per_second": n_tokens / seconds, "peak_megabytes": peak}),
          flush=True)


def timed(work, n_tokens):
    for _ in range(int(rounds)):
        begin = time.perf_counter()
        work()
        report(n_tokens, time.perf_counter() - begin)


def generate(ids, n):
    with torch.inference_mode():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                             min_new_tokens=n, max_new_tokens=n, pad_token_id=0)
    assert out.shape[1] == ids.shape[1] + n


if what == "train":
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    model.train()
    length = min(256, model.config.max_position_embeddings - 1)

    def step():
        ids = tokens(8, length + 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            logits = model(ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.float().view(-1, vocabulary), ids[:, 1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    timed(step, 8 * length)
else:
    model.eval()
    if what == "prefill":
        ids = tokens(1, 512)

        def read():
            with torch.inference_mode():
                model(ids, use_cache=True, logits_to_keep=1)

        timed(read, 512)
    elif what == "sample_one":
        ids = tokens(1, 8)
        timed(lambda: generate(ids, 128), 128)
    elif what == "sample":
        ids = tokens(8, 64).repeat_interleave(8, 0)
        timed(lambda: generate(ids, 64), 64 * 64)
    else:
        raise SystemExit(f"WHAT is {what}; it must be sample, sample_one, prefill or train")
