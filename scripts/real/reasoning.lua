-- reasoning.lua: rows of question and answer as R1-Zero asks them (arXiv 2501.12948, table 1): think first, inside tags,
-- then answer inside tags. A model with a chat template is asked in a conversation, a base model in a plain text that
-- reads like one.
local hone = require "hone"
local arithmetic = require "real.arithmetic"

local tags = "Reason step by step inside <think> and </think>, then give the final answer inside <answer> and </answer>."

return function(model)
  local chat = model.chat_template
  local reasoning = { stop = chat and {} or { "</answer>", "\nUser:" } }

  local function asked(row)
    for _, column in ipairs { "question", "answer" } do
      local value = row[column]
      if (type(value) ~= "string" and type(value) ~= "number") or value == "" then
        error("a row of prompts needs a text \"" .. column .. "\"", 0)
      end
    end
    if chat then
      -- In the user's turn: not every template takes a system message.
      return { messages = { { role = "user", content = row.question .. "\n" .. tags } }, answer = row.answer }
    end
    return { prompt = "The assistant answers the user. " .. tags .. "\nUser: " .. row.question .. "\nAssistant:", answer = row.answer }
  end

  -- Questions to train on and questions held out: of a JSON lines file its first `held_out` rows and the others, else made up.
  function reasoning.prompts(file, count, held_out)
    if file ~= "" then
      return hone.rows { from = file, map = asked, skip = held_out }, hone.rows { from = file, map = asked, take = held_out }
    end
    local function made(label, split, seed, rows)
      return hone.rows { label = label, count = rows, seed = seed, make = function() return asked(arithmetic.row(split, 2, 3)) end }
    end
    return made("arithmetic", "train", 11, count), made("arithmetic_test", "test", 7, held_out)
  end

  return reasoning
end
