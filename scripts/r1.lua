-- r1.lua: DeepSeek-R1 (Nature 645, 2025; arXiv 2501.12948) from base model to distilled model, in the order of the
-- paper's figure 2. Models and data are tiny (scripts/tiny/); the stages are the paper's.
local hone = require "hone"
local data = require "tiny.data"
local general = require "tiny.general"
local models = require "tiny.models"
local pretrain = require "tiny.base"
hone.requires "0.1"

local o = hone.options {  -- every number worth changing; r1.toml or --set gives other values
  seed = { 1, "of everything random" },
  model = { "", "a checkpoint of the tiny base to start from; empty: pre-train it, once, and keep it" },
  corpus = { 300000, "documents of pre-training" },
  small_corpus = { 60000, "documents of the small model's pre-training" },
  rl_steps = { 40, "optimizer steps of the reasoning RL" },
  rl2_steps = { 30, "optimizer steps of the RL over all scenarios" },
  small_rl_steps = { 60, "optimizer steps of RL on the small model, to compare distillation with" },
  num_generations = { 16, "responses to a prompt in RL" },
  prompts_per_step = { 32, "prompts in one step of RL" },
  rl_learning_rate = { 4e-4, "of the reasoning RL; the second RL takes less" },
  rl2_learning_rate = { 1e-4, "of the RL over all scenarios" },
  cold_start_rows = { 800, "chains of thought of the cold start" },
  rejection_prompts = { 2500, "prompts of the rejection sampling" },
  keep_reward = { 1.25, "least reward of a response to learn from: 1.3 is right, well-formed, in one language" },
  general_rows = { 3000, "general rows of the second SFT" },
  preference_pairs = { 2400, "made-up pairs for the reward model, beside those judged on the model's own answers" },
  preference_prompts = { 800, "prompts whose answers are judged and paired; 0: only made-up pairs" },
  reward_model_steps = { 160, "optimizer steps of the reward model" },
  distill_prompts = { 8000, "reasoning prompts that the teacher answers, and a quarter as many general ones" },
  max_completion_length = { 90, "tokens of a response at most" },
  hacking = { true, "also run the last RL with the reward model alone, to show how it is hacked" },
  split = { "test", "questions of the final table: test, or validation while tuning" },
  questions = { 200, "questions of each kind in the final table" },
  samples = { 4, "responses to each of them" },
}

local function adamw(learning_rate)
  return hone.optimizer "adamw" { learning_rate = learning_rate, weight_decay = 0.05, warmup_steps = 5 }
end

-- The base models know the facts and have seen all ways of answering, most of them bad.
local pretrained = o.model == "" and pretrain("base", models.moe(1), o.corpus) or nil
local base = pretrained and pretrained.model or models.trained(o.model)
local small_pretrained = pretrain("small_base", models.dense(2), o.small_corpus)

-- Rule-based rewards (section 2.2.2): right answers, the format, and, from R1 on, one language (section 2.3.2).
local accuracy = hone.reward "math" { label = "accuracy" }
local format = hone.reward "format" { label = "format", weight = 0.1 }
local language = hone.reward "language" { label = "language", expect = "en", require_thinking = true, weight = 0.2 }
local rules = { accuracy, format, language }
local general_rules = { data.accuracy, format, language }

-- 1. Cold start: a little long-form, readable reasoning (section 2.3.1).
local cold_start = hone.stage "sft" {
  label = "cold_start", model = base, data = data.cold_start(o.cold_start_rows), epochs = 2, batch_size = 32,
  optimizer = adamw(1e-3),
}

-- 2. Reasoning-oriented RL: GRPO on what rules can check (section 2.3.2).
local reasoner = hone.stage "grpo" {  -- or "rloo", a third party's: nothing else changes
  label = "first_rl", model = cold_start.model, rewards = rules,
  prompts = data.reasoning(o.rl_steps * o.prompts_per_step, 11),
  optimizer = adamw(o.rl_learning_rate), steps = o.rl_steps, batch_size = o.prompts_per_step,
  num_generations = o.num_generations, max_completion_length = o.max_completion_length, beta = 0,
  epsilon = 1, epsilon_high = 10,  -- the paper's clip ratio of 10
}

