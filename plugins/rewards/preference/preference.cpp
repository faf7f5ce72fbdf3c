// preference.cpp -- the score of a reward model that an earlier stage trained on preferences (Bradley-Terry).
#include <hone/draft/reward_model.h>

#include <cmath>
#include <hone/response.hpp>
#include <hone/reward.hpp>

namespace {

class Preference final : public hone::BatchReward {
 public:
  hone::ModelHandle model;
  std::string part = "answer";
  std::string squash = "none";
  double center = 0;
  double scale = 1;
  double no_answer = -1;
  std::string open = "<think>";
  std::string close = "</think>";
  std::string answer_open = "<answer>";
  std::string answer_close = "</answer>";

  static auto params() {
    return hone::params(
        hone::param("model", &Preference::model, "the reward model: the model of a reward_model stage, or a directory",
                    {.required = true}),
        hone::param(
            "part", &Preference::part,
            "what the model reads. answer: only the text in the answer's tags, else what follows the thinking (R1's "
            "helpfulness); response: all of it (R1's harmlessness)",
            {.choices = {"answer", "response"}}),
        hone::param("squash", &Preference::squash,
                    "none: the model's own number; sigmoid: 1 / (1 + exp(-(x - center) / scale))",
                    {.choices = {"none", "sigmoid"}}),
        hone::param("center", &Preference::center, "the model's score that sigmoid maps to 0.5"),
        hone::param("scale", &Preference::scale, "the change of the model's score that sigmoid takes for one unit",
                    {.min = 1e-6, .max = 1e6}),
        hone::param("no_answer", &Preference::no_answer,
                    "score of a response that holds no answer (part = \"answer\")"),
        hone::param("open", &Preference::open, "tag that starts the thinking"),
        hone::param("close", &Preference::close, "tag that ends the thinking"),
        hone::param("answer_open", &Preference::answer_open, "tag that starts the answer"),
        hone::param("answer_close", &Preference::answer_close, "tag that ends the answer"));
  }

  void start(const hone::Services &services) {
    if (!model) throw hone::Error("no model was given: set model to a reward_model stage's model or to a directory");
    service_ = services.require<hone_reward_model>(HONE_HOST_REWARD_MODEL);
    tags_ = {open, close, answer_open, answer_close};
  }

  void score_all(std::span<const hone::Response> responses, hone::Scores &out) const override {
    std::vector<hone_str> prompts, texts;
    std::vector<size_t> asked;
    for (size_t i = 0; i < responses.size(); ++i) {
      const std::string_view text = part == "answer" ? hone::answer_of(responses[i].text, tags_) : responses[i].text;
      if (part == "answer" && text.empty()) {
        out.set(i, float(no_answer));
        continue;
      }
      prompts.push_back({responses[i].prompt.data(), responses[i].prompt.size()});
      texts.push_back({text.data(), text.size()});
      asked.push_back(i);
    }
    if (asked.empty()) return;
    std::vector<float> scores(asked.size(), std::numeric_limits<float>::quiet_NaN());
    hone_error error{};
    const int32_t code = service_.score(service_.ctx, model.index, prompts.data(), texts.data(), uint32_t(asked.size()),
                                        scores.data(), &error);
    if (code != HONE_OK)
      throw hone::Error(error.text[0] ? std::string(error.text, ::strnlen(error.text, sizeof error.text))
                                      : "the reward model failed with code " + std::to_string(code));
    for (size_t j = 0; j < asked.size(); ++j) {
      if (!std::isfinite(scores[j]))
        out.fail(asked[j], "the reward model gave no finite number");
      else
        out.set(asked[j],
                squash == "sigmoid" ? float(1 / (1 + std::exp(-(double(scores[j]) - center) / scale))) : scores[j]);
    }
  }

 private:
  hone_reward_model service_{};
  hone::Tags tags_;
};

}  // namespace

HONE_PLUGIN("org.hone.preference", "1.0.0",
            hone::component<Preference>("preference", "the score of a reward model trained on preferences"));
