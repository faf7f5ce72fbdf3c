// prm.cpp -- what a process reward model says of each step of a response: arXiv 2305.20050 (Lightman et al.), 2312.08935 (Math-Shepherd).
//
//   p_j   = sigmoid(v_j)      v_j: the model's value after the last token of step j, given the prompt and the steps up to it
//   score = min, product, last or mean of p_1 .. p_n
//
// 0 for an empty response. The minimum is Math-Shepherd's score of a solution, the product Lightman's: how likely every step is right.
#include <hone/draft/reward_model.h>

#include <algorithm>
#include <cmath>
#include <hone/json.hpp>
#include <hone/reward.hpp>

namespace {

class Prm final : public hone::BatchReward {
 public:
  hone::ModelHandle model;
  std::string aggregate = "min";
  hone::JsonList step_separators{"[\"\\n\"]"};

  static auto params() {
    return hone::params(
        hone::param("model", &Prm::model, "the process reward model: the model of a prm stage, or a directory", {.required = true}),
        hone::param("aggregate", &Prm::aggregate, "the response's own score, of those of its steps",
                    {.choices = {"min", "product", "last", "mean"}}),
        hone::param("step_separators", &Prm::step_separators,
                    "texts: a step ends with one of them, where the stage itself asks for no steps (one that learns from them has its own "
                    "setting)"));
  }

  void start(const hone::Services &services) {
    if (!model) throw hone::Error("no model was given: set model to a prm stage's model or to a directory");
    service_ = services.require<hone_reward_model>(HONE_HOST_REWARD_MODEL);
    if (!service_.score_steps) throw hone::Error("this host cannot run a model over steps; use a newer hone");
    const hone::Json list = hone::Json::parse(step_separators.text);
    for (const hone::Json &text : list.as_list()) {
      if (text.type() != hone::Json::string || text.as_string().empty())
        throw hone::Error("step_separators must be a list of texts, none of them empty, but it holds " + text.text());
      separators_.emplace_back(text.as_string());
    }
  }

  void score_all(std::span<const hone::Response> responses, hone::Scores &out) const override {
    std::vector<hone_str> prompts, steps;
    std::vector<uint32_t> n_steps;
    std::vector<size_t> asked;
    for (size_t i = 0; i < responses.size(); ++i) {
      const std::vector<std::string_view> own = steps_of(responses[i]);
      if (own.empty()) {
        out.set(i, 0);
        std::ranges::fill(out.steps(i), 0.0f);
        continue;
      }
      for (const std::string_view step : own) steps.push_back(hone::detail::str(step));
      prompts.push_back(hone::detail::str(responses[i].prompt));
      n_steps.push_back(static_cast<uint32_t>(own.size()));
      asked.push_back(i);
    }
    if (asked.empty()) return;
    std::vector<float> values(steps.size(), std::numeric_limits<float>::quiet_NaN());
    hone_error error{};
    hone::detail::check(service_.score_steps(service_.ctx, model.index, prompts.data(), n_steps.data(), steps.data(),
                                             static_cast<uint32_t>(asked.size()), values.data(), &error),
                        error);
    size_t at = 0;
    for (size_t k = 0; k < asked.size(); at += n_steps[k++]) {
      std::vector<double> right;
      for (uint32_t j = 0; j < n_steps[k]; ++j) right.push_back(1 / (1 + std::exp(-double(values[at + j]))));
      const double score = of_all(right);
      if (!std::isfinite(score)) {
        out.fail(asked[k], "the model gave no finite number for a step");
        continue;
      }
      out.set(asked[k], static_cast<float>(score));
      const std::span<float> scores = out.steps(asked[k]);
      if (scores.size() == right.size()) std::copy(right.begin(), right.end(), scores.begin());
    }
  }

 private:
  // As the host cut it; else the text is cut by itself, likewise.
  std::vector<std::string_view> steps_of(const hone::Response &response) const {
    std::vector<std::string_view> steps;
    for (size_t j = 0; j < response.step_text.size(); ++j) steps.push_back(response.step(j));
    if (!steps.empty()) {
      if (response.text.empty()) steps.clear();
      return steps;
    }
    size_t begin = 0, from = 0;
    const auto blank = [](std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == text.npos; };
    for (;;) {
      size_t at = response.text.npos, end = response.text.npos;
      for (const std::string &separator : separators_)
        if (const size_t found = response.text.find(separator, from); found != response.text.npos && found + separator.size() < end)
          at = found, end = found + separator.size();
      if (end == response.text.npos) break;
      if (!blank(response.text.substr(from, at - from))) steps.push_back(response.text.substr(begin, end - begin)), begin = end;
      from = end;
    }
    const std::string_view rest = response.text.substr(begin);
    if (steps.empty() ? !rest.empty() : !blank(response.text.substr(from)))
      steps.push_back(rest);
    else if (!steps.empty())
      steps.back() = response.text.substr(static_cast<size_t>(steps.back().data() - response.text.data()));
    return steps;
  }

  double of_all(std::span<const double> right) const {
    if (aggregate == "last") return right.back();
    if (aggregate == "min") return *std::min_element(right.begin(), right.end());
    double sum = 0, product = 1;
    for (const double p : right) sum += p, product *= p;
    return aggregate == "product" ? product : sum / static_cast<double>(right.size());
  }

  hone_reward_model service_{};
  std::vector<std::string> separators_;
};

}  // namespace

HONE_PLUGIN("org.hone.prm", "1.0.0", hone::component<Prm>("prm", "how likely each step of a response is right, by a process reward model"));
