// muon_model_test.cpp -- Muon over whole models: which parameters are matrices, the same bits for any threads and after a
// resume, and a loss that falls.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "core/train/parameter_update.h"
#include "core/train/trainer.h"
#include "tests/plugins/optimizers/muon_reference.h"
#include "tests/support/tiny_model.h"

namespace hone {
namespace {

using reference::Matrix;

struct MuonModelTest : testing::Test {
  Pool one{1};
  Host host{one, 1};
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("hone-muon-" + std::to_string(::getpid()));
  MuonModelTest() { std::filesystem::create_directories(folder); }
  ~MuonModelTest() override { std::filesystem::remove_all(folder); }

  // A mixture of experts with a head of its own and a value head; the same under adapters of rank 3; a llama, its head tied;
  // a mixture so wide that the host cuts it into many calls, and adapters of rank 40 over it.
  std::unique_ptr<Weights> model(const std::string &which) {
    if (which.starts_with("wide")) {
      nlohmann::json config = tiny_architecture(host, "deepseek_moe")->config();
      config.update({{"hidden_size", 120}, {"intermediate_size", 200}, {"moe_intermediate_size", 150}});
      auto wide = Weights::initialised(std::make_shared<const Architecture>(built_component("model", "deepseek_moe"), host, config), 1, true);
      if (which == "wide") return wide;
      const LoraSettings lora = lora_settings({{"rank", 40}}, "here");
      const auto targets = lora_targets(wide->architecture(), lora, "here");
      return Weights::adapted(std::move(wide), lora, targets, 5, true);
    }
    if (which == "moe") return tiny_weights(host, "deepseek_moe", 1, true);
    if (which == "llama") {
      nlohmann::json config = tiny_architecture(host, "llama")->config();
      config["tie_word_embeddings"] = true;
      return Weights::initialised(std::make_shared<const Architecture>(built_component("model", "llama"), host, config), 1);
    }
    std::shared_ptr<const Weights> base = tiny_weights(host, "deepseek_moe", 1, false);
    const LoraSettings lora = lora_settings({{"rank", 3}}, "here");
    return Weights::adapted(base, lora, lora_targets(base->architecture(), lora, "here"), 5, true);
  }
  static constexpr const char *kModels[] = {"moe", "adapters", "llama"};

