// search.cpp -- see search.h.
#include "search.h"

#include <algorithm>

namespace mcts HONE_HIDDEN {

double squashed(double value_head) { return std::tanh(value_head / 2); }
double of_reward(double reward) { return std::isnan(reward) ? 0 : 2 * std::clamp(reward, 0.0, 1.0) - 1; }

Search::Search(const hone::StageHost &host, const Settings &settings, hone::ModelHandle policy, hone::ModelHandle value,
               uint32_t &samplings, uint32_t step)
    : host_(host), settings_(settings), policy_(policy), value_(value), samplings_(samplings), step_(step) {}

uint32_t Search::remaining(const Place &at) const {
  const auto so_far = static_cast<uint32_t>(trees_[at.tree].ids(at.node).size());
  return settings_.max_completion_length - std::min(so_far, settings_.max_completion_length);
}

// What the policy says after each place, at most so many tokens.
hone::TableView Search::sample(const std::vector<Place> &places, hone::Sampling how, const std::vector<uint32_t> &lengths) {
  std::vector<std::string> prompt;
  std::vector<std::vector<int32_t>> ids;
  for (const Place &at : places) {
    prompt.push_back(prompts_->prompt[begin_ + at.tree]);
    ids.push_back(trees_[at.tree].ids(at.node));
  }
  how.step = ++samplings_;
  how.max_completion_length = *std::ranges::max_element(lengths);
  hone::Table asked;
  asked.texts("prompt", prompt).int_lists("ids", ids).ints("max_completion_length", {lengths.begin(), lengths.end()});
  const hone::TableView rows = host_.rollout(policy_, asked.view(), how);
  if (rows.rows() != places.size() * how.num_generations)
    throw hone::Error("the host gave " + std::to_string(rows.rows()) + " responses, not " +
                      std::to_string(places.size() * how.num_generations));
  for (uint64_t i = 0; i < rows.rows(); ++i) {
    cost_.generated += rows.int_list("ids", i).size();
    cost_.computed += static_cast<uint64_t>(rows.ints("computed")[i]);
    cost_.reused += static_cast<uint64_t>(rows.ints("reused")[i]);
  }
  return rows;
}

// last: the steps after these places are the last that the depth allows, and run to their responses' ends.
void Search::expand(const std::vector<Place> &places, bool last) {
  if (places.empty()) return;
  std::vector<uint32_t> lengths;
  for (const Place &at : places) lengths.push_back(last ? remaining(at) : std::min(settings_.max_step_length, remaining(at)));
  const hone::TableView rows = sample(places,
                                      {.num_generations = settings_.children,
                                       .temperature = settings_.temperature,
                                       .stop = last ? std::vector<std::string>() : settings_.separators},
                                      lengths);
  std::vector<Place> ends;
  for (size_t p = 0; p < places.size(); ++p) {
    Tree &tree = trees_[places[p].tree];
    std::vector<Step> steps;
    for (uint64_t i = p * settings_.children; i < (p + 1) * settings_.children; ++i) {
      Step &step = steps.emplace_back();
      const auto ids = rows.int_list("ids", i);
      step.ids.assign(ids.begin(), ids.end());
      step.text = rows.text("response", i);
      double sum = 0;
      for (const float logp : rows.float_list("logprobs", i)) sum += logp;
      step.likelihood = std::exp(sum / static_cast<double>(ids.size()));
      const int64_t ended = rows.ints("ended")[i];
      const bool no_more = last || ended == HONE_ENDED_BY_POSITIONS || ids.size() == remaining(places[p]);
      step.end = ended == HONE_ENDED ? End::finished : no_more ? End::cut_off : End::open;
    }
    tree.expand(places[p].node, steps);
    for (const int32_t child : tree[places[p].node].children)
      if (tree[child].step.end != End::open) ends.push_back({places[p].tree, child});
  }
  judge_ends(ends);
}

// Every response that came to its end, whether it will be visited or not: each may be a solution.
void Search::judge_ends(const std::vector<Place> &ends) {
  if (ends.empty()) return;
  if (!settings_.rewards_seen) return value(ends);
  std::vector<size_t> question;
  std::vector<std::string> text;
  std::vector<std::vector<int32_t>> ids;
  std::vector<int64_t> truncated;
  for (const Place &at : ends) {
    const Tree &tree = trees_[at.tree];
    question.push_back(begin_ + at.tree);
    text.push_back(tree[at.node].step.text);
    ids.push_back(tree.ids(at.node));
    truncated.push_back(tree[at.node].step.end == End::cut_off);
  }
  const std::vector<double> reward = rewards(question, text, ids, truncated);
  for (size_t i = 0; i < ends.size(); ++i) {
    Node &node = trees_[ends[i].tree][ends[i].node];
    node.reward = reward[i];
    node.value = of_reward(reward[i]);
  }
}

std::vector<double> Search::rewards(const std::vector<size_t> &questions, const std::vector<std::string> &texts,
                                    const std::vector<std::vector<int32_t>> &ids, const std::vector<int64_t> &truncated) {
  hone::Responses responses;
  for (size_t i = 0; i < questions.size(); ++i) {
    responses.prompt.push_back(prompts_->prompt[questions[i]]);
    responses.answer.push_back(prompts_->answer[questions[i]]);
    responses.columns.push_back(prompts_->columns[questions[i]]);
    responses.domain.push_back(prompts_->domain[questions[i]]);
  }
  responses.response = texts;
  responses.ids = ids;
  responses.truncated = truncated;
  return hone::Scores::of(host_, settings_.rewards, responses, step_).reward;
}

void Search::value(const std::vector<Place> &places) {
  if (places.empty()) return;
  if (!value_) return value_by_rollouts(places);
  std::vector<std::string> prompt;
  std::vector<std::vector<int32_t>> ids;
  for (const Place &at : places) {
    prompt.push_back(prompts_->prompt[begin_ + at.tree]);
    ids.push_back(trees_[at.tree].ids(at.node));
    if (trees_[at.tree][at.node].step.end == End::finished) ids.back().pop_back();
  }
  hone::Table asked;
  asked.texts("prompt", prompt).int_lists("ids", ids);
  const hone::TableView rows = host_.values(value_, asked.view());
  for (size_t i = 0; i < places.size(); ++i) {
    trees_[places[i].tree][places[i].node].value = squashed(rows.floats("value")[i]);
    cost_.value_computed += static_cast<uint64_t>(rows.ints("computed")[i]);
    cost_.value_reused += static_cast<uint64_t>(rows.ints("reused")[i]);
  }
}

void Search::value_by_rollouts(const std::vector<Place> &places) {
  const uint32_t n = settings_.num_rollouts;
  std::vector<uint32_t> lengths;
  for (const Place &at : places) lengths.push_back(remaining(at));
  const hone::TableView rows = sample(places, {.num_generations = n, .temperature = settings_.temperature}, lengths);
  std::vector<size_t> question;
  std::vector<std::string> text;
  std::vector<std::vector<int32_t>> ids;
  for (uint64_t i = 0; i < rows.rows(); ++i) {
    const Place &at = places[i / n];
    question.push_back(begin_ + at.tree);
    text.emplace_back(rows.text("response", i));
    ids.push_back(trees_[at.tree].ids(at.node));
    const auto more = rows.int_list("ids", i);
    ids.back().insert(ids.back().end(), more.begin(), more.end());
  }
  const auto truncated = rows.ints("truncated");
  const std::vector<double> reward = rewards(question, text, ids, {truncated.begin(), truncated.end()});
  for (size_t p = 0; p < places.size(); ++p) {
    double sum = 0, scored = 0;
    for (size_t i = p * n; i < (p + 1) * n; ++i)
      if (!std::isnan(reward[i])) sum += of_reward(reward[i]), ++scored;
    trees_[places[p].tree][places[p].node].value = scored > 0 ? sum / scored : 0;
  }
}

std::vector<Tree> Search::run(const hone::Prompts &prompts, size_t begin, size_t end) {
  prompts_ = &prompts;
  begin_ = begin;
  trees_.assign(end - begin, Tree());
  for (uint32_t simulation = 0; simulation < settings_.simulations; ++simulation) {
    std::vector<Place> leaves, open, steps, last_steps;
    for (size_t tree = 0; tree < trees_.size(); ++tree) {
      const Place at{tree, trees_[tree].leaf(settings_.rule, settings_.exploration)};
      const Node &node = trees_[tree][at.node];
      leaves.push_back(at);
      if (node.step.end != End::open) continue;
      open.push_back(at);
      (node.depth + 1 < settings_.depth ? steps : last_steps).push_back(at);
    }
    expand(steps, false);
    expand(last_steps, true);
    value(open);
    for (const Place &leaf : leaves) trees_[leaf.tree].back_up(leaf.node, trees_[leaf.tree][leaf.node].value);
  }
  return std::move(trees_);
}

std::vector<Search::Answer> Search::answers(const std::vector<Tree> &trees, const std::vector<int32_t> &leaves) {
  trees_ = trees;
  std::vector<Answer> all;
  std::vector<Place> open;
  std::vector<uint32_t> lengths;
  for (size_t tree = 0; tree < trees.size(); ++tree) {
    const Node &node = trees[tree][leaves[tree]];
    all.push_back({trees[tree].ids(leaves[tree]), node.step.text, node.step.end == End::cut_off,
                   node.visits              ? node.q()
                   : std::isnan(node.value) ? 0
                                            : node.value});
    if (node.step.end != End::open) continue;
    open.push_back({tree, leaves[tree]});
    lengths.push_back(remaining(open.back()));
  }
  if (open.empty()) return all;
  const hone::TableView rows = sample(open, {.num_generations = 1, .temperature = 0}, lengths);
  for (size_t i = 0; i < open.size(); ++i) {
    Answer &answer = all[open[i].tree];
    const auto ids = rows.int_list("ids", i);
    answer.ids.insert(answer.ids.end(), ids.begin(), ids.end());
    answer.text = rows.text("response", i);
    answer.truncated = rows.ints("truncated")[i] != 0;
  }
  return all;
}

}  // namespace HONE_HIDDEN
