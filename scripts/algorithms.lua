-- algorithms.lua: every algorithm on the same base, prompts, rewards and number of updates: which learns fastest, and at what price? Each
-- paper says that it beats GRPO; here is one table of all of them, on one small task. Not the same is what they sample: dapo draws more
-- prompts where some teach nothing, remax a greedy response to each besides.
local race = require "tiny.race"
local hone = require "hone"
hone.requires "0.1"

local o = race.options {
  critic_learning_rate = { 1e-3, "of PPO's critic" },
  only = { "", "one algorithm by its name; empty: all" },
}
local critic = hone.optimizer "adamw" { learning_rate = o.critic_learning_rate, weight_decay = 0.05, warmup_steps = 5 }
-- Where a paper changes more than the loss, so does its line here.
local entrants = {
  { stage = "grpo" },
  { stage = "dr_grpo" },
  { stage = "dapo", overlong_cache = 18 },  -- a fifth of the longest response, as in the paper
  { stage = "gspo" },
  { stage = "cispo" },
  { stage = "rloo" },
  { stage = "reinforce_plus_plus" },
  { stage = "reinforce_plus_plus_baseline" },
  { stage = "remax" },
  { stage = "ppo", lam = 1, critic_optimizer = critic },
  { stage = "ppo", label = "ppo_lam_0.95", lam = 0.95, critic_optimizer = critic },
}
local chosen = {}
for _, entrant in ipairs(entrants) do
  if o.only == "" or o.only == entrant.stage then chosen[#chosen + 1] = entrant end
end
if #chosen == 0 then error("only is \"" .. o.only .. "\", which is none of the algorithms here", 0) end
return race.pipeline(o, chosen)
