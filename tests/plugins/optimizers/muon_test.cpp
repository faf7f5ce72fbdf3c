// muon_test.cpp -- one matrix at a time: Muon against its formulas in double, and what an orthogonalised update must be.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "core/base/failure.h"
#include "hone/ext/optimizer.h"
#include "tests/plugins/optimizers/made_up_numbers.h"
#include "tests/plugins/optimizers/muon_reference.h"
#include "tests/support/built_component.h"

namespace hone {
namespace {

using nlohmann::json;
using reference::Matrix;

struct MuonTest : testing::Test {
  Pool pool{1};
  Host host{pool, 1};

  struct Shape {
    uint64_t rows, columns;
  };
  struct Trained {
    std::vector<float> parameter;
    std::vector<std::vector<float>> state;
  };

  static std::vector<float> gradient(size_t n, int step) { return numbers(n, 100 + step, 0.1f); }

  static void update(const BuiltInstance &optimizer, int step, double factor, double scale, Shape shape, uint32_t flags,
                     const std::vector<float> &gradient, Trained &trained) {
    const auto methods = optimizer.methods<hone_optimizer>();
    trained.state.resize(methods.n_states(optimizer.self()), std::vector<float>(gradient.size(), 0));
    std::vector<float *> state;
    for (auto &s : trained.state) state.push_back(s.data());
    const hone_span span{sizeof span, flags, {"w", 1}, gradient.size(), shape.rows, shape.columns,
                         trained.parameter.data(), gradient.data(), state.data()};
    const hone_update how{sizeof how, sizeof span, static_cast<uint64_t>(step), factor, scale};
    hone_error error{};
    check_call(methods.update(optimizer.self(), &how, &span, 1, &error), error, "optimizer");
  }
  static Trained run(const BuiltInstance &optimizer, Shape shape, uint32_t flags, int steps, double factor = 1, double scale = 1) {
    const size_t n = shape.rows * shape.columns;
    Trained trained{numbers(n, 7, 1), {}};
    for (int step = 1; step <= steps; ++step) update(optimizer, step, factor, scale, shape, flags, gradient(n, step), trained);
    return trained;
  }
  // What one update at a learning rate of 1 takes from a matrix, as numbers in double.
  Matrix taken(const json &settings, Shape shape, const std::vector<float> &gradient) {
    json all = {{"learning_rate", 1.0}, {"weight_decay", 0.0}};
    all.update(settings);
    Trained trained{std::vector<float>(gradient.size(), 0), {}};
    update(BuiltInstance(host, "optimizer", "muon", all), 1, 1, 1, shape, 0, gradient, trained);
    Matrix out(shape.rows, shape.columns);
    for (size_t i = 0; i < out.x.size(); ++i) out.x[i] = -trained.parameter[i];
    return out;
  }
};

// The last two are larger than a block of the product in rows, in depth and in columns.
TEST_F(MuonTest, FollowsTheFormulaInDouble) {
  for (const Shape shape : {Shape{24, 40}, Shape{40, 24}, Shape{17, 17}, Shape{1, 9}, Shape{9, 1}, Shape{130, 300}, Shape{1600, 20}})
    for (const bool nesterov : {true, false})
      for (const char *scale : {"original", "match_rms_adamw"}) {
        const bool decay = nesterov;
        const int steps = shape.rows > 100 ? 1 : 4;
        const double factor = 0.7, clip = 0.5;
        const reference::MuonSettings s{.learning_rate = 0.03, .momentum = 0.9, .weight_decay = 0.1, .nesterov = nesterov, .ns_steps = 5, .scale = scale};
        const BuiltInstance muon(host, "optimizer", "muon",
                                 {{"learning_rate", s.learning_rate}, {"momentum", s.momentum}, {"weight_decay", s.weight_decay}, {"nesterov", nesterov}, {"scale", scale}});
        const Trained got = run(muon, shape, decay ? HONE_SPAN_DECAY : 0, steps, factor, clip);
        Matrix p(shape.rows, shape.columns), momentum(shape.rows, shape.columns), g(shape.rows, shape.columns);
        const std::vector<float> start = numbers(p.x.size(), 7, 1);
        p.x.assign(start.begin(), start.end());
        for (int step = 1; step <= steps; ++step) {
          const std::vector<float> given = gradient(p.x.size(), step);
          for (size_t i = 0; i < g.x.size(); ++i) g.x[i] = clip * given[i];
          reference::matrix_update(s, factor, decay, g, p, momentum);
        }
        for (size_t i = 0; i < p.x.size(); ++i)
          ASSERT_NEAR(got.parameter[i], p.x[i], 5e-6) << shape.rows << " x " << shape.columns << ", " << scale << ", element " << i;
      }
}

TEST_F(MuonTest, OtherNumbersOfNewtonSchulzStepsFollowTheFormulaToo) {
  for (const int steps : {1, 3, 8}) {
    const Shape shape{12, 31};
    const std::vector<float> g = gradient(12 * 31, 1);
    Matrix wanted(12, 31);
    wanted.x.assign(g.begin(), g.end());
    wanted = reference::newton_schulz(wanted, steps);
    const Matrix got = taken({{"ns_steps", steps}}, shape, g);
    for (size_t i = 0; i < got.x.size(); ++i) ASSERT_NEAR(got.x[i], wanted.x[i], 2e-5) << steps << " steps, element " << i;
  }
}

TEST_F(MuonTest, AnUpdateHasSingularValuesNearOneWhateverTheGradients) {
  for (const Shape shape : {Shape{40, 64}, Shape{64, 40}, Shape{100, 30}, Shape{16, 150}}) {
    std::vector<float> g = gradient(shape.rows * shape.columns, 3);
    for (size_t i = 0; i < g.size(); ++i) g[i] *= 1e-3f * static_cast<float>(1 + i / shape.columns % 5);  // rows of other sizes
    const double scale = std::sqrt(std::max(1.0, double(shape.rows) / double(shape.columns)));
    for (const double value : reference::singular_values(taken(json::object(), shape, g))) {
      EXPECT_GT(value / scale, 0.65) << shape.rows << " x " << shape.columns;
      EXPECT_LT(value / scale, 1.2) << shape.rows << " x " << shape.columns;
    }
  }
}

// Moonlight, arXiv 2502.16982, section 2.2: so that learning rates of AdamW serve.
TEST_F(MuonTest, MatchRmsAdamwMakesUpdatesOfARootMeanSquareOfAFifthInEveryShape) {
  for (const Shape shape : {Shape{40, 64}, Shape{100, 10}, Shape{8, 300}}) {
    const Matrix update = taken({{"scale", "match_rms_adamw"}}, shape, gradient(shape.rows * shape.columns, 5));
    double squares = 0;
    for (const double x : update.x) squares += x * x;
    EXPECT_NEAR(std::sqrt(squares / double(update.x.size())), 0.2, 0.04) << shape.rows << " x " << shape.columns;
  }
}

TEST_F(MuonTest, EmbeddingsHeadsAndVectorsAreAdamwsToTheBit) {
  const BuiltInstance muon(host, "optimizer", "muon", {{"weight_decay", 0.2}, {"adamw_learning_rate", 1e-2}, {"adam_beta1", 0.8}, {"adam_beta2", 0.97}, {"adam_epsilon", 1e-7}}),
      adamw(host, "optimizer", "adamw", {{"weight_decay", 0.2}, {"learning_rate", 1e-2}, {"beta1", 0.8}, {"beta2", 0.97}, {"epsilon", 1e-7}});
  const auto same = [](const Trained &a, const Trained &b) {
    return !std::memcmp(a.parameter.data(), b.parameter.data(), a.parameter.size() * sizeof(float)) && a.state == b.state;
  };
  const Shape shape{12, 20};
  for (const uint32_t decay : {0u, uint32_t{HONE_SPAN_DECAY}}) {
    const Trained wanted = run(adamw, shape, decay, 5, 0.5, 0.5);
    for (const uint32_t role : {uint32_t{HONE_SPAN_EMBEDDING}, uint32_t{HONE_SPAN_HEAD}, uint32_t{HONE_SPAN_EMBEDDING | HONE_SPAN_HEAD}})
      EXPECT_TRUE(same(run(muon, shape, decay | role, 5, 0.5, 0.5), wanted)) << "flags " << (decay | role);
    EXPECT_FALSE(same(run(muon, shape, decay, 5, 0.5, 0.5), wanted)) << "a matrix was AdamW's";
  }
  Trained vector{numbers(240, 7, 1), {}}, wanted = vector;
  for (int step = 1; step <= 5; ++step) {
    update(muon, step, 1, 1, {0, 0}, 0, gradient(240, step), vector);
    update(adamw, step, 1, 1, {0, 0}, 0, gradient(240, step), wanted);
  }
  EXPECT_TRUE(same(vector, wanted)) << "of a vector";
}

TEST_F(MuonTest, EveryInstructionSetGivesTheSameBits) {
  const char *const given = std::getenv("HONE_ISA");
  const std::string before = given ? given : "";
  for (const Shape shape : {Shape{130, 300}, Shape{45, 45}, Shape{1600, 20}}) {
    std::vector<float> wanted;
    for (const char *isa : {"plain", "avx2", "avx512"}) {  // one that this CPU lacks is replaced by the next lower
      setenv("HONE_ISA", isa, 1);
      const BuiltInstance muon(host, "optimizer", "muon");
      const std::vector<float> got = run(muon, shape, HONE_SPAN_DECAY, 2).parameter;
      if (wanted.empty()) wanted = got;
      EXPECT_EQ(0, std::memcmp(got.data(), wanted.data(), got.size() * sizeof(float))) << isa << " at " << shape.rows << " x " << shape.columns;
    }
  }
  if (given) setenv("HONE_ISA", before.c_str(), 1);
  else unsetenv("HONE_ISA");
}

TEST_F(MuonTest, AMatrixWithoutAGradientOnlyDecays) {
  const BuiltInstance muon(host, "optimizer", "muon", {{"learning_rate", 0.5}, {"weight_decay", 0.5}});
  const std::vector<float> start = numbers(60, 7, 1), nothing(60, 0.0f);
  Trained trained{start, {}};
  update(muon, 1, 1, 1, {6, 10}, HONE_SPAN_DECAY, nothing, trained);
  for (size_t i = 0; i < 60; ++i) EXPECT_EQ(trained.parameter[i], 0.75f * start[i]) << i;
}

TEST_F(MuonTest, SettingsOutsideTheirRangeAreRefused) {
  for (const json &settings : {json{{"momentum", 1.0}}, json{{"ns_steps", 0}}, json{{"scale", "rms"}}, json{{"adam_beta2", 1.0}}, json{{"adamw_learning_rate", -1.0}}})
    EXPECT_THROW(BuiltInstance(host, "optimizer", "muon", settings), Failure) << settings;
}

TEST_F(MuonTest, AHostThatDoesNotTellEmbeddingsIsRefusedWithASentence) {
  hone_host old = host.abi();
  old.minor = 0;
  const ComponentInfo &muon = built_component("optimizer", "muon");
  try {
    Instance(muon, old, check_settings(muon.settings, json::object(), "muon"));
    FAIL() << "was made";
  } catch (const Failure &failure) {
    EXPECT_NE(std::string(failure.what()).find("embeddings and heads, and this host, of ABI 1.0, does not tell; update hone"), std::string::npos) << failure.what();
  }
}

}  // namespace
}  // namespace hone
