// gradients_test.cpp -- values and gradients of both models against a second writing of them in double.
#include <gtest/gtest.h>

#include "tests/plugins/models/double_model.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

constexpr float kTemperature = 0.8f;
constexpr float kAuxiliary = 0.25f;  // 1 / number of sequences

// loss = sum over tokens of a logp + b entropy + c value + d KL(model || reference), + kAuxiliary * the model's own
// losses
struct Case {
  std::string plugin;
  nlohmann::json config;
  bool kl = true;
};

struct Problem {
  explicit Problem(const Case &it)
      : architecture(test::architecture(it.plugin, it.config)),
        weights(random_weights(architecture, 7, true)),
        reference(random_weights(architecture, 8)) {
    rows = random_rows({9, 1, 14, 5}, architecture->info().vocab_size, 3);
    target = random_rows({rows.tokens()}, architecture->info().vocab_size, 4).ids;
    a = random_floats(rows.tokens(), 5), b = random_floats(rows.tokens(), 6), c = random_floats(rows.tokens(), 7);
    d = it.kl ? random_floats(rows.tokens(), 8) : std::vector<float>(rows.tokens());
    model = in_double(*weights);
    other = in_double(*reference);
    for (uint32_t r = 0; r < rows.rows(); ++r) {
      double ignored = 0;
      reference_logits.push_back(other.logits(other.hidden(rows.row(r), &ignored)));
    }
  }

  DoubleModel in_double(const Weights &from) const {
    DoubleModel made;
    made.config = architecture->config();
    for (uint32_t i = 0; i < from.parameters().size(); ++i) {
      const ParameterInfo &parameter = from.parameters()[i];
      made.parameters[parameter.name].assign(from.parameter(i), from.parameter(i) + parameter.size);
    }
    return made;
  }

  static Vector log_softmax(Vector x) {
    const double most = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (double &v : x) sum += std::exp((v - most) / kTemperature);
    for (double &v : x) v = (v - most) / kTemperature - std::log(sum);
    return x;
  }

  double loss(std::vector<double> *logp_of = nullptr) const {
    double total = 0, auxiliary = 0;
    for (uint32_t r = 0; r < rows.rows(); ++r) {
      const Matrix hidden = model.hidden(rows.row(r), &auxiliary), logits = model.logits(hidden);
      for (size_t t = 0; t < hidden.size(); ++t) {
        const size_t i = rows.row_start[r] + t;
        const Vector logp = log_softmax(logits[t]), from = log_softmax(reference_logits[r][t]);
        double entropy = 0, kl = 0;
        for (size_t v = 0; v < logp.size(); ++v)
          entropy -= std::exp(logp[v]) * logp[v], kl += std::exp(logp[v]) * (logp[v] - from[v]);
        if (logp_of) logp_of->push_back(logp[target[i]]);
        total += a[i] * logp[target[i]] + b[i] * entropy + c[i] * model.value(hidden[t]) + d[i] * kl;
      }
    }
    return total + kAuxiliary * auxiliary;
  }

  std::shared_ptr<const Architecture> architecture;
  std::unique_ptr<Weights> weights, reference;
  Rows rows;
  std::vector<int32_t> target;
  std::vector<float> a, b, c, d;
  DoubleModel model, other;
  std::vector<Matrix> reference_logits;
};

void check_gradients(const Case &it) {
  Problem problem(it);
  const hone_stream stream = Pool::serial_stream();
  Tape tape(kernels(), stream), reference_tape(kernels(), stream);
  Head head(kernels(), stream);
  const uint32_t T = problem.rows.tokens(), C = problem.architecture->info().hidden_size;
  const float *hidden = tape.forward(*problem.weights, problem.rows.packed(), true);
  const float *reference_hidden = reference_tape.forward(*problem.reference, problem.rows.packed(), false);

  HeadRecord record(kernels());
  std::vector<float> logp(T), entropy(T), value(T), kl(T), d_hidden(T * C), gradient(problem.weights->trained_size());
  head.forward(*problem.weights, T, hidden, problem.target.data(), kTemperature,
               {logp.data(), entropy.data(), value.data(), kl.data()}, &record, problem.reference.get(), reference_hidden);
  std::vector<double> expected;
  const double loss = problem.loss(&expected);
  double found = kAuxiliary * tape.auxiliary_loss();
  for (uint32_t t = 0; t < T; ++t) {
    EXPECT_NEAR(logp[t], expected[t], 2e-5) << "token " << t;
    found += problem.a[t] * logp[t] + problem.b[t] * entropy[t] + problem.c[t] * value[t] + problem.d[t] * kl[t];
  }
  EXPECT_NEAR(found, loss, 1e-4);

  head.backward(*problem.weights, T, hidden, problem.target.data(), kTemperature, record, problem.a.data(), problem.b.data(),
                problem.c.data(), it.kl ? problem.d.data() : nullptr, d_hidden.data(), gradient.data(),
                problem.reference.get(), reference_hidden);
  tape.backward(d_hidden.data(), gradient.data(), kAuxiliary);

  std::mt19937 random(11);
  std::normal_distribution<double> normal;
  const double step = 1e-5;
  for (const ParameterInfo &parameter : problem.weights->parameters()) {
    if (parameter.flags & HONE_PARAMETER_BUFFER) continue;
    Vector &values = problem.model.parameters.at(parameter.name);
    const Vector before = values;
    const float *analytic = gradient.data() + parameter.offset;
    double largest = 0;
    for (uint64_t i = 0; i < parameter.size; ++i)
      largest = std::max(largest, std::abs(static_cast<double>(analytic[i])));
    const auto difference = [&](const auto &move) {
      move(step);
      const double above = problem.loss();
      values = before;
      move(-step);
      const double below = problem.loss();
      values = before;
      return (above - below) / (2 * step);
    };
    // Along two random directions, in which every entry counts, and at some entries alone.
    for (int trial = 0; trial < 2; ++trial) {
      Vector direction(parameter.size);
      double slope = 0, scale = 0;
      for (uint64_t i = 0; i < parameter.size; ++i) {
        direction[i] = normal(random);
        slope += direction[i] * analytic[i];
        scale += std::abs(direction[i] * analytic[i]);
      }
      const double numeric = difference([&](double by) {
        for (uint64_t i = 0; i < parameter.size; ++i) values[i] += by * direction[i];
      });
      EXPECT_NEAR(slope, numeric, 2e-5 * scale + 1e-6) << parameter.name;
    }
    for (int trial = 0; trial < 6; ++trial) {
      const uint64_t i = random() % parameter.size;
      const double numeric = difference([&](double by) { values[i] += by; });
      EXPECT_NEAR(analytic[i], numeric, 1e-4 * largest + 1e-6) << parameter.name << " entry " << i;
    }
  }
}

