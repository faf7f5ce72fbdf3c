-- grpo.lua -- GRPO steps of 8 prompts x 8 completions of 64 tokens, on policy, beta 0: what compare.py times beside TRL.
local hone = require "hone"
local o = hone.options {
  model = { "", "a model directory or GGUF file" },
  prompts = { "", "rows of prompt" },
  steps = { 3, "optimizer steps, the first of which is a warm-up" },
}
local rl = hone.stage "grpo" {
  model = hone.model(o.model), rewards = { hone.reward "letter_e" {} }, optimizer = hone.optimizer "adamw" { learning_rate = 1e-6 },
  prompts = o.prompts, steps = o.steps, batch_size = 8, num_generations = 8, max_completion_length = 64, temperature = 1,
  beta = 0.0, shuffle = false, save_every = 1000000, rollouts_every = 0,
}
return hone.pipeline { rl, seed = 1 }
