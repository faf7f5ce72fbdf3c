-- distill_vs_rl.lua: is a small model better taught by a reasoner or by its own reinforcement learning? Distilled models
-- win, with far less compute (arXiv 2501.12948, section 4.1). Both start from the same small base.
local hone = require "hone"
local data = require "tiny.data"
local models = require "tiny.models"
local pretrain = require "tiny.base"
hone.requires "0.1"

local o = hone.options {
  seed = { 1, "of everything random" },
  teacher = { "", "a checkpoint of the tiny reasoner, such as r1's last; empty: train one by cold start and RL" },
  corpus = { 300000, "documents of pre-training" },
  small_corpus = { 60000, "documents of the small model's pre-training" },
  teacher_steps = { 40, "optimizer steps of the teacher's RL" },
  small_rl_steps = { 60, "optimizer steps of the small model's RL" },
  distill_prompts = { 8000, "prompts that the teacher answers" },
  keep_reward = { 1.25, "least reward of a response to learn from: 1.3 is right, well-formed, in one language" },
  cold_start_rows = { 800, "chains of thought of the teacher's cold start" },
  num_generations = { 16, "responses to a prompt in RL" },
  prompts_per_step = { 32, "prompts in one step of RL" },
  max_completion_length = { 90, "tokens of a response at most" },
  split = { "test", "questions of the final table: test, or validation while tuning" },
  questions = { 200, "questions of each kind in the final table" },
  samples = { 4, "responses to each of them" },
}

local accuracy = hone.reward "math" { label = "accuracy" }
local rules = {
  accuracy, hone.reward "format" { label = "format", weight = 0.1 },
  hone.reward "language" { label = "language", expect = "en", require_thinking = true, weight = 0.2 },
}
local function adamw(learning_rate)
  return hone.optimizer "adamw" { learning_rate = learning_rate, weight_decay = 0.05, warmup_steps = 5 }
end
local function reinforce(label, model, steps)
  return hone.stage "grpo" {
    label = label, model = model, prompts = data.reasoning(steps * o.prompts_per_step, 11), rewards = rules,
    optimizer = adamw(4e-4), steps = steps,
    batch_size = o.prompts_per_step, num_generations = o.num_generations,
    max_completion_length = o.max_completion_length, beta = 0,
  }
end

local stages = { seed = o.seed }
local function add(stage)
  stages[#stages + 1] = stage
  return stage
end

local teacher
if o.teacher ~= "" then
  teacher = models.trained(o.teacher)
else
  local base = add(pretrain("base", models.moe(1), o.corpus))
  local cold_start = add(hone.stage "sft" {
    label = "cold_start", model = base.model, data = data.cold_start(o.cold_start_rows), epochs = 2, batch_size = 32,
    optimizer = adamw(1e-3),
  })
  teacher = add(reinforce("teacher", cold_start.model, o.teacher_steps)).model
end
local small = add(pretrain("small_base", models.dense(2), o.small_corpus))
-- Right, well-formed and in one language, for general questions too.
local general_rules = { data.accuracy, rules[2], rules[3] }
local by_rl = add(reinforce("small_rl", small.model, o.small_rl_steps))
local distilled = add(hone.stage "distill" {
  responses = "teacher", label = "distilled", model = small.model, teacher = teacher,
  prompts = { reasoning = data.reasoning(o.distill_prompts, 12), general = data.general(o.distill_prompts // 4, 13) },
  rewards = { reasoning = rules, general = general_rules }, keep_reward = o.keep_reward,
  num_generations = 1, max_completion_length = o.max_completion_length,
  epochs = 2, batch_size = 32, optimizer = adamw(2e-3),
})

stages.report = hone.stage "eval" {
  models = { teacher, small.model, by_rl.model, distilled.model }, prompts = data.questions(o.split, o.questions),
  num_generations = o.samples, max_completion_length = 160, temperature = 1, top_p = 1,
  rewards = { calc = { accuracy }, calc_long = { accuracy }, general = { data.accuracy, data.help } },
}
return hone.pipeline(stages)
