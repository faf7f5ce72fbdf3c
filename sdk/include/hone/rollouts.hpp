// rollouts.hpp -- what stages that sample share: the settings of sampling, prompts, responses and their scores (draft: may
// still change).
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "hone/json.hpp"
#include "hone/stage.hpp"

namespace hone HONE_HIDDEN {

// A setting that is a list of texts. Error, by the setting's name, for anything else.
inline std::vector<std::string> texts_of(const JsonList &setting, const std::string &name) {
  std::vector<std::string> texts;
  const Json list = Json::parse(setting.text);
  for (const Json &text : list.as_list()) {
    if (text.type() != Json::string || text.as_string().empty())
      throw Error(name + " must be a list of texts, none of them empty, but it holds " + text.text());
    texts.emplace_back(text.as_string());
  }
  return texts;
}

// A base of a stage that samples; sampling_params() joins its settings to the stage's own:
//   static auto params() { return std::tuple_cat(hone::params(...), hone::sampling_params()); }
struct SamplingSettings {
  uint32_t num_generations = 4, max_completion_length = 256, batch_size = 64, top_k = 0;
  float temperature = 1, top_p = 1, min_p = 0;
  JsonList stop;

  // Error when `stop` holds anything but texts: call it in start(), too, so that `hone plan` finds that.
  Sampling sampling(uint32_t step) const {
    return {num_generations, max_completion_length, top_k, temperature, top_p, min_p, step, texts_of(stop, "stop")};
  }
};

constexpr auto sampling_params() {
  using S = SamplingSettings;
  return params(
      param("num_generations", &S::num_generations, "responses to each prompt: the k of pass@k", {.min = 1, .max = 65536}),
      param("temperature", &S::temperature, "of sampling; 0: greedy", {.min = 0, .max = 100}),
      param("top_p", &S::top_p, "sample from the most likely tokens that together have this probability; 1: all",
            {.min = 1e-6, .max = 1}),
      param("min_p", &S::min_p, "sample only tokens with at least this share of the likeliest one's probability",
            {.min = 0, .max = 1}),
      param("top_k", &S::top_k, "sample only from this many likeliest tokens; 0: all"),
      param("max_completion_length", &S::max_completion_length, "tokens of a response at most", {.min = 1, .max = 1e6}),
      param("stop", &S::stop, "texts: a response ends with the token that completes one of them, which stays in it"),
      param("batch_size", &S::batch_size, "prompts in one step", {.min = 1, .max = 1e6}));
}

// The rows of a data handle, column by column. The host reads the same rows each time, so a stage saves a place among them.
struct Prompts {
  std::vector<std::string> prompt, answer, columns, domain;
  size_t size() const { return prompt.size(); }

  static Prompts read(const StageHost &host, DataHandle data) {
    const TableView rows = host.data(data);
    Prompts out;
    const auto take = [&rows](const char *name, std::vector<std::string> &to, const char *fallback) {
      const bool there = rows.has(name);  // a test's host may give prompts alone
      for (uint64_t i = 0; i < rows.rows(); ++i) to.emplace_back(there ? rows.text(name, i) : fallback);
    };
    take("prompt", out.prompt, "");
    take("answer", out.answer, "");
    take("columns", out.columns, "{}");
    take("domain", out.domain, "");
    if (out.prompt.empty()) throw Error("the prompts have no rows");
    return out;
  }
};

// Responses, column by column, num_generations to each prompt, beside their prompt's own columns.
struct Responses {
  std::vector<std::string> prompt, response, answer, columns, domain;
  std::vector<std::vector<int32_t>> ids;
  std::vector<int64_t> truncated;
  std::vector<std::vector<int32_t>> step_start, step_text;  // where steps begin, in ids and in response; of sampling with step_separators
  size_t size() const { return response.size(); }

  // To prompts[begin] .. prompts[end - 1].
  static Responses sample(const StageHost &host, ModelHandle model, const Prompts &prompts, size_t begin, size_t end,
                          const Sampling &how) {
    Table asked;
    asked.texts("prompt", {prompts.prompt.begin() + static_cast<ptrdiff_t>(begin),
                           prompts.prompt.begin() + static_cast<ptrdiff_t>(end)});
    const TableView rows = host.rollout(model, asked.view(), how);
    if (rows.rows() != (end - begin) * how.num_generations)
      throw Error("the host gave " + std::to_string(rows.rows()) + " responses, not " +
                  std::to_string((end - begin) * how.num_generations));
    Responses out;
    for (uint64_t i = 0; i < rows.rows(); ++i) {
      const size_t from = begin + static_cast<size_t>(i / how.num_generations);
      out.prompt.push_back(prompts.prompt[from]);
      out.answer.push_back(prompts.answer[from]);
      out.columns.push_back(prompts.columns[from]);
      out.domain.push_back(prompts.domain[from]);
      out.response.emplace_back(rows.text("response", i));
      const auto ids = rows.int_list("ids", i);
      out.ids.emplace_back(ids.begin(), ids.end());
      out.truncated.push_back(rows.ints("truncated")[i]);
      if (how.step_separators.empty()) continue;
      const auto start = rows.int_list("step_start", i), text = rows.int_list("step_text", i);
      out.step_start.emplace_back(start.begin(), start.end());
      out.step_text.emplace_back(text.begin(), text.end());
    }
    return out;
  }

  Table table() const {
    Table out;
    out.texts("prompt", prompt).texts("response", response).texts("answer", answer).texts("columns", columns);
    out.texts("domain", domain).ints("truncated", truncated);
    return out;
  }
};

// One number for each response; NaN: no score.
struct Scores {
  std::vector<double> reward;                        // the weighted sum
  std::map<std::string, std::vector<double>> parts;  // of each reward of these responses' domains, by its label

  static Scores of(const StageHost &host, RewardHandle rewards, const Responses &responses, uint32_t step) {
    Table rows = responses.table();
    rows.int_lists("ids", responses.ids);
    const TableView table = host.score(rewards, rows.view(), step);
    Scores out;
    for (const hone_column &column : table.columns()) {
      const std::string name(detail::view(column.name));
      const auto values = table.floats(name);
      (name == "reward" ? out.reward : out.parts[name]).assign(values.begin(), values.end());
    }
    if (out.reward.size() != responses.size()) throw Error("the host gave no \"reward\" column");
    return out;
  }
};

}  // namespace hone