nlohmann::json with(nlohmann::json config, const nlohmann::json &changes) {
  config.update(changes);
  return config;
}

TEST(LlamaGradients, MatchDoubleWithGroupedQueries) { check_gradients({"llama", llama_config()}); }
TEST(LlamaGradients, MatchDoubleWithTiedEmbeddingsAndBiases) {
  check_gradients({"llama", with(llama_config(), {{"tie_word_embeddings", true},
                                                  {"attention_bias", true},
                                                  {"mlp_bias", true},
                                                  {"num_key_value_heads", 4}})});
}
TEST(LlamaGradients, MatchDoubleForQwen2) {
  check_gradients({"llama", with(llama_config(), {{"model_type", "qwen2"}, {"rope_theta", 1e6}}), false});
}
TEST(LlamaGradients, MatchDoubleForQwen3) {
  check_gradients(
      {"llama", with(llama_config(), {{"model_type", "qwen3"}, {"head_dim", 10}, {"num_key_value_heads", 1}}), false});
}
TEST(LlamaGradients, MatchDoubleForQwen3WithExperts) {
  const nlohmann::json experts = {{"model_type", "qwen3_moe"},
                                  {"head_dim", 6},
                                  {"num_experts", 6},
                                  {"num_experts_per_tok", 3},
                                  {"moe_intermediate_size", 10},
                                  {"decoder_sparse_step", 1},
                                  {"mlp_only_layers", {1}},
                                  {"num_hidden_layers", 3}};
  check_gradients({"llama", with(llama_config(), experts)});
  check_gradients({"llama", with(with(llama_config(), experts), {{"norm_topk_prob", true}}), false});
}
TEST(LlamaGradients, MatchDoubleWithLlama3Scaling) {
  const nlohmann::json scaling = {{"rope_type", "llama3"},
                                  {"factor", 4},
                                  {"low_freq_factor", 1},
                                  {"high_freq_factor", 4},
                                  {"original_max_position_embeddings", 32}};
  check_gradients({"llama", with(llama_config(), {{"rope_scaling", scaling}}), false});
}
TEST(LlamaGradients, MatchDoubleWithLinearScaling) {
  check_gradients(
      {"llama", with(llama_config(), {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.5}}}}), false});
}

TEST(DeepseekGradients, MatchDoubleWithGroupsBiasAndSequenceLoss) {
  check_gradients({"deepseek_moe", deepseek_config()});
}
TEST(DeepseekGradients, MatchDoubleWithQueryLatentAndTwoSharedExperts) {
  check_gradients({"deepseek_moe", with(deepseek_config(), {{"q_lora_rank", 9},
                                                            {"n_shared_experts", 2},
                                                            {"attention_bias", true},
                                                            {"n_group", 1},
                                                            {"topk_group", 1}})});
}
TEST(DeepseekGradients, MatchDoubleForTheEmbeddedDefaultsShape) {
  check_gradients({"deepseek_moe", with(deepseek_config(), {{"first_k_dense_replace", 0},
                                                            {"n_routed_experts", 4},
                                                            {"num_experts_per_tok", 2},
                                                            {"n_group", 1},
                                                            {"topk_group", 1},
                                                            {"routed_scaling_factor", 1},
                                                            {"num_hidden_layers", 2}})});
}
TEST(DeepseekGradients, MatchDoubleForV2WithSoftmaxAndNoSharedExperts) {
  check_gradients({"deepseek_moe", with(deepseek_config(), {{"model_type", "deepseek_v2"},
                                                            {"scoring_func", "softmax"},
                                                            {"topk_method", "greedy"},
                                                            {"norm_topk_prob", false},
                                                            {"n_shared_experts", 0},
                                                            {"moe_layer_freq", 2}})});
}
TEST(DeepseekGradients, MatchDoubleForV2WithGroupsJudgedByTheirLargestAndQueryLatent) {
  check_gradients({"deepseek_moe", with(deepseek_config(), {{"model_type", "deepseek_v2"},
                                                            {"scoring_func", "softmax"},
                                                            {"topk_method", "group_limited_greedy"},
                                                            {"norm_topk_prob", false},
                                                            {"q_lora_rank", 9},
                                                            {"mlp_bias", true}})});
}
TEST(DeepseekGradients, MatchDoubleWithOneExpertPerToken) {
  check_gradients(
      {"deepseek_moe",
       with(deepseek_config(), {{"num_experts_per_tok", 1}, {"tie_word_embeddings", true}, {"aux_loss_alpha", 0}}),
       false});
}

}  // namespace
}  // namespace hone::test
