-- data.lua: the embedded default as data and rewards that a pipeline can take, each row made when it is needed.
local hone = require "hone"
local chain = require "tiny.chain"
local cold_start = require "tiny.cold_start"
local corpus = require "tiny.corpus"
local general = require "tiny.general"
local preferences = require "tiny.preferences"
local data = {}

function data.corpus(count) return hone.rows { label = "corpus", count = count, seed = 1, make = corpus.document } end

function data.cold_start(count)
  return hone.rows { label = "cold_start", count = count, seed = 2, make = cold_start.document }
end

-- Chains of 2 to 7 operations: the prompts of reasoning RL, of rejection sampling and of distillation.
function data.reasoning(count, seed)
  local function make() return chain.row("train", 2, 7) end
  return hone.rows { label = "reasoning", count = count, seed = seed, make = make }
end

function data.general(count, seed)
  return hone.rows { label = "general", count = count, seed = seed, make = function() return general.row("train") end }
end

-- Answered general tasks, three in four politely: the part of the second SFT that is not reasoning (section 2.3.3).
function data.general_answers(count)
  return hone.rows { label = "general_answers", count = count, seed = 5, make = function()
    local problem = general.draw("train")
    local answer = general.answer(problem)
    if math.random() < 0.4 then answer = general.politely(answer) end
    return { prompt = general.prompt(problem), response = general.response(problem, answer) }
  end }
end

function data.preferences(count)
  return hone.rows { label = "preferences", count = count, seed = 6, make = preferences.pair }
end

-- Questions held out from all of the above. calc_long: chains longer than any that reinforcement learning sees.
function data.questions(split, count)
  local function held_out(label, seed, make)
    return hone.rows { label = label, count = count, seed = seed, make = make }
  end
  return {
    calc = held_out("calc_" .. split, 7, function() return chain.row(split, 2, 7) end),
    calc_long = held_out("calc_long_" .. split, 8, function() return chain.row(split, 8, 12) end),
    general = held_out("general_" .. split, 9, function() return general.row(split) end),
  }
end

data.accuracy = hone.reward { label = "accuracy", score = general.correct }  -- what eval reports as pass@1
data.help = hone.reward { label = "help", score = general.help }
data.judge = hone.reward { label = "judge", score = general.judge }

return data
