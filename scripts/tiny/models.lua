-- models.lua: the two shapes of the embedded default. The teacher is DeepSeek-V3 in small: latent attention, shared and
-- routed experts, balance by bias. The student is a plain dense model of a quarter of its size.
local hone = require "hone"
local vocabulary = require "tiny.vocabulary"
local models = {}

-- 250 thousand parameters, 175 thousand of them used for a token.
function models.moe(seed)
  return hone.model "deepseek_moe" {
    name = "tiny_moe", seed = seed, words = vocabulary.words, vocab_size = #vocabulary.words,
    hidden_size = 64, num_hidden_layers = 3, num_attention_heads = 4, max_position_embeddings = 256,
    kv_lora_rank = 32, qk_nope_head_dim = 16, qk_rope_head_dim = 16, v_head_dim = 16,
    intermediate_size = 128, moe_intermediate_size = 64, first_k_dense_replace = 0,
    n_shared_experts = 1, n_routed_experts = 4, num_experts_per_tok = 2, n_group = 1, topk_group = 1,
    norm_topk_prob = true, routed_scaling_factor = 1, bias_update_speed = 0.002,
    initializer_range = 0.05,
  }
end

-- 61 thousand parameters.
function models.dense(seed)
  return hone.model "llama" {
    name = "tiny_dense", seed = seed, words = vocabulary.words, vocab_size = #vocabulary.words,
    hidden_size = 48, num_hidden_layers = 2, num_attention_heads = 4, num_key_value_heads = 4, intermediate_size = 128,
    max_position_embeddings = 256, initializer_range = 0.05,
  }
end

-- A checkpoint of one of them, for scripts that ask in their words.
function models.trained(path)
  local model = hone.model(path)
  if model.tokenizer ~= "WordLevel" then
    error("the questions of this script are in the embedded default's words, which " .. path .. " was not made with; " ..
          "for a model of yours there are scripts/r1_zero.lua and scripts/smollm2_r1.lua", 0)
  end
  return model
end

return models
