-- ppo_vs_grpo.lua: is a critic worth its price? DeepSeek-R1 (arXiv 2501.12948, its supplement "A comparison of GRPO and PPO") reports that PPO
-- with the usual lam of 0.95 stays well below GRPO, that PPO with lam = 1 comes near it, and that it takes another model of the
-- policy's size. Same base, prompts, rewards and number of updates here.
local race = require "tiny.race"
local hone = require "hone"
hone.requires "0.1"

local o = race.options {
  critic_learning_rate = { 1e-3, "of the critic's adamw" },
  value_pretraining_steps = { 0, "first steps of PPO in which the critic alone learns" },
}
local function ppo(label, lam)
  return {
    stage = "ppo", label = label, lam = lam, value_pretraining_steps = o.value_pretraining_steps,
    critic_optimizer = hone.optimizer "adamw" { learning_rate = o.critic_learning_rate, weight_decay = 0.05, warmup_steps = 5 },
  }
end
return race.pipeline(o, { { stage = "grpo", label = "grpo" }, ppo("ppo_lam_0.95", 0.95), ppo("ppo_lam_1", 1) })
