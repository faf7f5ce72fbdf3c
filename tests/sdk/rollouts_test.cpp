// rollouts_test.cpp -- what stages that sample share: settings, prompts, responses and scores keep to their rows.
#include "hone/rollouts.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "hone/testing_stage.hpp"

namespace {

// A host whose responses say which prompt they answer, and whose scores say which response they are of.
class Rollouts : public testing::Test {
 protected:
  Rollouts() {
    fake.rows.texts("prompt", {"a", "b", "c"}).texts("answer", {"1", "2", "3"}).texts("columns", {"{\"n\":1}", "{}", "{}"}).texts("domain", {"x", "x", "y"});
    fake.respond = [](int64_t, std::string_view prompt, uint32_t i) { return std::string(prompt) + std::to_string(i); };
    fake.cut_off = [](std::string_view response) { return response == "b1"; };
    fake.judge = [](std::string_view prompt, std::string_view response) { return prompt == "c" ? std::nan("") : prompt[0] * 10.0 + response[1]; };
    services_ = fake.services();
    raw_ = {sizeof raw_, HONE_ABI_MINOR, &services_, [](const hone_host *host, const char *id) -> const void * {
              const auto &all = *static_cast<const std::map<std::string, const void *> *>(host->ctx);
              const auto found = all.find(id);
              return found == all.end() ? nullptr : found->second;
            }};
    host = hone::StageHost(hone::Services(raw_));
  }
  hone::testing::StageHost fake;
  hone::StageHost host;

 private:
  std::map<std::string, const void *> services_;
  hone_host raw_{};
};

TEST_F(Rollouts, ResponsesStandBesideTheirPrompts) {
  const auto prompts = hone::Prompts::read(host, {0});
  ASSERT_EQ(prompts.size(), 3u);
  EXPECT_EQ(prompts.domain, (std::vector<std::string>{"x", "x", "y"}));
  hone::SamplingSettings how;
  how.num_generations = 2;
  const auto responses = hone::Responses::sample(host, {0}, prompts, 1, 3, how.sampling(4));
  EXPECT_EQ(responses.response, (std::vector<std::string>{"b0", "b1", "c0", "c1"}));
  EXPECT_EQ(responses.prompt, (std::vector<std::string>{"b", "b", "c", "c"}));
  EXPECT_EQ(responses.answer, (std::vector<std::string>{"2", "2", "3", "3"}));
  EXPECT_EQ(responses.domain, (std::vector<std::string>{"x", "x", "y", "y"}));
  EXPECT_EQ(responses.truncated, (std::vector<int64_t>{0, 1, 0, 0}));
  EXPECT_EQ(responses.ids[3], (std::vector<int32_t>{'c', '1'}));
  const auto scores = hone::Scores::of(host, {0}, responses, 4);
  ASSERT_EQ(scores.reward.size(), 4u);
  EXPECT_EQ(scores.reward[1], 'b' * 10.0 + '1');
  EXPECT_TRUE(std::isnan(scores.reward[2]));
}

TEST_F(Rollouts, PromptsAloneWillDoAndNoneWillNot) {
  fake.rows = hone::Table();
  fake.rows.texts("prompt", {"a"});
  const auto prompts = hone::Prompts::read(host, {0});
  EXPECT_EQ(prompts.columns, std::vector<std::string>{"{}"});
  EXPECT_EQ(prompts.answer, std::vector<std::string>{""});
  fake.rows = hone::Table();
  fake.rows.texts("prompt", {});
  EXPECT_THROW(hone::Prompts::read(host, {0}), hone::Error);
}

TEST_F(Rollouts, SettingsCarryStopTextsAndRefuseOthers) {
  hone::SamplingSettings how;
  how.top_k = 7, how.temperature = 0.5f, how.stop.text = R"(["</answer>", "\n"])";
  const hone::Sampling sampling = how.sampling(9);
  EXPECT_EQ(sampling.stop, (std::vector<std::string>{"</answer>", "\n"}));
  EXPECT_EQ(sampling.step, 9u);
  EXPECT_EQ(sampling.top_k, 7u);
  EXPECT_EQ(sampling.temperature, 0.5f);
  for (const char *wrong : {"[3]", "[\"\"]", "[[\"a\"]]"}) {
    how.stop.text = wrong;
    EXPECT_THROW(how.sampling(0), hone::Error) << wrong;
  }
}

TEST_F(Rollouts, LabelsAreToldByDomain) {
  fake.reward_labels = {{"x", {"math", "format"}}, {"y", {"math"}}};
  const auto labels = host.labels({0});
  ASSERT_EQ(labels.size(), 2u);
  EXPECT_EQ(labels.at("x"), (std::vector<std::string>{"math", "format"}));
}

// The settings of a stage are those of its base, with the stage's own defaults.
struct Sampler final : hone::Stage, hone::SamplingSettings {
  Sampler() { num_generations = 3, top_p = 0.9f; }
  bool own = true;
  static auto params() { return std::tuple_cat(hone::params(hone::param("own", &Sampler::own, "its own")), hone::sampling_params()); }
  bool step() override { return false; }
  std::string save() const override { return "{}"; }
  void load(std::string_view) override {}
};

TEST(SamplingParams, JoinAStagesOwn) {
  const hone_component &component = *hone::component<Sampler>("sampler");
  std::map<std::string, const hone_param *> params;
  for (uint32_t i = 0; i < component.n_params; ++i) params[component.params[i].name] = &component.params[i];
  for (const char *name : {"own", "num_generations", "max_completion_length", "batch_size", "temperature", "top_p", "min_p", "top_k", "stop"})
    ASSERT_TRUE(params.count(name)) << name;
  EXPECT_EQ(params["num_generations"]->fallback.as.i, 3);
  EXPECT_EQ(params["top_p"]->fallback.as.f, 0.9);
  EXPECT_GT(params["top_p"]->min, 0);
  EXPECT_EQ(params["stop"]->fallback.type, HONE_LIST);
}

}  // namespace
