-- smollm2_task.lua: GRPO (arXiv 2402.03300) on one task of reasoning-gym from SmolLM2-135M-Instruct, after a short cold
-- start that only teaches to answer with a number, scored on questions held out before and after. The reward is a rule;
-- conversations are written by the model's own chat template.
--   hone run scripts/smollm2_task.lua --set model=$(bash scripts/smollm2.sh) --set data=FOLDER --set task=gcd
local hone = require "hone"
hone.requires "0.1"

local o = hone.options {
  seed = { 1, "of everything random" },
  model = { "", "a model with a chat template: what scripts/smollm2.sh prints" },
  data = { "", "the folder that holds TASK.train.jsonl, rows of question and answer" },
  task = { "gcd", "a task whose answer is a number: gcd, letter_counting, simple_equations, ..." },
  cold_start_rows = { 160, "answered questions of the cold start, seen once" },
  held_out = { 300, "rows at the file's beginning that are never trained on" },
  questions = { 300, "of those, how many are asked before and after" },
  samples = { 4, "responses to each of them" },
  steps = { 30, "optimizer steps" },
  prompts_per_step = { 8, "prompts in one step" },
  num_generations = { 8, "responses to a prompt" },
  max_completion_length = { 16, "tokens of a response at most" },
  learning_rate = { 5e-6, "of adamw" },
  beta = { 0.0, "weight of the distance from the model at the start" },
}
for _, needed in ipairs { "model", "data" } do
  if o[needed] == "" then error("give --set " .. needed .. "=..., see the first lines of scripts/smollm2_task.lua", 0) end
end

local file = o.data .. "/" .. o.task .. ".train.jsonl"
-- Without a system message of its own the template writes a longer one.
local function asked(question)
  return { { role = "system", content = "Answer with a number." }, { role = "user", content = question } }
end
local function ask(row) return { messages = asked(row.question), answer = row.answer } end
local function show(row)
  local messages = asked(row.question)
  messages[3] = { role = "assistant", content = row.answer }
  return { messages = messages }
end
local function adamw(learning_rate) return hone.optimizer "adamw" { learning_rate = learning_rate, warmup_steps = 3 } end

local cold_start = hone.stage "sft" {
  label = "cold_start", model = hone.model(o.model),
  data = hone.rows { from = file, map = show, skip = o.held_out, take = o.cold_start_rows },
  epochs = 1, batch_size = 16, optimizer = adamw(1e-5),
}
local accuracy = hone.reward "math" { label = "accuracy" }
local rl = hone.stage "grpo" {
  label = o.task, model = cold_start.model, rewards = { accuracy }, optimizer = adamw(o.learning_rate),
  prompts = hone.rows { from = file, map = ask, skip = o.held_out + o.cold_start_rows },
  steps = o.steps, batch_size = o.prompts_per_step, num_generations = o.num_generations,
  max_completion_length = o.max_completion_length, temperature = 1, beta = o.beta,
}
return hone.pipeline {
  cold_start, rl, seed = o.seed,
  report = hone.stage "eval" {
    models = { cold_start.model, rl.model }, compare = true,
    prompts = hone.rows { from = file, map = ask, take = math.min(o.questions, o.held_out) }, rewards = { accuracy },
    num_generations = o.samples, max_completion_length = o.max_completion_length, temperature = 1, top_p = 1,
  },
}
