-- chain.lua: CALC, the reasoning task: a left-to-right chain of operations modulo 10.
--   prompt   CALC 6 a * 1 b * 3 c + 3 ?
--   thinking a 6 * 1 = 6 ; b 6 * 3 = 8 ; c 8 + 3 = 1
-- The labels make "which operation comes next" a plain look-up, so that a tiny model can learn to work step by step.
local splits = require "tiny.splits"
local vocabulary = require "tiny.vocabulary"
local chain = {}

local digits, han, operators, labels = vocabulary.digits, vocabulary.han, vocabulary.operators, vocabulary.labels

function chain.apply(x, operator, y)
  if operator == "+" then return (x + y) % 10 end
  if operator == "-" then return (x - y) % 10 end
  return (x * y) % 10
end

-- Any problem with `least` to `most` operations.
function chain.any(least, most)
  local problem = { start = math.random(0, 9) }
  for i = 1, math.random(least, most) do
    problem[i] = { operator = operators[math.random(#operators)], y = math.random(1, 9) }
  end
  return problem
end

function chain.prompt(problem)
  local words = { "CALC", digits[problem.start] }
  for i, step in ipairs(problem) do
    words[#words + 1] = labels[i]
    words[#words + 1] = step.operator
    words[#words + 1] = digits[step.y]
  end
  words[#words + 1] = "?"
  return table.concat(words, " ")
end

function chain.answer(problem)
  local x = problem.start
  for _, step in ipairs(problem) do x = chain.apply(x, step.operator, step.y) end
  return x
end

-- A problem of one split only.
function chain.draw(split, least, most)
  return splits.draw(split, function() return chain.any(least, most) end, chain.prompt)
end

-- Step-by-step work, and the result that it ends with.
--   error   probability that a step's result is wrong; the wrong result is carried on
--   repair  a wrong result is noticed at once: "= 7 wait 6 * 1 = 6"
--   han     probability that a step is written in the second script
function chain.think(problem, style)
  local words, x = {}, problem.start
  local function put(...)
    for _, word in ipairs { ... } do words[#words + 1] = word end
  end
  for i, step in ipairs(problem) do
    local script = math.random() < (style.han or 0) and han or digits
    local right = chain.apply(x, step.operator, step.y)
    local wrong = math.random() < (style.error or 0)
    local found = wrong and (right + math.random(1, 9)) % 10 or right
    if i > 1 then put(";") end
    put(labels[i], script[x], step.operator, script[step.y], "=", script[found])
    if wrong and style.repair then
      put("wait", script[x], step.operator, script[step.y], "=", script[right])
      found = right
    end
    x = found
  end
  return table.concat(words, " "), x
end

-- The paper's template (table 1): the reasoning, then the answer, each inside its tags.
function chain.tagged(thinking, answer)
  if thinking ~= "" then thinking = thinking .. " " end
  return "<think> " .. thinking .. "</think> <answer> " .. answer .. " </answer>"
end

function chain.response(problem, style)
  local thinking, result = chain.think(problem, style)
  return chain.tagged(thinking, digits[result])
end

-- A row to be answered: what reinforcement learning and evaluation start from.
function chain.row(split, least, most)
  local problem = chain.draw(split, least, most)
  return { prompt = chain.prompt(problem), answer = digits[chain.answer(problem)] }
end

return chain
