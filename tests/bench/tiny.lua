-- tiny.lua -- a model of the shape that scripts/r1.lua trains (a DeepSeek-V3 of 250 thousand parameters), after one step: what compare.py
-- times beside the same model in PyTorch.
local hone = require "hone"
local words = { "<bos>", "<eos>", "<pad>" }
for i = 1, 56 do words[#words + 1] = "w" .. i end
local model = hone.model "deepseek_moe" {
  words = words, hidden_size = 64, num_hidden_layers = 3, num_attention_heads = 4, max_position_embeddings = 256,
  kv_lora_rank = 32, qk_nope_head_dim = 16, qk_rope_head_dim = 16, v_head_dim = 16, intermediate_size = 128, moe_intermediate_size = 64,
  first_k_dense_replace = 0, n_shared_experts = 1, n_routed_experts = 4, num_experts_per_tok = 2, n_group = 1, topk_group = 1,
  norm_topk_prob = true, routed_scaling_factor = 1, initializer_range = 0.05,
}
local rows = hone.rows { count = 4, make = function(i) return { prompt = "w" .. i, response = "w2 w3" } end }
return hone.pipeline {
  hone.stage "sft" { model = model, data = rows, steps = 1, batch_size = 4, optimizer = hone.optimizer "adamw" { learning_rate = 1e-5 } },
}
