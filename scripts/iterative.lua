-- iterative.lua: should the model that KL compares with stay where it began? DeepSeekMath (arXiv 2402.03300, section 4.1.4, algorithm 1) makes
-- the policy its own reference again in each iteration, and DeepSeek-R1-Zero replaces it every 400 steps (arXiv 2501.12948), so that the
-- penalty keeps steps short without tying the policy to its beginning. The same penalty with a reference that stays, one that is
-- refreshed, and none at all.
local race = require "tiny.race"
local hone = require "hone"
hone.requires "0.1"

local o = race.options {
  beta = { 0.3, "weight of the KL to the reference" },
  sync_steps = { 10, "steps after which the policy becomes its own reference" },
}
return race.pipeline(o, {
  { stage = "grpo", label = "reference_stays", beta = o.beta },
  { stage = "grpo", label = "reference_refreshed", beta = o.beta, ref_model_sync_steps = o.sync_steps },
  { stage = "grpo", label = "no_reference" },
})
