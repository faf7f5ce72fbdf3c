// tree.cpp -- see tree.h.
#include "tree.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace mcts {

double score(Rule rule, double exploration, double q, double prior, uint32_t visits, uint32_t parent_visits) {
  if (rule == Rule::puct)
    return q + exploration * prior * std::sqrt(static_cast<double>(parent_visits)) / (1 + static_cast<double>(visits));
  if (visits == 0) return std::numeric_limits<double>::infinity();
  return q + exploration * std::sqrt(std::log(static_cast<double>(parent_visits)) / visits);
}

int32_t Tree::leaf(Rule rule, double exploration) const {
  int32_t at = 0;
  while (!(*this)[at].children.empty()) {
    const Node &node = (*this)[at];
    std::pair<double, double> best;
    for (const int32_t child : node.children) {
      const Node &one = (*this)[child];
      const std::pair<double, double> worth{score(rule, exploration, one.q(), one.prior, one.visits, node.visits), one.prior};
      if (child == node.children.front() || worth > best) best = worth, at = child;
    }
  }
  return at;
}

void Tree::expand(int32_t node, const std::vector<Step> &steps) {
  std::vector<int32_t> children;
  double all = 0;
  for (const Step &step : steps) {
    all += step.likelihood;
    const auto same = std::ranges::find_if(children, [&](int32_t child) { return (*this)[child].step.ids == step.ids; });
    if (same != children.end()) {
      (*this)[*same].prior += step.likelihood;
      continue;
    }
    children.push_back(size());
    Node &child = nodes_.emplace_back();
    child.parent = node;
    child.depth = (*this)[node].depth + 1;
    child.step = step;
    child.prior = step.likelihood;
  }
  // So unlikely that they underflow: nothing tells them apart.
  for (const int32_t child : children)
    (*this)[child].prior = all > 0 ? (*this)[child].prior / all : 1.0 / static_cast<double>(children.size());
  (*this)[node].children = std::move(children);
}

void Tree::back_up(int32_t node, double value) {
  for (; node >= 0; node = (*this)[node].parent) {
    ++(*this)[node].visits;
    (*this)[node].sum += value;
  }
}

std::vector<int32_t> Tree::path(int32_t node) const {
  std::vector<int32_t> nodes;
  for (; node > 0; node = (*this)[node].parent) nodes.push_back(node);
  std::ranges::reverse(nodes);
  return nodes;
}

std::vector<int32_t> Tree::ids(int32_t node) const {
  std::vector<int32_t> all;
  for (const int32_t step : path(node)) all.insert(all.end(), (*this)[step].step.ids.begin(), (*this)[step].step.ids.end());
  return all;
}

int32_t Tree::most_visited() const {
  int32_t at = 0;
  while (!(*this)[at].children.empty()) {
    const std::vector<int32_t> &children = (*this)[at].children;
    const auto worth = [this](int32_t child) { return std::tuple((*this)[child].visits, (*this)[child].q(), (*this)[child].prior); };
    at = *std::ranges::max_element(children, {}, worth);  // the first of equals
  }
  return at;
}

}  // namespace mcts
