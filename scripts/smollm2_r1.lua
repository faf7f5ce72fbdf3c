-- smollm2_r1.lua: DeepSeek-R1's first stages (arXiv 2501.12948, section 2.3) on GSM8K (arXiv 2110.14168) from
-- SmolLM2-135M-Instruct: a cold start on written-out solutions, GRPO with rules, rejection sampling, and a second
-- fine-tuning of the first model on what was kept.
--   hone run scripts/smollm2_r1.lua --set model=$(bash scripts/smollm2.sh) --set data=FOLDER_OF_GSM8K
local hone = require "hone"
hone.requires "0.1"

local o = hone.options {
  seed = { 1, "of everything random" },
  model = { "", "a model with a chat template: what scripts/smollm2.sh prints" },
  data = { "", "the folder that holds GSM8K's train.jsonl and test.jsonl, rows of question and answer" },
  cold_start_rows = { 320, "solutions of the cold start" },
  steps = { 14, "steps of GRPO" },
  prompts_per_step = { 6, "prompts in one step" },
  num_generations = { 8, "responses to a prompt" },
  max_completion_length = { 144, "tokens of a response at most" },
  learning_rate = { 1e-5, "of adamw in GRPO" },
  second_sft = { true, "also fine-tune the first model on what rejection sampling kept, beside the cold start's solutions" },
  rejection_prompts = { 100, "questions that rejection sampling answers, four times each" },
  questions = { 300, "of the test split, asked of every model" },
  samples = { 4, "responses to each of them" },
}
for _, needed in ipairs { "model", "data" } do
  if o[needed] == "" then error("give --set " .. needed .. "=..., see the first lines of scripts/smollm2_r1.lua", 0) end
end

-- GSM8K's answers are a rationale with calculator marks, <<6*7=42>>, and a last line "#### 42".
local function solution(answer)
  local thought, result = answer:match "^(.*)\n####%s*(.-)%s*$"
  return "<think>" .. thought:gsub("<<[^>]*>>", "") .. "</think><answer>" .. result .. "</answer>"
end
local function asked(question)
  return {
    { role = "system", content = "Think inside <think></think>, then give the number inside <answer></answer>." },
    { role = "user", content = question },
  }
end
local function ask(row) return { messages = asked(row.question), answer = row.answer } end
local function show(row)
  local messages = asked(row.question)
  messages[3] = { role = "assistant", content = solution(row.answer) }
  return { messages = messages }
end
local train = o.data .. "/train.jsonl"
local function adamw(learning_rate) return hone.optimizer "adamw" { learning_rate = learning_rate, warmup_steps = 3 } end

local model = hone.model(o.model)
local accuracy = hone.reward "math" { label = "accuracy" }
local format = hone.reward "format" { label = "format", weight = 0.1 }

local cold_start = hone.stage "sft" {
  label = "cold_start", model = model, data = hone.rows { from = train, map = show, take = o.cold_start_rows },
  epochs = 1, batch_size = 8, optimizer = adamw(2e-5),
}
local rl = hone.stage "grpo" {
  label = "rl", model = cold_start.model, prompts = hone.rows { from = train, map = ask, skip = o.cold_start_rows },
  rewards = { accuracy, format }, optimizer = adamw(o.learning_rate), steps = o.steps, batch_size = o.prompts_per_step,
  num_generations = o.num_generations, max_completion_length = o.max_completion_length, temperature = 1, beta = 0,
}
local kept = hone.stage "sample" {
  label = "rejection_sampling", model = rl.model,
  prompts = hone.rows { from = train, map = ask, skip = o.cold_start_rows, take = o.rejection_prompts },
  rewards = { accuracy, format }, mode = "passing", threshold = 1.05, deduplicate = true,
  num_generations = 4, max_completion_length = o.max_completion_length,
}
local tuned = o.second_sft and hone.stage "sft" {
  label = "second_sft", model = model, data = { kept.data, hone.rows { from = train, map = show, take = o.cold_start_rows } },
  epochs = 1, batch_size = 8, optimizer = adamw(2e-5),
} or nil
return hone.pipeline {
  cold_start, rl, kept, tuned, seed = o.seed,
  report = hone.stage "eval" {
    models = { cold_start.model, rl.model, tuned and tuned.model }, compare = true,
    prompts = hone.rows { from = o.data .. "/test.jsonl", map = ask, take = o.questions }, rewards = { accuracy },
    num_generations = o.samples, max_completion_length = o.max_completion_length, temperature = 1, top_p = 1,
  },
}
