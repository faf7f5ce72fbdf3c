-- preferences.lua: pairs for the reward model: a helpful answer against a worse one to the same prompt. Only answers are
-- compared, not the thinking: the paper's helpful reward model scores the final summary alone (2501.12948, section 2.3.4).
local general = require "tiny.general"
local preferences = {}

-- Ways in which an answer can be worse than the right and polite one.
local worse = {
  function(problem) return general.answer(problem) end,                            -- right, not polite
  function(problem) return general.politely(general.wrong_answer(problem)) end,    -- polite, not right
  function(problem) return general.wrong_answer(problem) end,                      -- neither
}

function preferences.pair()
  local problem = general.draw("train")
  local prompt = general.prompt(problem)
  local i = math.random(#worse + 1)
  if i > #worse then  -- even without politeness, right is better than wrong
    return { prompt = prompt, chosen = general.answer(problem), rejected = general.wrong_answer(problem) }
  end
  return { prompt = prompt, chosen = general.politely(general.answer(problem)), rejected = worse[i](problem) }
end

return preferences
