-- splits.lua: which part of the world a prompt belongs to: 90 % train, 5 % validation, 5 % test, by a hash of its text.
-- A prompt is always in the same part, whichever generator or seed makes it: nothing held out is ever trained on.
local splits = {}

-- FNV-1a, 64 bits (Fowler, Noll, Vo), then the finaliser of MurmurHash3 so that the low digits are well mixed.
function splits.hash(text)
  local h = 0xcbf29ce484222325
  for i = 1, #text do h = (h ~ text:byte(i)) * 0x100000001b3 end
  h = (h ~ (h >> 33)) * 0xff51afd7ed558ccd
  h = (h ~ (h >> 33)) * 0xc4ceb9fe1a85ec53
  return h ~ (h >> 33)
end

function splits.of(prompt)
  local part = (splits.hash(prompt) >> 1) % 100
  return part < 90 and "train" or part < 95 and "validation" or "test"
end

-- Draws from `make` until prompt_of(what it made) lies in `split`.
function splits.draw(split, make, prompt_of)
  for _ = 1, 10000 do
    local made = make()
    if splits.of(prompt_of(made)) == split then return made end
  end
  error("no prompt of the split '" .. tostring(split) .. "' in 10,000 draws (splits: train, validation, test)")
end

return splits