-- 3. Rejection sampling from it: right and unmixed responses are kept (section 2.3.3). keep = function(row) ... could sift
-- further. Then a second SFT, of the base again, on them and on general answers.
local kept = hone.stage "sample" {
  label = "rejection_sampling", model = reasoner.model, prompts = data.reasoning(o.rejection_prompts, 12),
  rewards = rules, mode = "passing", threshold = o.keep_reward, deduplicate = true,
  num_generations = 2, max_completion_length = o.max_completion_length,
}
local tuned = hone.stage "sft" {
  label = "second_sft", model = base, data = { kept.data, data.general_answers(o.general_rows) },
  epochs = 2, batch_size = 32, optimizer = adamw(5e-4),
}

-- 4. A reward model of helpfulness from pairs, as in the paper's supplement: made-up ones, and the model's own answers, the
-- best against the worst to each prompt, as a judge ranks them.
local judged = o.preference_prompts > 0 and hone.stage "sample" {
  label = "judged_pairs", model = tuned.model, prompts = data.general(o.preference_prompts, 13),
  rewards = { data.judge }, mode = "pairs", part = "answer", threshold = 0.3,
  num_generations = 8, max_completion_length = o.max_completion_length,
} or nil
local pairs_to_learn = { data.preferences(o.preference_pairs) }
if judged then pairs_to_learn[2] = judged.data end
local helpful = hone.stage "reward_model" {
  label = "reward_model", model = tuned.model, data = pairs_to_learn,
  steps = o.reward_model_steps, batch_size = 32, optimizer = adamw(1e-3),
}

-- 5. RL over all scenarios (section 2.3.4): rules where they can judge; for the rest the reward model, held by a rule,
-- the format and a KL term.
local function preference(weight)
  return hone.reward "preference" {
    label = "preference", model = helpful.model, part = "answer", squash = "sigmoid", no_answer = 0, weight = weight,
  }
end
local function second_rl(label, general_rewards, beta)
  local count = o.rl2_steps * o.prompts_per_step
  return hone.stage "grpo" {
    label = label, model = tuned.model, beta = beta,
    prompts = { reasoning = data.reasoning(count, 14), general = data.general(count, 15) },
    rewards = { reasoning = rules, general = general_rewards },
    optimizer = adamw(o.rl2_learning_rate), steps = o.rl2_steps, batch_size = o.prompts_per_step,
    num_generations = o.num_generations, max_completion_length = o.max_completion_length,
  }
end
local r1 = second_rl("r1", {
  hone.reward { label = "correct", score = general.correct, weight = 0.6 },
  preference(0.4),
  hone.reward "format" { label = "format", weight = 0.5 },
}, 0.02)
-- With the reward model alone its score rises as well, and the answers get worse: why the paper keeps this part short.
local hacked = o.hacking and second_rl("hacked", { preference(1) }, 0) or nil

-- 6. Distillation: plain SFT of a small dense model on the teacher's responses (section 2.4). RL on the same small model,
-- to compare.
local student = hone.stage "distill" {
  responses = "teacher", label = "distilled", model = small_pretrained.model, teacher = r1.model,
  prompts = { reasoning = data.reasoning(o.distill_prompts, 16), general = data.general(o.distill_prompts // 4, 18) },
  rewards = { reasoning = rules, general = general_rules }, keep_reward = o.keep_reward, num_generations = 1,
  max_completion_length = o.max_completion_length, epochs = 2, batch_size = 32, optimizer = adamw(2e-3),
}
local small_rl = hone.stage "grpo" {
  label = "small_rl", model = small_pretrained.model, rewards = rules,
  prompts = data.reasoning(o.small_rl_steps * o.prompts_per_step, 17),
  optimizer = adamw(o.rl_learning_rate), steps = o.small_rl_steps, batch_size = o.prompts_per_step,
  num_generations = o.num_generations, max_completion_length = o.max_completion_length, beta = 0,
}

-- What each stage did, on questions that nothing above has seen.
local stages, compared = {}, {}
local function add(stage, model)
  if stage then stages[#stages + 1] = stage end
  if model then compared[#compared + 1] = model end
end
add(pretrained, base)
add(cold_start, cold_start.model)
add(reasoner, reasoner.model)
add(kept)
add(tuned, tuned.model)
add(judged)
add(helpful)
add(r1, r1.model)
if hacked then add(hacked, hacked.model) end
add(small_pretrained, small_pretrained.model)
add(small_rl, small_rl.model)
add(student, student.model)

stages.seed = o.seed
stages.report = hone.stage "eval" {
  models = compared, prompts = data.questions(o.split, o.questions), num_generations = o.samples,
  rewards = { calc = { accuracy }, calc_long = { accuracy }, general = { data.accuracy, data.help, preference(1) } },
  max_completion_length = 160, temperature = 1, top_p = 1,
}
return hone.pipeline(stages)