  static std::vector<float> gradient(const Weights &weights, int step) {
    std::mt19937 random(static_cast<uint32_t>(step));
    std::normal_distribution<float> normal(0, 0.1f);
    std::vector<float> out(weights.trained_size());
    for (float &x : out) x = normal(random);
    return out;
  }
  static void train(ParameterUpdate &update, Pool &pool, Weights &weights, int first, int last) {
    for (int step = first; step <= last; ++step) update.apply(pool, weights, gradient(weights, step).data(), 0.7, 0.5);
  }
  static std::vector<float> copy_of(const Weights &weights) { return {weights.data(), weights.data() + weights.trained_size()}; }
  static bool same_bits(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && !std::memcmp(a.data(), b.data(), a.size() * sizeof(float));
  }
  static std::string bytes(const std::filesystem::path &path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

// What is what is told by names here, which the optimizer does not look at.
TEST_F(MuonModelTest, MatricesAreOrthogonalisedOneByOneAndTheRestIsAdamws) {
  for (const char *which : kModels) {
    const auto weights = model(which);
    const std::vector<float> start = copy_of(*weights);
    const BuiltInstance muon(host, "optimizer", "muon", {{"weight_decay", 0.1}});
    ParameterUpdate update(kernels(), *weights, muon.methods<hone_optimizer>(), muon.self());
    train(update, one, *weights, 1, 3);
    const std::vector<float> gradients[] = {{}, gradient(*weights, 1), gradient(*weights, 2), gradient(*weights, 3)};
    reference::MuonSettings s;
    s.weight_decay = 0.1;
    size_t matrices = 0, others = 0;
    for (const ParameterInfo &parameter : weights->parameters()) {
      if (!parameter.trained) continue;
      const std::string &name = parameter.name;
      const auto has = [&](const char *word) { return name.find(word) != name.npos; };
      const bool decay = parameter.dims.size() > 1 && name != "score.weight";
      const float *const got = weights->data() + parameter.offset, *const from = start.data() + parameter.offset;
      if (parameter.dims.size() == 1 || has("embed_tokens") || has("lm_head") || name == "score.weight") {
        ++others;
        for (uint64_t i = 0; i < parameter.size; ++i) {
          double p = from[i], m = 0, v = 0;
          for (int step = 1; step <= 3; ++step) reference::adamw_update(s, 0.7, step, decay, 0.5 * gradients[step][parameter.offset + i], p, m, v);
          ASSERT_NEAR(got[i], p, 1e-6) << which << ": " << name << " at " << i;
          if (i > 40) break;  // elementwise
        }
        continue;
      }
      const size_t stack = parameter.dims.size() == 3 ? parameter.dims[0] : 1, rows = parameter.dims[parameter.dims.size() - 2], columns = parameter.dims.back();
      for (size_t e = 0; e < stack; ++e, ++matrices) {
        const size_t at = e * rows * columns;
        Matrix p(rows, columns), momentum(rows, columns), g(rows, columns);
        p.x.assign(from + at, from + at + p.x.size());
        for (int step = 1; step <= 3; ++step) {
          for (size_t i = 0; i < g.x.size(); ++i) g.x[i] = 0.5 * gradients[step][parameter.offset + at + i];
          reference::matrix_update(s, 0.7, decay, g, p, momentum);
        }
        for (size_t i = 0; i < p.x.size(); ++i) ASSERT_NEAR(got[at + i], p.x[i], 5e-6) << which << ": " << name << ", matrix " << e << ", element " << i;
      }
    }
    EXPECT_GT(matrices, 10u) << which;
    EXPECT_GE(others, 1u) << which;
  }
}

TEST_F(MuonModelTest, ThreadsChangeNoBit) {
  for (const char *which : {"wide", "wide adapters"}) {
    std::vector<float> wanted;
    std::string state;
    for (const uint32_t threads : {1u, 2u, 5u}) {
      Pool pool(threads);
      const auto weights = model(which);
      const BuiltInstance muon(host, "optimizer", "muon");
      ParameterUpdate update(kernels(), *weights, muon.methods<hone_optimizer>(), muon.self());
      train(update, pool, *weights, 1, 4);
      update.save(folder / "state", *weights);
      if (threads == 1) wanted = copy_of(*weights), state = bytes(folder / "state");
      EXPECT_TRUE(same_bits(copy_of(*weights), wanted)) << which << " on " << threads << " threads";
      EXPECT_TRUE(bytes(folder / "state") == state) << which << ": the state on " << threads << " threads";
    }
  }
}

TEST_F(MuonModelTest, AResumeEndsWithTheSameBits) {
  for (const char *which : kModels) {
    const auto whole = model(which), halves = model(which);
    const BuiltInstance muon(host, "optimizer", "muon");
    const auto methods = muon.methods<hone_optimizer>();
    ParameterUpdate straight(kernels(), *whole, methods, muon.self()), before(kernels(), *halves, methods, muon.self());
    train(straight, one, *whole, 1, 5);
    train(before, one, *halves, 1, 2);
    before.save(folder / "state", *halves);
    const BuiltInstance another(host, "optimizer", "muon");
    ParameterUpdate after(kernels(), *halves, methods, another.self());
    after.load(folder / "state", *halves);
    train(after, one, *halves, 3, 5);
    EXPECT_TRUE(same_bits(copy_of(*whole), copy_of(*halves))) << which;
  }
}

// Runs of numbers that count up, learnt by sft.
TEST_F(MuonModelTest, LearnsWhatAModelCanLearn) {
  for (const char *scale : {"original", "match_rms_adamw"}) {
    const auto weights = model("moe");
    const BuiltInstance sft(host, "stage", "sft"),
        muon(host, "optimizer", "muon", {{"scale", scale}, {"learning_rate", 0.02}, {"adamw_learning_rate", 3e-3}});
    Trainer trainer(kernels(), one, *weights, sft.methods<hone_objective>(), sft.self(), muon.methods<hone_optimizer>(), muon.self(), {});
    std::vector<TrainRow> rows(24);
    for (uint32_t i = 0; i < rows.size(); ++i) {
      for (uint32_t t = 0; t < 16; ++t) rows[i].ids.push_back(static_cast<int32_t>((3 * i + t) % tiny_vocabulary));
      rows[i].begin = rows[i].response_begin = 1;
    }
    const double first = trainer.step(rows, 1).loss;
    double last = first;
    for (uint64_t step = 2; step <= 40; ++step) last = trainer.step(rows, step).loss;
    EXPECT_LT(last, 0.2 * first) << scale << ": from " << first << " to " << last;
  }
}

}  // namespace
}  // namespace hone
