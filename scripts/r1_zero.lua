-- r1_zero.lua: DeepSeek-R1-Zero (arXiv 2501.12948, section 2.2): GRPO from the base model with rule-based rewards and
-- nothing else. Accuracy rises, responses grow longer as answering at once gives way to working step by step, and the
-- language mixes.
local hone = require "hone"
local data = require "tiny.data"
local models = require "tiny.models"
local pretrain = require "tiny.base"
hone.requires "0.1"

local o = hone.options {
  seed = { 1, "of everything random" },
  model = { "", "a model directory to start from; empty: pre-train a tiny one, once, and keep it" },
  corpus = { 300000, "documents of pre-training" },
  steps = { 50, "optimizer steps" },
  learning_rate = { 4e-4, "of adamw" },
  num_generations = { 16, "responses to a prompt" },
  prompts_per_step = { 32, "prompts in one step" },
  max_completion_length = { 90, "tokens of a response at most" },
  split = { "test", "questions of the final table: test, or validation while tuning" },
  questions = { 200, "questions of each kind in the final table" },
  samples = { 4, "responses to each of them" },
}

local pretrained = o.model == "" and pretrain("base", models.moe(1), o.corpus) or nil
local base = pretrained and pretrained.model or hone.model(o.model)

local accuracy = hone.reward "math" { label = "accuracy" }
local zero = hone.stage "grpo" {
  -- Each prompt comes three times, so that the report can show one question at the start, in the middle and at the end.
  label = "r1_zero", model = base, prompts = data.reasoning((o.steps * o.prompts_per_step + 2) // 3, 11),
  rewards = { accuracy, hone.reward "format" { label = "format", weight = 0.1 } },
  optimizer = hone.optimizer "adamw" { learning_rate = o.learning_rate, weight_decay = 0.05, warmup_steps = 5 },
  steps = o.steps, batch_size = o.prompts_per_step, num_generations = o.num_generations,
  max_completion_length = o.max_completion_length, temperature = 1, beta = 0,
}

local questions = data.questions(o.split, o.questions)
local stages = {
  seed = o.seed,
  report = hone.stage "eval" {
    models = { base, zero.model }, prompts = questions, num_generations = o.samples,
    max_completion_length = 160, temperature = 1, top_p = 1,
    rewards = { calc = { accuracy }, calc_long = { accuracy }, general = { data.accuracy, data.help } },
  },
}
if pretrained then stages[1] = pretrained end
stages[#stages + 1] = zero
return hone.pipeline(stages)
