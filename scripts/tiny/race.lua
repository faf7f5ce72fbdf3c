-- race.lua -- the same base, prompts, rewards and number of updates for several algorithms: what compares them in ppo_vs_grpo.lua,
-- algorithms.lua and iterative.lua. Each step is cut into several updates, since with one every ratio is 1 and nothing is ever clipped.
local hone = require "hone"
local data = require "tiny.data"
local models = require "tiny.models"
local pretrain = require "tiny.base"
local race = {}

-- o: corpus, steps, prompts_per_step, num_generations, max_completion_length, learning_rate, questions, samples, split.
-- entrants: a list of { label =, stage =, learning_rate =, ...settings of that stage }.
function race.pipeline(o, entrants)
  local accuracy = hone.reward "math" { label = "accuracy" }
  local base = pretrain("base", models.moe(1), o.corpus)
  local stages, entered = { seed = o.seed, base }, { base.model }
  for _, entrant in ipairs(entrants) do
    local settings = {
      model = base.model, prompts = data.reasoning(o.steps * o.prompts_per_step, 11),
      rewards = { accuracy, hone.reward "format" { label = "format", weight = 0.1 } },
      steps = o.steps, batch_size = o.prompts_per_step, num_mini_batches = o.num_mini_batches, num_generations = o.num_generations,
      max_completion_length = o.max_completion_length, temperature = 1,
      optimizer = hone.optimizer "adamw" { learning_rate = entrant.learning_rate or o.learning_rate, weight_decay = 0.05, warmup_steps = 5 },
    }
    for name, value in pairs(entrant) do
      if name ~= "stage" and name ~= "learning_rate" then settings[name] = value end
    end
    local stage = hone.stage(entrant.stage)(settings)
    stages[#stages + 1] = stage
    entered[#entered + 1] = stage.model
  end
  stages.report = hone.stage "eval" {
    models = entered, prompts = data.questions(o.split, o.questions), num_generations = o.samples, max_completion_length = 160, temperature = 1, top_p = 1,
    rewards = { calc = { accuracy }, calc_long = { accuracy }, general = { data.accuracy, data.help } },
  }
  return hone.pipeline(stages)
end

function race.options(more)
  local all = {
    seed = { 1, "of everything random" },
    corpus = { 300000, "documents of the base's pre-training" },
    steps = { 30, "steps of each algorithm" },
    num_mini_batches = { 4, "updates with the responses of one step" },
    learning_rate = { 3e-4, "of adamw" },
    num_generations = { 16, "responses to a prompt" },
    prompts_per_step = { 32, "prompts in one step" },
    max_completion_length = { 90, "tokens of a response at most" },
    split = { "test", "questions of the final table: test, or validation while tuning" },
    questions = { 200, "questions of each kind in the final table" },
    samples = { 4, "responses to each of them" },
  }
  for name, option in pairs(more or {}) do all[name] = option end
  return hone.options(all)
end

return race
