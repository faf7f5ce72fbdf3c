-- cold_start.lua: the few long, readable chains of thought that R1 is started with (2501.12948, section 2.3.1): careful
-- work that corrects itself. Only short chains, some of them still in mixed script: the rest is left to RL.
local chain = require "tiny.chain"
local cold_start = {}

function cold_start.document()
  local problem = chain.draw("train", 2, 4)
  local han = math.random() < 0.15 and 0.6 or 0
  local response = chain.response(problem, { error = 0.15, repair = true, han = han })
  return { prompt = chain.prompt(problem), response = response }
end

return cold_start
