// tree.h -- one question's search tree: nodes are reasoning steps, chosen between by PUCT or UCT.
//
//   PUCT   Q + c P sqrt(N) / (1 + n)      AlphaMath, arXiv 2405.03553, eq. 5 (AlphaGo Zero's rule)
//   UCT    Q + c sqrt(ln N / n)           Kocsis & Szepesvari, ECML 2006; a child never visited comes first
//
// Q is the mean of the values backed up through a child, 0 before the first; n its visits, N its parent's, which count the parent's own.
// P is its prior: exp of the mean log-probability of its step's tokens, as AlphaMath has it, and children with the same tokens are one
// whose weights add; normalised over siblings. Of equal scores the greater prior is chosen, then the first sampled.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace mcts {

enum class Rule { puct, uct };
enum class End { open, finished, cut_off };  // open: may be gone on with; cut_off: ran into a limit of length

// A step that the policy proposes after some node.
struct Step {
  std::vector<int32_t> ids;
  std::string text;       // of the whole response so far, with it
  double likelihood = 0;  // exp of its tokens' mean log-probability
  End end = End::open;
};

struct Node {
  int32_t parent = -1;
  uint32_t depth = 0;
  Step step;
  double prior = 0;
  uint32_t visits = 0;
  double sum = 0;                // of the values backed up
  double value = std::nan("");   // what evaluating it gave, from -1 to 1
  double reward = std::nan("");  // of a response that is at its end
  std::vector<int32_t> children;

  double q() const { return visits == 0 ? 0 : sum / visits; }
};

double score(Rule, double exploration, double q, double prior, uint32_t visits, uint32_t parent_visits);

class Tree {
 public:
  Tree() : nodes_(1) {}
  const Node &operator[](int32_t node) const { return nodes_[static_cast<size_t>(node)]; }
  Node &operator[](int32_t node) { return nodes_[static_cast<size_t>(node)]; }
  int32_t size() const { return static_cast<int32_t>(nodes_.size()); }

  int32_t leaf(Rule, double exploration) const;               // from the root by the rule
  void expand(int32_t node, const std::vector<Step> &steps);  // equal ones become one child
  void back_up(int32_t node, double value);
  std::vector<int32_t> path(int32_t node) const;  // from the root's child to it
  std::vector<int32_t> ids(int32_t node) const;   // of the response so far
  // Where the most visited children lead; of equals the one with the greater Q, then the greater prior, then the first.
  int32_t most_visited() const;

 private:
  std::vector<Node> nodes_;
};

}  // namespace mcts
