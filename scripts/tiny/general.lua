-- general.lua: the tasks that are not reasoning, and what makes an answer to them helpful: right, and polite.
--   SORT 3 1 2 ?     1 2 3        REV 3 1 2 ?      2 1 3
--   MAX 3 1 2 ?      3            CNT 3 ; 3 1 3 ?  2        (how many 3s follow)
local chain = require "tiny.chain"
local splits = require "tiny.splits"
local vocabulary = require "tiny.vocabulary"
local general = {}

local digits, polite = vocabulary.digits, vocabulary.polite
local solve = {}

function solve.SORT(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return sorted
end

function solve.REV(list)
  local reversed = {}
  for i = #list, 1, -1 do reversed[#reversed + 1] = list[i] end
  return reversed
end

function solve.MAX(list) return { math.max(table.unpack(list)) } end

function solve.CNT(list, what)
  local count = 0
  for _, digit in ipairs(list) do count = count + (digit == what and 1 or 0) end
  return { count }
end

local tasks = { "SORT", "REV", "MAX", "CNT" }

function general.any()
  local problem = { task = tasks[math.random(#tasks)], list = {} }
  for i = 1, math.random(3, 6) do problem.list[i] = math.random(0, 9) end
  if problem.task == "CNT" then problem.what = problem.list[math.random(#problem.list)] end
  return problem
end

local function words_of(list)
  local words = {}
  for i, digit in ipairs(list) do words[i] = digits[digit] end
  return table.concat(words, " ")
end

function general.prompt(problem)
  local what = problem.what and digits[problem.what] .. " ; " or ""
  return problem.task .. " " .. what .. words_of(problem.list) .. " ?"
end

function general.answer(problem) return words_of(solve[problem.task](problem.list, problem.what)) end

-- An answer that looks like one and is wrong: one digit of the right one is changed.
function general.wrong_answer(problem)
  local list = solve[problem.task](problem.list, problem.what)
  local place = math.random(#list)
  list[place] = (list[place] + math.random(1, 9)) % 10
  return words_of(list)
end

function general.draw(split) return splits.draw(split, general.any, general.prompt) end

function general.politely(answer) return polite .. " " .. answer end

-- The thinking is only the digits again: these tasks need no more.
function general.response(problem, answer) return chain.tagged(words_of(problem.list), answer) end

function general.row(split)
  local problem = general.draw(split)
  return { prompt = general.prompt(problem), answer = general.answer(problem) }
end

-- What stands inside <answer> ... </answer>; nil without exactly one such pair.
function general.summary(response)
  local inside, rest = response:match("<answer>(.-)</answer>(.*)")
  if not inside or rest:find("<answer>", 1, true) or rest:find("</answer>", 1, true) then return nil end
  return (inside:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- Rewards, as Lua functions of a row { prompt, response, answer }.
-- 1 when the answer is right; one politeness word before it does no harm.
function general.correct(row)
  local summary = general.summary(row.response)
  if not summary then return 0 end
  local bare = summary:gsub("^" .. polite .. "%s+", "")
  return bare == row.answer and 1 or 0
end

-- 1 when the answer is right and polite: what a person would call helpful, and what the reward model has to learn.
function general.help(row)
  return general.summary(row.response) == general.politely(row.answer) and 1 or 0
end

-- The judge that ranks answers for preference pairs (the paper asks DeepSeek-V3): rightness first, then politeness.
function general.judge(row)
  local summary = general.summary(row.response)
  if not summary then return 0 end
  local courteous = summary:sub(1, #polite + 1) == polite .. " " and not summary:find(polite, #polite + 1, true)
  return 0.6 * general.correct(row) + (courteous and 0.4 or 0)
end

return general
