-- generators.lua: checks of scripts/tiny/, run in hone's own Lua by recipe_test.cpp (a failed check stops the script with its line).
-- Arithmetic and tasks are done again here, from the text alone.
local hone = require "hone"
local chain = require "tiny.chain"
local cold_start = require "tiny.cold_start"
local corpus = require "tiny.corpus"
local data = require "tiny.data"
local general = require "tiny.general"
local models = require "tiny.models"
local preferences = require "tiny.preferences"
local splits = require "tiny.splits"
local vocabulary = require "tiny.vocabulary"

local value, known = {}, {}
for i = 0, 9 do value[vocabulary.digits[i]], value[vocabulary.han[i]] = i, i end
for _, word in ipairs(vocabulary.words) do
  assert(not known[word], "a word is there twice: " .. word)
  known[word] = true
end
local function every_word_is_known(text)
  for word in text:gmatch("%S+") do assert(known[word], "not in the vocabulary: " .. word) end
  assert(not text:find("  ", 1, true) and not text:find("^ ") and not text:find(" $"), "spaces astray: '" .. text .. "'")
end

local function compute(x, operator, y)
  return ({ ["+"] = x + y, ["-"] = x - y, ["*"] = x * y })[operator] % 10
end
local function answer_of(prompt)
  local x
  for word, rest in prompt:gmatch("CALC (%d)(.*)%?") do
    x = tonumber(word)
    for _, operator, y in rest:gmatch("(%l) ([-+*]) (%d)") do x = compute(x, operator, tonumber(y)) end
  end
  return x
end

-- Right work is right in every step; repaired work ends right; the second script changes nothing but the digits.
for i = 1, 1500 do
  local problem = chain.any(2, 12)
  local prompt = chain.prompt(problem)
  every_word_is_known(prompt)
  assert(answer_of(prompt) == chain.answer(problem), prompt)
  local style = { error = i % 2 == 0 and 0.15 or 0, repair = true, han = i % 3 == 0 and 0.6 or 0 }
  local response = chain.response(problem, style)
  every_word_is_known(response)
  assert(tonumber(response:match("<answer> (%S+) </answer>$")) == answer_of(prompt), response)
  if i % 2 == 1 then
    local steps = 0
    for x, operator, y, z in response:gmatch("%l (%S+) ([-+*]) (%S+) = (%S+)") do
      assert(compute(value[x], operator, value[y]) == value[z], response)
      steps = steps + 1
    end
    assert(steps == #problem, response)
  end
end

-- Errors happen as often as asked, and are carried on when not repaired.
do
  local wrong, steps = 0, 0
  for _ = 1, 800 do
    local problem = chain.any(2, 7)
    local thinking = chain.think(problem, { error = 0.15 })
    for x, operator, y, z in thinking:gmatch("%l (%S+) ([-+*]) (%S+) = (%S+)") do
      wrong = wrong + (compute(value[x], operator, value[y]) ~= value[z] and 1 or 0)
      steps = steps + 1
    end
  end
  assert(math.abs(wrong / steps - 0.15) < 0.03, "errors: " .. wrong / steps)
end

-- General tasks, solved again.
for _ = 1, 800 do
  local row = general.row("test")
  local task, rest = row.prompt:match("^(%u+) (.*) %?$")
  local what, list = rest:match("^(%d) ; (.*)$")
  list = list or rest
  local digits, expected = {}, {}
  for digit in list:gmatch("%d") do digits[#digits + 1] = digit end
  if task == "SORT" then
    for d = 0, 9 do
      for _, digit in ipairs(digits) do if tonumber(digit) == d then expected[#expected + 1] = digit end end
    end
  elseif task == "REV" then
    for _, digit in ipairs(digits) do table.insert(expected, 1, digit) end
  elseif task == "MAX" then
    local most = "0"
    for _, digit in ipairs(digits) do if digit > most then most = digit end end
    expected = { most }
  else
    local count = 0
    for _, digit in ipairs(digits) do if digit == what then count = count + 1 end end
    expected = { tostring(count) }
  end
  assert(row.answer == table.concat(expected, " "), row.prompt .. " -> " .. row.answer)
end

-- Nothing that trains is held out, and the splits have their sizes.
local counts = { train = 0, validation = 0, test = 0 }
for _ = 1, 4000 do
  local split = splits.of(chain.prompt(chain.any(2, 7)))
  counts[split] = counts[split] + 1
end
assert(counts.validation > 120 and counts.validation < 280 and counts.test > 120 and counts.test < 280, "sizes of the splits")
local longest = 0
for _ = 1, 4000 do
  local document = corpus.document()
  every_word_is_known(document.prompt .. " " .. document.response)
  local tokens = select(2, (document.prompt .. " " .. document.response):gsub("%S+", "")) + 2
  longest = math.max(longest, tokens)
  if document.prompt:find("?", 1, true) then assert(splits.of(document.prompt) == "train", document.prompt) end
end
assert(longest < 256, "a document is longer than the models' positions: " .. longest)
for _ = 1, 300 do
  assert(splits.of(cold_start.document().prompt) == "train")
  assert(splits.of(preferences.pair().prompt) == "train")
  assert(splits.of(chain.row("test", 8, 12).prompt) == "test")
  assert(splits.of(general.row("validation").prompt) == "validation")
end

-- The rewards: right and polite, right and rude, wrong, and what is no answer at all.
local function row(response) return { response = response, answer = "1 2 3" } end
local cases = {
  { "<think> 3 </think> <answer> gladly 1 2 3 </answer>", 1, 1, 1 },
  { "<think> 3 </think> <answer> 1 2 3 </answer>", 1, 0, 0.6 },
  { "<think> 3 </think> <answer> gladly 3 2 1 </answer>", 0, 0, 0.4 },
  { "<answer> gladly gladly 1 2 3 </answer>", 0, 0, 0 },
  { "<answer> 1 2 3 </answer> <answer> 1 2 3 </answer>", 0, 0, 0 },
  { "1 2 3", 0, 0, 0 },
  { "", 0, 0, 0 },
}
for _, case in ipairs(cases) do
  assert(general.correct(row(case[1])) == case[2], "correct: " .. case[1])
  assert(general.help(row(case[1])) == case[3], "help: " .. case[1])
  assert(math.abs(general.judge(row(case[1])) - case[4]) < 1e-9, "judge: " .. case[1] .. " " .. general.judge(row(case[1])))
end
for _ = 1, 300 do
  local pair = preferences.pair()
  assert(pair.chosen ~= pair.rejected, pair.prompt)
end

-- A script has to return a pipeline.
return hone.pipeline { hone.stage "sft" {
  model = models.moe(1), data = data.corpus(16), steps = 1, batch_size = 4, optimizer = hone.optimizer "adamw" {},
} }
