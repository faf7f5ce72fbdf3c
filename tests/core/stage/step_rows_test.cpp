// step_rows_test.cpp -- rows with labelled steps: their tokens, where their labels stand, and what is refused.
#include "core/stage/step_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/file.h"
#include "core/text/tokenizer_files.h"
#include "tests/support/refusal.h"

namespace hone {
namespace {

using nlohmann::json;

std::unique_ptr<Tokenizer> words() { return Tokenizer::from_words({"<bos>", "<eos>", "a", "b", "c", ";"}, {"<bos>", "<eos>"}, ""); }
DataRow row(json columns) { return {std::move(columns), "", "FILE:7"}; }
const float kNone = std::nanf("");

void expect_labels(const std::vector<float> &got, const std::vector<float> &expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t t = 0; t < got.size(); ++t)
    EXPECT_TRUE(got[t] == expected[t] || (std::isnan(got[t]) && std::isnan(expected[t]))) << t << ": " << got[t];
}

TEST(StepRows, ALabelStandsAtTheTokenThatEndsItsStep) {
  const auto tokenizer = words();
  const TrainRow train =
      steps_to_train(*tokenizer, row({{"prompt", "a b"}, {"steps", {"a ;", " b c ;", "c"}}, {"labels", {1, 0.25, nullptr}}}), "right", 32);
  EXPECT_EQ(train.ids, tokenizer->encode("<bos> a b a ; b c ; c"));
  EXPECT_EQ(train.begin, 3u);
  expect_labels(train.step_reward, {kNone, 1, kNone, kNone, 0.25f, kNone});
}

TEST(StepRows, ARewardStandsAtTheTokenThatEndsItsStep) {
  const std::vector<uint32_t> start = {0, 2, 3};
  const std::vector<float> rewards = {0.5f, kNone, 2};
  expect_labels(at_ends(start, rewards, 6), {kNone, 0.5f, kNone, kNone, kNone, 2});
  expect_labels(at_ends(std::span(start).first(1), std::span(rewards).first(1), 1), {0.5f});
}

// What comes later changes no token of a step, though the whole text has others: so the reward reads what was learnt.
TEST(StepRows, EachStepIsEncodedByItself) {
  const auto file = json::parse(read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/text/goldens/smollm.json"));
  const auto tokenizer = make_tokenizer(parse_tokenizer_json(file["tokenizer"].dump(), "golden"));
  const std::vector<std::string> steps = {"number 1\n", "\n\nand 12  ", "  345"};
  const StepTokens all = step_tokens(*tokenizer, row({{"prompt", "What?"}}), steps, 200);
  std::vector<int32_t> expected = tokenizer->encode("What?");
  for (size_t j = 0; j < steps.size(); ++j) {
    for (const int32_t id : tokenizer->encode(steps[j])) expected.push_back(id);
    EXPECT_EQ(all.end[j], expected.size());
    const StepTokens some = step_tokens(*tokenizer, row({{"prompt", "What?"}}), std::span(steps).first(j + 1), 200);
    EXPECT_EQ(some.ids, expected);
  }
  EXPECT_EQ(all.ids, expected);
}

TEST(StepRows, OfPrm800kFollowTheChosenCompletions) {
  const json line =
      json::parse(R"({"question": {"problem": "a b", "ground_truth_answer": "c"}, "label": {"finish_reason": "found_error", "steps": [
    {"completions": [{"text": "x", "rating": -1}, {"text": "one", "rating": 1}], "human_completion": null, "chosen_completion": 1},
    {"completions": [{"text": "two", "rating": 0}], "human_completion": null, "chosen_completion": 0},
    {"completions": [{"text": "y", "rating": -1}], "human_completion": {"text": "three", "rating": null}, "chosen_completion": null},
    {"completions": [{"text": "four", "rating": null}], "human_completion": null, "chosen_completion": 0},
    {"completions": [{"text": "wrong", "rating": -1}, {"text": "z", "rating": -1}], "human_completion": null, "chosen_completion": null},
    {"completions": [{"text": "never reached", "rating": 1}], "human_completion": null, "chosen_completion": 0}]}})");
  for (const auto &[neutral, label] : {std::pair<const char *, float>{"right", 1}, {"wrong", 0}, {"skip", kNone}}) {
    const LabelledSteps steps = labelled_steps(row(line), neutral);
    EXPECT_EQ(steps.prompt, "a b");
    EXPECT_EQ(steps.text, (std::vector<std::string>{"one\n", "two\n", "three\n", "four\n", "wrong"}));
    expect_labels(steps.label, {1, label, 1, kNone, 0});
  }
}

TEST(StepRows, WhatIsNoLabelledStepIsRefusedInASentence) {
  const auto tokenizer = words();
  const auto refused = [&](const json &columns) { return refusal_of([&] { steps_to_train(*tokenizer, row(columns), "right", 11); }); };
  EXPECT_EQ(refused({{"prompt", "a"}, {"steps", {"b", "c"}}, {"labels", {1, 0}}}), "");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", {"b", "c"}}, {"labels", {1}}}),
              "FILE:7: labels has 1 numbers for 2 steps; give one for each");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", {"b"}}}), "FILE:7: has steps but no labels");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", {"b", "c"}}, {"labels", {0, 1.5}}}),
              "FILE:7: labels: that of step 2 is 1.5; it must be a number from 0");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", {"b"}}, {"labels", {-1}}}), "that of step 1 is -1");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", {"b"}}, {"labels", {"1"}}}), "that of step 1 is \"1\"");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", json::array()}, {"labels", json::array()}}), "steps is []", "one at least");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", {7}}, {"labels", {1}}}), "step 1 is 7, not a text");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", {"b", " "}}, {"labels", {1, 1}}}), "FILE:7: steps: step 2 has no token");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", {"b", "nonsense"}}, {"labels", {1, 1}}}), "FILE:7: step 2", "nonsense");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"steps", {"a b c a b c a b c", "c"}}, {"labels", {1, 1}}}),
              "FILE:7: has 12 tokens with its steps, more than the model's 11 positions");
  EXPECT_SAYS(refused({{"prompt", "a"}, {"response", "b"}}), "FILE:7: has no steps", "it has prompt, response");
  EXPECT_SAYS(
      refused(json::parse(
          R"({"question": {"problem": "a"}, "label": {"steps": [{"completions": [{"text": "b", "rating": 2}], "chosen_completion": 0}]}})")),
      "label.steps[0].completions[0].rating is 2; it must be -1, 0 or 1");
  EXPECT_SAYS(
      refused(json::parse(
          R"({"question": {"problem": "a"}, "label": {"steps": [{"completions": [{"text": "b", "rating": 1}], "chosen_completion": 3}]}})")),
      "chosen_completion is 3, but there are 1 completions");
}

}  // namespace
}  // namespace hone
