-- r1_zero.lua: DeepSeek-R1-Zero (arXiv 2501.12948, section 2.2): GRPO from the base model with rule-based rewards and
-- nothing else. On the embedded default accuracy rises, responses grow longer as answering at once gives way to working
-- step by step, and the language mixes. With a model of yours, from a directory or a GGUF file:
--   hone run scripts/r1_zero.lua --set model=MODEL [--set prompts=ROWS.jsonl]
local hone = require "hone"
local data = require "tiny.data"
local models = require "tiny.models"
local pretrain = require "tiny.base"
local reasoning_for = require "real.reasoning"
hone.requires "0.1"

local o = hone.options {
  seed = { 1, "of everything random" },
  model = { "", "a model directory or GGUF file to start from; empty: pre-train a tiny one, once, and keep it" },
  prompts = { "", "JSON lines of question and answer for a model of yours; empty: made-up arithmetic" },
  corpus = { 300000, "documents of pre-training" },
  steps = { 50, "optimizer steps" },
  learning_rate = { 0.0, "of adamw; 0: 4e-4 for the embedded model, 3e-6 for one of yours" },
  num_generations = { 0, "responses to a prompt; 0: 16 for the embedded model, 8 for one of yours" },
  prompts_per_step = { 0, "prompts in one step; 0: 32 for the embedded model, 8 for one of yours" },
  max_completion_length = { 0, "tokens of a response at most; 0: 90 for the embedded model, 256 for one of yours" },
  split = { "test", "questions of the embedded model's final table: test, or validation while tuning" },
  questions = { 200, "questions of each kind in the final table; the first of `prompts`, which are not trained on" },
  samples = { 4, "responses to each of them" },
  opened = { false, "whether the model's chat template opens <think> itself, as those of R1's distilled models do" },
}

local model = o.model ~= "" and hone.model(o.model) or nil
local real = model and model.tokenizer ~= "WordLevel"  -- the embedded default's is a list of its words
if o.prompts ~= "" and not real then
  error("prompts are for a model that reads; the embedded default knows only the words of its own questions", 0)
end
local function by_model(name, embedded, yours)
  if o[name] < 0 then error(name .. " is " .. o[name] .. "; it must be above 0, or 0 for what suits the model", 0) end
  return o[name] > 0 and o[name] or real and yours or embedded
end
local prompts_per_step = by_model("prompts_per_step", 32, 8)
local max_completion_length = by_model("max_completion_length", 90, 256)

local pretrained = not model and pretrain("base", models.moe(1), o.corpus) or nil
local base = pretrained and pretrained.model or model

local accuracy = hone.reward "math" { label = "accuracy" }
local prompts, evaluation
if real then
  local reasoning = reasoning_for(model)
  local held_out
  prompts, held_out = reasoning.prompts(o.prompts, o.steps * prompts_per_step, o.questions)
  evaluation = { prompts = held_out, rewards = { accuracy }, max_completion_length = max_completion_length, stop = reasoning.stop, compare = true }
else
  -- Each prompt comes three times, so that the report can show one question at the start, in the middle and at the end.
  prompts = data.reasoning((o.steps * prompts_per_step + 2) // 3, 11)
  evaluation = {
    prompts = data.questions(o.split, o.questions), max_completion_length = 160,
    rewards = { calc = { accuracy }, calc_long = { accuracy }, general = { data.accuracy, data.help } },
  }
end

local zero = hone.stage "grpo" {
  label = "r1_zero", model = base, prompts = prompts, stop = evaluation.stop,
  rewards = { accuracy, hone.reward "format" { label = "format", weight = 0.1, opened = o.opened } },
  optimizer = hone.optimizer "adamw" {
    learning_rate = by_model("learning_rate", 4e-4, 3e-6), weight_decay = 0.05, warmup_steps = 5,
  },
  steps = o.steps, batch_size = prompts_per_step, num_generations = by_model("num_generations", 16, 8),
  max_completion_length = max_completion_length, temperature = 1, beta = 0,
}

evaluation.models = { base, zero.model }
evaluation.num_generations, evaluation.temperature, evaluation.top_p, evaluation.opened = o.samples, 1, 1, o.opened
local stages = { seed = o.seed, report = hone.stage "eval" (evaluation) }
if pretrained then stages[1] = pretrained end
stages[#stages + 1] = zero
return hone.pipeline(stages)
