-- base.lua: pre-trains a base model on the corpus. The same call gives the same model, made once and kept.
local hone = require "hone"
local data = require "tiny.data"

return function(label, model, documents)
  return hone.stage "sft" {
    label = label, model = model, data = data.corpus(documents), batch_size = 48, prompt_weight = 0.1, cache = true,
    optimizer = hone.optimizer "adamw" {
      learning_rate = 3e-3, weight_decay = 0.05,
      schedule = "cosine", warmup_steps = 50, min_learning_rate_factor = 0.05,
    },
    save_every = 1000,
  }
end
