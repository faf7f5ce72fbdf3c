-- first.lua: the smallest useful pipeline: reinforce whatever a reward likes. Try it: hone plan first.lua --set model=DIRECTORY
local hone = require "hone"

local o = hone.options {
  model = { "base", "a model directory (config.json, model.safetensors, tokenizer.json)" },
  steps = { 20, "optimizer steps" },
}

local short = function(row) return -#row.response / 100 end  -- any Lua function of a response is a reward

local rl = hone.stage "grpo" {                               -- or "rloo": nothing else changes
  model = hone.model(o.model), prompts = "prompts.jsonl", optimizer = hone.optimizer "adamw" { learning_rate = 1e-5 },
  rewards = { hone.reward "math" {}, short }, num_generations = 8, steps = o.steps,
}
return hone.pipeline { rl, seed = 1 }
