-- arithmetic.lua: questions in English for a model that reads, made up so that a run needs no data:
--   Start with 7. Add 5. Multiply by 3. What number do you have now?     36
local splits = require "tiny.splits"
local arithmetic = {}

local operations = {
  { "Add %d.", function(x, y) return x + y end },
  { "Subtract %d.", function(x, y) return x - y end },
  { "Multiply by %d.", function(x, y) return x * y end },
}

function arithmetic.any(least, most)
  local x = math.random(1, 20)
  local words = { ("Start with %d."):format(x) }
  for _ = 1, math.random(least, most) do
    local operation, y = operations[math.random(#operations)], math.random(2, 9)
    words[#words + 1] = operation[1]:format(y)
    x = operation[2](x, y)
  end
  words[#words + 1] = "What number do you have now?"
  return { question = table.concat(words, " "), answer = tostring(x) }
end

-- A question of one split only (splits.lua) with `least` to `most` operations.
function arithmetic.row(split, least, most)
  return splits.draw(split, function() return arithmetic.any(least, most) end, function(row) return row.question end)
end

return arithmetic
