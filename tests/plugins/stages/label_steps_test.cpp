// label_steps_test.cpp -- labels of steps against roll-outs counted here, with a model and a reward that are plain functions.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "hone/testing_stage.hpp"
#include "tests/support/built_component.h"

namespace hone {
namespace {

using nlohmann::json;

// What comes after a text, for dice `i`: steps of a digit each until there are three, but now and then only two or one.
std::string more(std::string_view text, uint32_t i) {
  uint64_t h = 1469598103934665603u + i;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::string out;
  for (auto done = std::count(text.begin(), text.end(), ';'); done < 2 && h % 7 != 0; ++done, h /= 7)
    out += std::string(1, static_cast<char>('0' + h % 5)) + ";";
  return out + static_cast<char>('0' + h / 3 % 5);
}
// Right when the digits of the response add up to a multiple of 3; some have no score.
double judge(std::string_view, std::string_view response) {
  int sum = 0;
  for (const char c : response) sum += c == ';' ? 0 : c - '0';
  return sum == 5 ? std::nan("") : sum % 3 == 0 ? 1 : 0;
}
std::vector<std::string> split(const std::string &response) {
  std::vector<std::string> steps{""};
  for (size_t i = 0; i < response.size(); ++i) {
    steps.back() += response[i];
    if (response[i] == ';' && i + 1 < response.size()) steps.emplace_back();
  }
  return steps;
}

class LabelSteps : public ::testing::Test {
 protected:
  LabelSteps() : pool_(1), host_(pool_, 1) {
    std::vector<std::string> prompt, answer, columns;
    for (int p = 0; p < 7; ++p)
      prompt.push_back("q" + std::to_string(p % 5)), answer.push_back("a"), columns.push_back("{\"level\":" + std::to_string(p) + "}");
    world.rows.texts("prompt", prompt).texts("answer", answer).texts("columns", columns);
    world.respond = [](int64_t, std::string_view text, uint32_t i) { return more(text, i); };
    world.judge = judge;
    for (const auto &[id, service] : world.services()) host_.offer(id.c_str(), service);
  }
  static json settings(const json &given) {
    json all = {{"model", {{"$model", 0}}}, {"prompts", {{"$data", 0}}}, {"rewards", {{"$reward", 0}}}, {"num_generations", 6},
                {"num_rollouts", 5},        {"batch_size", 2},           {"step_separators", {";"}}};
    if (!given.is_null()) all.update(given);  // {} is null
    return all;
  }
  // Saved, destroyed and made anew after `stop` steps.
  void run(const json &how, int stop = -1) {
    auto stage = std::make_unique<BuiltInstance>(host_, "stage", "label_steps", settings(how));
    hone_error err{};
    int32_t again = HONE_AGAIN;
    for (int step = 0; again == HONE_AGAIN; ++step) {
      const hone_stage methods = stage->methods<hone_stage>();
      if (step == stop) {
        std::string saved;
        const auto write = [](void *to, hone_str text) { static_cast<std::string *>(to)->append(text.data, text.size); };
        check_call(methods.save(stage->self(), write, &saved, &err), err, "save");
        stage = std::make_unique<BuiltInstance>(host_, "stage", "label_steps", settings(how));
        check_call(stage->methods<hone_stage>().load(stage->self(), {saved.data(), saved.size()}, &err), err, "load");
      }
      check_call(stage->methods<hone_stage>().step(stage->self(), &again, &err), err, "step");
    }
  }
  std::vector<json> emitted() {
    std::vector<json> rows;
    const TableView view = world.emitted.view();
    for (uint64_t i = 0; i < view.rows(); ++i) {
      json row = json::parse(view.text("columns", i));
      row["prompt"] = std::string(view.text("prompt", i)), row["reward"] = view.floats("reward")[i];
      rows.push_back(row);
    }
    return rows;
  }

  testing::StageHost world;
  Pool pool_;
  Host host_;
};

std::vector<json> expected(bool hard, bool deduplicate) {
  std::vector<json> rows;
  std::set<std::string> seen;
  for (int p = 0; p < 7; ++p) {
    const std::string prompt = "q" + std::to_string(p % 5);
    for (uint32_t i = 0; i < 6; ++i) {
      const std::string response = more(prompt, i);
      const double reward = judge(prompt, response);
      if (std::isnan(reward) || (deduplicate && !seen.insert(prompt + " " + response).second)) continue;
      const std::vector<std::string> steps = split(response);
      json labels = json::array();
      std::string prefix;
      for (size_t j = 0; j + 1 < steps.size(); ++j) {
        prefix += steps[j];
        double right = 0, scored = 0;
        for (uint32_t r = 0; r < 5; ++r) {
          const double of_one = judge(prompt, prefix + more(prompt + prefix, r));
          if (std::isnan(of_one)) continue;
          right += of_one, ++scored;
        }
        labels.push_back(scored == 0 ? json() : hard ? json(right > 0 ? 1 : 0) : json(right / scored));
      }
      labels.push_back(reward == 1 ? 1 : 0);
      rows.push_back({{"prompt", prompt}, {"level", p}, {"reward", reward}, {"steps", steps}, {"labels", labels}});
    }
  }
  return rows;
}

TEST_F(LabelSteps, AreTheShareOfCompletionsThatComeOutRight) {
  run({{"labels", "soft"}});
  const std::vector<json> rows = emitted();
  EXPECT_EQ(rows, expected(false, true));
  std::set<double> different;
  for (const json &row : rows)
    for (const json &label : row["labels"])
      if (!label.is_null()) different.insert(label.get<double>());
  EXPECT_GT(different.size(), 3u) << "too plain a world to tell shares apart";
}

TEST_F(LabelSteps, AreHardByDefaultAndSampleAllStepsOfABatchInOneCall) {
  run({});
  EXPECT_EQ(emitted(), expected(true, true));
  EXPECT_EQ(world.rollouts, 7u) << "four batches, each sampled once and gone on with once, but for the last, whose responses were all seen";
  EXPECT_EQ(world.metrics.at("completions"), 0);
}

TEST_F(LabelSteps, EqualResponsesAreLabelledAgainOnDemand) {
  run({{"deduplicate", false}});
  EXPECT_EQ(emitted(), expected(true, false));
  EXPECT_EQ(world.rollouts, 8u);
  EXPECT_GT(world.metrics.at("completions"), 0);
  EXPECT_GT(expected(true, false).size(), expected(true, true).size());
}

TEST_F(LabelSteps, GoOnFromAnySavedPlaceAsIfNeverStopped) {
  for (int stop = 0; stop < 5; ++stop) {
    world.emitted = {};
    run({}, stop);
    EXPECT_EQ(emitted(), expected(true, true)) << "stopped after " << stop;
  }
}

TEST_F(LabelSteps, RefuseWhatTheyCannotDo) {
  const auto refused = [&](const json &how) -> std::string {
    try {
      run(how);
    } catch (const std::exception &failure) {
      return failure.what();
    }
    return "";
  };
  EXPECT_NE(refused({{"step_separators", {""}}}).find("step_separators must be a list of texts, none of them empty"), std::string::npos);
  world.judge = [](std::string_view, std::string_view) { return std::nan(""); };
  EXPECT_NE(refused({}).find("none of the 42 responses was labelled"), std::string::npos);
}

}  // namespace
}  // namespace hone
