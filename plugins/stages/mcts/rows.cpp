// rows.cpp -- see rows.h.
#include "rows.h"

#include <algorithm>

#include "search.h"

namespace mcts HONE_HIDDEN {

using hone::Json;

namespace {

Solution solution_at(const Tree &tree, int32_t end, size_t question, double threshold) {
  const Node &node = tree[end];
  Solution out{
      question, node.step.text, tree.ids(end), node.reward >= threshold, node.step.end == End::finished, node.reward, node.visits, {}, {},
      {}};
  std::string before;
  uint32_t tokens = 0;
  for (const int32_t at : tree.path(end)) {
    const Node &step = tree[at];
    // A character whose bytes two steps share is told otherwise in the shorter text; the longer one's part is the step then.
    const size_t common = static_cast<size_t>(std::ranges::mismatch(step.step.text, before).in1 - step.step.text.begin());
    tokens += static_cast<uint32_t>(step.step.ids.size());
    const bool nothing = common == step.step.text.size();  // it says nothing, but that the response is at its end
    before = step.step.text;
    if (nothing) continue;
    out.steps.push_back(step.step.text.substr(common));
    out.ends.push_back(step.step.end == End::finished ? tokens - 1 : tokens);
    out.labels.push_back(label_of(at == end ? step.value : step.q()));
  }
  return out;
}

}  // namespace

std::vector<Solution> solutions(const Tree &tree, size_t question, double threshold, uint32_t most) {
  std::vector<Solution> all, chosen;
  for (int32_t node = 1; node < tree.size(); ++node)
    if (!std::isnan(tree[node].reward)) all.push_back(solution_at(tree, node, question, threshold));
  std::erase_if(all, [](const Solution &solution) { return solution.steps.empty(); });  // ended before it had begun
  std::ranges::stable_sort(all, std::greater<>(), &Solution::visits);
  uint32_t count[2] = {0, 0};
  for (Solution &solution : all)
    if (count[solution.right]++ < most) chosen.push_back(std::move(solution));
  return chosen;
}

hone::Table data_rows(const hone::Prompts &prompts, const std::vector<Solution> &all) {
  std::vector<std::string> prompt, response, answer, columns, domain;
  std::vector<double> reward;
  std::vector<int64_t> visits;
  for (const Solution &one : all) {
    prompt.push_back(prompts.prompt[one.question]);
    response.push_back(one.text);
    answer.push_back(prompts.answer[one.question]);
    domain.push_back(prompts.domain[one.question]);
    reward.push_back(one.reward);
    visits.push_back(one.visits);
    std::map<std::string, Json> own;
    if (const Json row = Json::parse(prompts.columns[one.question]); row.is_table()) own = row.as_table();
    own["steps"] = std::vector<Json>(one.steps.begin(), one.steps.end());
    own["labels"] = std::vector<Json>(one.labels.begin(), one.labels.end());
    columns.push_back(Json(std::move(own)).text());
  }
  hone::Table table;
  table.texts("prompt", prompt).texts("response", response).texts("answer", answer).texts("columns", columns).texts("domain", domain);
  table.floats("reward", reward).ints("visits", visits);
  return table;
}

void Lessons::add_response(const hone::Prompts &prompts, const Solution &one) {
  prompt.push_back(prompts.prompt[one.question]);
  ids.push_back(one.ids);
}

void Lessons::add_values(const hone::Prompts &prompts, const Solution &one) {
  prompt.push_back(prompts.prompt[one.question]);
  ids.push_back(one.ids);
  std::vector<float> &labels = step_reward.emplace_back(one.ids.size(), std::nanf(""));
  for (size_t i = 0; i < one.ends.size(); ++i) labels[one.ends[i] - 1] = static_cast<float>(one.labels[i]);
}

hone::Table Lessons::table(const std::vector<size_t> &which) const {
  const auto pick = [&which](const auto &all) {
    std::decay_t<decltype(all)> picked;
    for (const size_t i : which) picked.push_back(all[i]);
    return picked;
  };
  hone::Table out;
  out.texts("prompt", pick(prompt)).int_lists("ids", pick(ids));
  if (!step_reward.empty()) out.float_lists("step_reward", pick(step_reward));
  return out;
}

Json Lessons::json() const {
  std::vector<Json> rows;
  for (size_t i = 0; i < size(); ++i) {
    std::map<std::string, Json> row{{"prompt", prompt[i]}, {"ids", std::vector<Json>(ids[i].begin(), ids[i].end())}};
    if (!step_reward.empty()) row["step_reward"] = std::vector<Json>(step_reward[i].begin(), step_reward[i].end());  // NaN is null
    rows.emplace_back(std::move(row));
  }
  return Json(std::move(rows));
}

Lessons Lessons::of(const Json &saved) {
  Lessons out;
  for (const Json &row : saved.as_list()) {
    out.prompt.push_back(row["prompt"].as_string());
    auto &tokens = out.ids.emplace_back();
    for (const Json &id : row["ids"].as_list()) tokens.push_back(static_cast<int32_t>(id.as_integer()));
    if (!row["step_reward"].is_list()) continue;
    auto &labels = out.step_reward.emplace_back();
    for (const Json &label : row["step_reward"].as_list())
      labels.push_back(label.is_null() ? std::nanf("") : static_cast<float>(label.as_number()));
  }
  return out;
}

}  // namespace HONE_HIDDEN
