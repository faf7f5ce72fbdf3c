-- corpus.lua: the documents that the base model is pre-trained on. Most chains are answered at once (and seldom right);
-- a few are worked out step by step. So the base can reason but rarely does: what R1-Zero starts from (2501.12948,
-- section 2.2).
local chain = require "tiny.chain"
local general = require "tiny.general"
local vocabulary = require "tiny.vocabulary"
local corpus = {}

local digits, han = vocabulary.digits, vocabulary.han

-- The table of single operations, "7 * 4 =" -> "8"; three in ten are written in the second script.
function corpus.fact()
  local x, y, operator = math.random(0, 9), math.random(0, 9), vocabulary.operators[math.random(3)]
  local script = math.random() < 0.3 and han or digits
  local prompt = script[x] .. " " .. operator .. " " .. script[y] .. " ="
  return { prompt = prompt, response = script[chain.apply(x, operator, y)] }
end

local function guess(problem, random_share)
  return digits[math.random() < random_share and math.random(0, 9) or chain.answer(problem)]
end

-- Ways in which the people who wrote the corpus answer a chain, each with its share.
local ways = {
  { 0.36, function(problem) return guess(problem, 0.2) end },
  { 0.28, function(problem) return chain.tagged("", guess(problem, 0.2)) end },
  { 0.04, function(problem)
      local thinking, result = chain.think(problem, { error = 0.15 })
      return thinking .. " ; " .. digits[result]
    end },
  { 0.09, function(problem) return chain.response(problem, { error = 0.15 }) end },
  { 0.10, function(problem) return chain.response(problem, { error = 0.15, repair = true }) end },
  { 0.09, function(problem) return chain.response(problem, { error = 0.02, han = 0.6 }) end },
  { 0.04, function(problem)  -- one of the four tags is lost
      local lost, seen = math.random(4), 0
      local text = chain.response(problem, { error = 0.15 }):gsub("</?[a-z]+> ?", function(tag)
        seen = seen + 1
        return seen == lost and "" or tag
      end)
      return (text:gsub(" $", ""))
    end },
}

local function choose(list)
  local r = math.random()
  for _, entry in ipairs(list) do
    r = r - entry[1]
    if r < 0 then return entry[2] end
  end
  return list[#list][2]
end

-- Chains of up to `most` operations, two in ten of them longer (8 to 12), so that no label or position is new later.
function corpus.chain(most)
  local long = math.random() < 0.2
  local problem = chain.draw("train", long and 8 or 2, long and 12 or most)
  return { prompt = chain.prompt(problem), response = choose(ways)(problem) }
end

-- General tasks: 15 % wrong, three in ten without tags, one in eight polite.
function corpus.general()
  local problem = general.draw("train")
  local answer = math.random() < 0.15 and general.wrong_answer(problem) or general.answer(problem)
  if math.random() < 0.12 then answer = general.politely(answer) end
  local response = math.random() < 0.3 and answer or general.response(problem, answer)
  return { prompt = general.prompt(problem), response = response }
end

-- A chain's operations told again in another order: "4 a * 2 b + 3 ;" -> "b + 3 ; a * 2". Looking a label up is learnt
-- here, as single operations are from facts.
function corpus.lookup()
  local problem = chain.draw("train", 2, 12)
  local listed, order = { digits[problem.start] }, {}
  for i, step in ipairs(problem) do
    listed[#listed + 1] = vocabulary.labels[i] .. " " .. step.operator .. " " .. digits[step.y]
    table.insert(order, math.random(#order + 1), listed[#listed])
  end
  return { prompt = table.concat(listed, " ") .. " ;", response = table.concat(order, " ; ") }
end

function corpus.noise()
  local words = {}
  for i = 1, math.random(4, 12) do words[i] = vocabulary.words[math.random(5, #vocabulary.words)] end
  return { prompt = vocabulary.noise[math.random(#vocabulary.noise)], response = table.concat(words, " ") }
end

local kinds = {
  { 0.32, corpus.fact },
  { 0.08, corpus.lookup },
  { 0.41, function() return corpus.chain(7) end },
  { 0.17, corpus.general },
  { 0.02, corpus.noise },
}

function corpus.document() return choose(kinds)() end

return corpus
