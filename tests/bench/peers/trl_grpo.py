#!/usr/bin/env python3
"""GRPO steps of TRL on the CPU: trl_grpo.py MODEL PROMPTS.jsonl f32|bf16 THREADS STEPS. 8 prompts x 8 completions of 64 tokens, on policy,
beta 0, in micro-batches of 8 rows, which is what keeps its memory low. One JSON line for each step, the first of which is a warm-up."""
import json
import resource
import sys
import time

import datasets
import torch
import transformers
import trl

model_path, prompts, dtype, threads, steps = sys.argv[1:6]
torch.set_num_threads(int(threads))
rows = [{"prompt": json.loads(line)["prompt"]} for line in open(prompts)]


def letter_e(completions, **_):
    return [text.count("e") / max(1, len(text)) for text in completions]


class Clock(transformers.TrainerCallback):
    def on_step_begin(self, *_, **__):
        self.begin = time.perf_counter()

    def on_step_end(self, *_, **__):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"what": "grpo", "seconds": time.perf_counter() - self.begin, "peak_megabytes": peak}), flush=True)


config = trl.GRPOConfig(
    output_dir="/tmp/trl-grpo", use_cpu=True, bf16=dtype == "bf16", per_device_train_batch_size=8, gradient_accumulation_steps=8,
    num_generations=8, max_completion_length=64, generation_kwargs={"min_new_tokens": 64}, temperature=1.0, beta=0.0, learning_rate=1e-6,
    max_steps=int(steps), num_iterations=1, logging_steps=1, report_to=[], save_strategy="no", gradient_checkpointing=False,
    disable_tqdm=True, optim="adamw_torch", dataloader_pin_memory=False, seed=1)
tokenizer = transformers.AutoTokenizer.from_pretrained(model_path)
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
trainer = trl.GRPOTrainer(model=transformers.AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32), reward_funcs=letter_e,
                          args=config, train_dataset=datasets.Dataset.from_list(rows * int(steps)), processing_class=tokenizer,
                          callbacks=[Clock()])
trainer.train()
