// refusals_test.cpp -- what the tape says to a model that composes a pass wrongly, and operators of a model's own.
#include <gtest/gtest.h>

#include "core/base/failure.h"
#include "tests/support/refusal.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

std::unique_ptr<Weights> odd(const std::string &fault) {
  const ComponentInfo info = open_library(HONE_ODD_MODEL).components.at(0).info;
  auto weights =
      Weights::initialised(std::make_shared<const Architecture>(info, host(), nlohmann::json{{"fault", fault}}), 1);
  weights->prepare(pool());
  return weights;
}

std::string refusal(const std::string &fault, bool record = false) {
  return refusal_of([&] {
    const auto weights = odd(fault);
    Tape tape(kernels(), Pool::serial_stream());
    tape.forward(*weights, random_rows({4}, 16, 1).packed(), record);
  });
}

TEST(ModelFaults, AreSentencesThatNameTheModelAndBothSides) {
  EXPECT_EQ(refusal("multiplies what does not fit"), "model odd: linear: x has 8 columns, but \"wide\" is [8, 9]");
  EXPECT_EQ(refusal("goes on after an error"), "model odd: linear: x has 8 columns, but \"wide\" is [8, 9]");
  EXPECT_NE(refusal("normalises unevenly").find("model odd: rms_norm: a width of 3"), std::string::npos);
  EXPECT_NE(refusal("adds nothing").find("is no tensor of this pass"), std::string::npos);
  EXPECT_NE(refusal("adds a stranger").find("is no tensor of this pass"), std::string::npos);
  EXPECT_NE(refusal("adds a parameter").find("is a parameter"), std::string::npos);
  EXPECT_NE(refusal("slices beyond the head").find("columns 3 .. 5 are not within a head of 4"), std::string::npos);
  EXPECT_NE(refusal("attends too much").find("model odd: attention: "), std::string::npos);
  EXPECT_EQ(refusal("tells no size").find("model odd: attention: the shape's struct_size is 0, but it has 16 bytes at least"), 0u);
  EXPECT_EQ(refusal("knows an older shape").find("model odd: route: the shape's struct_size is 8, but it has 36 bytes at least"), 0u);
  EXPECT_EQ(refusal("knows a newer shape"), "");
  EXPECT_NE(refusal("attends too little").find("1 attention and 0 routed layers, but forward() ran 0 and 0"),
            std::string::npos);
  EXPECT_NE(refusal("ends with nothing").find("hidden states of 8 columns"), std::string::npos);
  EXPECT_NE(refusal("ends too narrow").find("hidden states of 8 columns"), std::string::npos);
  EXPECT_NE(refusal("throws").find("the moon is full"), std::string::npos);
  EXPECT_NE(refusal("declares twice").find("declares the parameter \"norm\" twice"), std::string::npos);
  EXPECT_NE(refusal("has the wrong head").find("[vocab_size, hidden_size]"), std::string::npos);
  for (bool record : {false, true})
    EXPECT_NE(refusal("reaches over a boundary", record).find("before the last boundary()"), std::string::npos);
  EXPECT_EQ(refusal("", true), "");
}

// An operator that reads a matrix itself would leave the adapter out: then it must not be a target.
TEST(ModelFaults, ATargetOfLoraThatIsNotMultipliedWithIsRefused) {
  const std::shared_ptr<const Weights> base = odd("");
  const auto weights = Weights::adapted(base, {2, 4, false, {"table"}}, {0}, 1);
  weights->prepare(pool());
  Tape tape(kernels(), Pool::serial_stream());
  try {
    tape.forward(*weights, random_rows({4}, 16, 1).packed(), false);
    FAIL() << "the adapter was left out without a word";
  } catch (const Failure &failure) {
    EXPECT_NE(std::string(failure.what()).find("model odd: embedding: \"table\" is a target of lora"),
              std::string::npos)
        << failure.what();
  }
}

TEST(Tape, RefusesPrefixesThatAreNone) {
  const auto llama = random_weights(architecture("llama", llama_config()), 1), routed = random_weights(architecture("deepseek_moe", deepseek_config()), 1);
  const Rows rows = random_rows({4, 3, 2}, 37, 1);
  const auto said = [&](const Weights &weights, const std::vector<uint32_t> &prefix) {
    return refusal_of([&] { Tape(kernels(), Pool::serial_stream()).forward(weights, {rows.ids, rows.row_start, prefix}, false); });
  };
  EXPECT_EQ(said(*llama, {0, 0, 0}), "");
  EXPECT_EQ(said(*llama, {0, 1, 1}), "");
  EXPECT_NE(said(*llama, {0, 0}).find("prefix must have a number for each row"), std::string::npos);
  for (const std::vector<uint32_t> &wrong : {std::vector<uint32_t>{1, 1, 2}, {0, 0, 1}, {0, 1, 0}, {0, 1, 7}})
    EXPECT_NE(said(*llama, wrong).find("prefix is not in order at row "), std::string::npos);
  EXPECT_NE(said(*routed, {0, 0, 0}).find("cannot share a prefix"), std::string::npos);
}

TEST(Tape, ServesAgainAfterAFault) {
  const auto good = odd(""), bad = odd("multiplies what does not fit");
  Tape tape(kernels(), Pool::serial_stream());
  const Rows rows = random_rows({4}, 16, 1);
  const std::vector<float> before(tape.forward(*good, rows.packed(), false),
                                  tape.forward(*good, rows.packed(), false) + 32);
  EXPECT_THROW(tape.forward(*bad, rows.packed(), true), Failure);
  std::vector<float> nothing(1000);
  EXPECT_THROW(tape.backward(nothing.data(), nothing.data()), Failure);
  const float *after = tape.forward(*good, rows.packed(), true);
  EXPECT_EQ(before, std::vector<float>(after, after + 32));
}

// loss = sum of d * hidden, differenced in float over the embedding of the one token.
TEST(Tape, DifferentiatesAModelsOwnOperator) {
  const auto weights = odd("");
  Tape tape(kernels(), Pool::serial_stream());
  Rows rows;
  rows.add({5});
  for (int i = 0; i < 8; ++i) weights->parameter(0)[5 * 8 + i] = 0.5f + 0.1f * static_cast<float>(i);
  weights->changed();
  weights->prepare(pool());
  const std::vector<float> d = random_floats(8, 3);
  std::vector<float> gradient(weights->trained_size());
  tape.forward(*weights, rows.packed(), true);
  tape.backward(d.data(), gradient.data());
  for (int i = 0; i < 8; ++i) {
    double loss[2];
    for (int side : {0, 1}) {
      float &entry = weights->parameter(0)[5 * 8 + i];
      const float kept = entry;
      entry += side ? 1e-2f : -1e-2f;
      const float *hidden = tape.forward(*weights, rows.packed(), false);
      loss[side] = 0;
      for (int c = 0; c < 8; ++c) loss[side] += static_cast<double>(d[c]) * hidden[c];
      entry = kept;
    }
    EXPECT_NEAR(gradient[5 * 8 + i], (loss[1] - loss[0]) / 2e-2, 2e-3);
  }
}

}  // namespace
}  // namespace hone::test
