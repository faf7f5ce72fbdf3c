-- failed_attempts.lua: what DeepSeek tried on the way to R1 and gave up (arXiv 2501.12948, section 4.2 of its first version, "Unsuccessful
-- Attempts"): process reward models, for RL ("it inevitably leads to reward hacking") and to choose among N responses ("a good
-- ability to rerank"), and Monte-Carlo tree search, at test time and to teach itself. Beside them plain GRPO, which they kept.
-- All begin with the same cold-started model; the table tells accuracy, and the costs of each stage stand beside it in the report.
local hone = require "hone"
local data = require "tiny.data"
local models = require "tiny.models"
local pretrain = require "tiny.base"
hone.requires "0.1"

local o = hone.options {
  seed = { 1, "of everything random" },
  corpus = { 300000, "documents of the base's pre-training" },
  cold_start_rows = { 800, "chains of thought of the cold start" },
  steps = { 30, "optimizer steps of each RL" },
  prompts_per_step = { 32, "prompts in one step of RL" },
  num_generations = { 16, "responses to a prompt, in RL and in the table" },
  max_completion_length = { 90, "tokens of a response at most" },
  label_prompts = { 400, "prompts whose responses are labelled step by step" },
  num_rollouts = { 8, "completions of each step to label it" },
  search_prompts = { 128, "prompts of a round of tree search" },
  search_rounds = { 3, "rounds of search and learning" },
  simulations = { 40, "of tree search for each question" },
  questions = { 100, "questions of each kind in the tables" },
  split = { "test", "questions of the tables: test, or validation while tuning" },
}
local separators = { ";", "</think>" }  -- a chain's steps: a 7 + 7 = 4 ; b 4 * 1 = 4 </think> <answer> 4 </answer>
local accuracy = hone.reward "math" { label = "accuracy" }
local function adamw(learning_rate) return hone.optimizer "adamw" { learning_rate = learning_rate, weight_decay = 0.05, warmup_steps = 5 } end

local base = pretrain("base", models.moe(1), o.corpus)
local start = hone.stage "sft" {
  label = "cold_start", model = base.model, data = data.cold_start(o.cold_start_rows), epochs = 2, batch_size = 32, optimizer = adamw(1e-3),
}
local function reinforce(label, settings)
  settings.label, settings.model, settings.prompts = label, start.model, data.reasoning(o.steps * o.prompts_per_step, 11)
  settings.steps, settings.batch_size, settings.num_generations = o.steps, o.prompts_per_step, o.num_generations
  settings.max_completion_length, settings.optimizer = o.max_completion_length, adamw(4e-4)
  return hone.stage "grpo" (settings)
end

local grpo = reinforce("grpo", { rewards = { accuracy } })

-- A process reward model from the start's own responses, each step labelled by where its completions end (Math-Shepherd).
local labelled = hone.stage "label_steps" {
  label = "labelled", model = start.model, prompts = data.reasoning(o.label_prompts, 31), rewards = { accuracy }, num_generations = 4,
  num_rollouts = o.num_rollouts, labels = "soft", step_separators = separators, max_completion_length = o.max_completion_length,
}
local judge = hone.stage "prm" { label = "judge", model = start.model, data = labelled.data, epochs = 4, batch_size = 32, optimizer = adamw(1e-3) }
local prm = hone.reward "prm" { label = "prm", model = judge.model, step_separators = separators }
local by_prm = reinforce("grpo_by_prm", { rewards = { prm }, supervision = "process", step_separators = separators })

local function search(label, settings)
  settings.label, settings.model, settings.value_model, settings.rewards = label, start.model, judge.model, { accuracy }
  settings.simulations, settings.step_separators, settings.max_completion_length = o.simulations, separators, 160
  settings.depth = 16  -- long chains have a dozen steps
  return hone.stage "mcts" (settings)
end
local taught = search("mcts_self_training", {
  prompts = data.reasoning(o.search_prompts * o.search_rounds, 32), rounds = o.search_rounds, optimizer = adamw(4e-4), value_optimizer = adamw(1e-3),
  train_steps_per_round = 10,
})
local questions = data.questions(o.split, o.questions)
local asked = { calc = questions.calc, calc_long = questions.calc_long }
local searched = search("mcts_at_test", { mode = "answer", prompts = asked, num_generations = o.num_generations })

return hone.pipeline {
  seed = o.seed, base, start, grpo, labelled, judge, by_prm, taught, searched,
  report = hone.stage "eval" {
    models = { start.model, grpo.model, by_prm.model, taught.model }, prompts = asked, rewards = { accuracy, prm }, select = "prm",
    num_generations = o.num_generations, max_completion_length = 160, temperature = 1, top_p = 1,
  },
}
