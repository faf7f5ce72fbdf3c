// lora_gradients_test.cpp -- log-probs and gradients of an adapter against the models' second writing in double, in
// which W + scaling B A stands for W; slopes by finite differences in A, B and the value head.
#include <gtest/gtest.h>

#include "tests/plugins/models/double_model.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

constexpr double kAuxiliary = 0.25;

struct Problem {
  std::shared_ptr<const Weights> base;
  std::unique_ptr<Weights> weights;
  std::map<std::string, Vector> adapter;  // what trains, in double
  Rows rows = random_rows({9, 1, 14, 5}, 37, 3);
  std::vector<int32_t> target = random_rows({29}, 37, 4).ids;
  std::vector<float> a = random_floats(29, 5), c = random_floats(29, 7);

  Problem(const char *plugin, const nlohmann::json &config, bool rslora) {
    base = random_weights(architecture(plugin, config), 7);
    LoraSettings lora;
    lora.rank = 3, lora.alpha = 4, lora.rslora = rslora, lora.target_modules = {"all-linear"};
    weights = Weights::adapted(base, lora, lora_targets(base->architecture(), lora, "test"), 1, true);
    const std::vector<float> noise = random_floats(weights->total_size(), 17);
    for (uint64_t i = 0; i < weights->total_size(); ++i) weights->data()[i] += 0.2f * noise[i];
    weights->changed();
    weights->prepare(pool());
    for (const ParameterInfo &parameter : weights->parameters())
      if (parameter.trained)
        adapter[parameter.name] = {weights->data() + parameter.offset,
                                   weights->data() + parameter.offset + parameter.size};
  }

  DoubleModel model() const {
    DoubleModel made;
    made.config = base->architecture().config();
    const double scaling = weights->lora().rslora ? 4 / std::sqrt(3.0) : 4 / 3.0;
    for (uint32_t i = 0; i < base->parameters().size(); ++i) {
      const ParameterInfo &parameter = base->parameters()[i];
      Vector &values = made.parameters[parameter.name];
      values.assign(base->parameter(i), base->parameter(i) + parameter.size);
      const std::string stem = parameter.name.substr(0, parameter.name.rfind('.'));
      const auto found = adapter.find(stem + ".lora_A.weight");
      if (found == adapter.end() || !parameter.name.ends_with(".weight")) continue;
      const Vector &A = found->second, &B = adapter.at(stem + ".lora_B.weight");
      const size_t K = parameter.dims.back(), N = parameter.dims[parameter.dims.size() - 2];
      for (size_t at = 0; at < values.size(); ++at) {
        const size_t e = at / (N * K), n = at / K % N, k = at % K;
        for (size_t r = 0; r < 3; ++r) values[at] += scaling * B[(e * N + n) * 3 + r] * A[(e * 3 + r) * K + k];
      }
    }
    made.parameters["score.weight"] = adapter.at("score.weight");
    return made;
  }

  double loss(std::vector<double> *logp_of = nullptr) const {
    const DoubleModel double_model = model();
    double total = 0, auxiliary = 0;
    for (uint32_t r = 0; r < rows.rows(); ++r) {
      const Matrix hidden = double_model.hidden(rows.row(r), &auxiliary), logits = double_model.logits(hidden);
      for (size_t t = 0; t < hidden.size(); ++t) {
        const size_t i = rows.row_start[r] + t;
        const double most = *std::max_element(logits[t].begin(), logits[t].end());
        double sum = 0;
        for (const double x : logits[t]) sum += std::exp(x - most);
        const double logp = logits[t][target[i]] - most - std::log(sum);
        if (logp_of) logp_of->push_back(logp);
        total += a[i] * logp + c[i] * double_model.value(hidden[t]);
      }
    }
    return total + kAuxiliary * auxiliary;
  }
};

void check(const char *plugin, const nlohmann::json &config, bool rslora = false, bool checkpointing = false) {
  Problem problem(plugin, config, rslora);
  const hone_stream stream = Pool::serial_stream();
  Tape tape(kernels(), stream);
  Head head(kernels(), stream);
  const uint32_t T = problem.rows.tokens();
  const uint64_t before = problem.base->checksum();
  const float *hidden = tape.forward(*problem.weights, problem.rows.packed(), true, checkpointing);
  HeadRecord record(kernels());
  std::vector<float> logp(T), value(T), d_hidden(T * 24), gradient(problem.weights->trained_size());
  head.forward(*problem.weights, T, hidden, problem.target.data(), 1, {logp.data(), nullptr, value.data(), nullptr}, &record);
  std::vector<double> expected;
  problem.loss(&expected);
  for (uint32_t t = 0; t < T; ++t) EXPECT_NEAR(logp[t], expected[t], 2e-5) << "token " << t;
  head.backward(*problem.weights, T, hidden, problem.target.data(), 1, record, problem.a.data(), nullptr, problem.c.data(),
                nullptr, d_hidden.data(), gradient.data());
  tape.backward(d_hidden.data(), gradient.data(), kAuxiliary);
  EXPECT_EQ(problem.base->checksum(), before);

  std::mt19937 random(11);
  std::normal_distribution<double> normal;
  const double step = 1e-5;
  for (const ParameterInfo &parameter : problem.weights->parameters()) {
    if (!parameter.trained) continue;
    Vector &values = problem.adapter.at(parameter.name);
    const Vector kept = values;
    const float *analytic = gradient.data() + parameter.offset;
    const auto difference = [&](const auto &move) {
      move(step);
      const double above = problem.loss();
      values = kept;
      move(-step);
      const double below = problem.loss();
      values = kept;
      return (above - below) / (2 * step);
    };
    Vector direction(parameter.size);  // in which every entry counts
    double slope = 0, scale = 0, largest = 0;
    for (uint64_t i = 0; i < parameter.size; ++i) {
      direction[i] = normal(random);
      slope += direction[i] * analytic[i];
      scale += std::abs(direction[i] * analytic[i]);
      largest = std::max(largest, std::abs(static_cast<double>(analytic[i])));
    }
    EXPECT_GT(largest, 1e-4) << parameter.name << " has no gradient";
    const double numeric = difference([&](double by) {
      for (uint64_t i = 0; i < parameter.size; ++i) values[i] += by * direction[i];
    });
    EXPECT_NEAR(slope, numeric, 2e-5 * scale + 1e-6) << parameter.name;
    for (int trial = 0; trial < 2; ++trial) {
      const uint64_t i = random() % parameter.size;
      EXPECT_NEAR(analytic[i], difference([&](double by) { values[i] += by; }), 1e-4 * largest + 1e-6)
          << parameter.name << " entry " << i;
    }
  }
}

TEST(LoraGradients, MatchDoubleForADenseModel) { check("llama", llama_config()); }
TEST(LoraGradients, MatchDoubleWithRecomputedActivations) { check("llama", llama_config(), false, true); }
TEST(LoraGradients, MatchDoubleWithBiasesAndRankStabilisedScaling) {
  nlohmann::json config = llama_config();
  config.update({{"attention_bias", true}, {"mlp_bias", true}, {"tie_word_embeddings", true}});
  check("llama", config, true);
}
TEST(LoraGradients, MatchDoubleForExpertsAndLatentAttention) {
  nlohmann::json config = deepseek_config();
  config["q_lora_rank"] = 9;
  check("deepseek_moe", config);
}

}  // namespace
}  // namespace hone::test
