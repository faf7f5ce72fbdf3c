// prefix_tree.h -- which pages of a KV cache hold which tokens: a sequence that begins as another one did costs only the tokens that are
// its own. A radix tree over pages, the longest unused given up first (SGLang's RadixAttention, arXiv 2312.07104, section 3).
//
// What a page holds depends on its tokens and on those before them, to the bit, whoever computed it; so sharing changes no result.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "core/tape/tape.h"

namespace hone {

// All of a cache's pages are taken, shared and released through its tree, which holds a reference to each page it knows. A page that
// nobody else holds is idle: it stays until there are too many of them, or until its room is needed.
class PrefixTree {
 public:
  explicit PrefixTree(KvCache &);

  void keep(uint32_t most_idle);  // from here on; 0: a page is forgotten when its last sequence ends
  uint32_t available() const { return cache_.free_pages() + static_cast<uint32_t>(idle_.size()); }
  uint32_t take();
  void share(uint32_t page);
  void release(std::vector<uint32_t> &pages);  // of one sequence, in its order

  // The longest beginning of ids that is known: whole pages, each shared with the caller, and then the first of a page that
  // the caller may copy, shared as well, where there is one.
  struct Match {
    std::vector<uint32_t> pages;
    int64_t part = -1;             // that page
    uint32_t tokens = 0;           // in all
    const void *filler = nullptr;  // who has yet to compute the last of the pages; null: they hold their tokens
  };
  Match match(std::span<const int32_t> ids);
  uint32_t known(std::span<const int32_t> ids) const;  // tokens that match() would find

  // The pages of a sequence that is whole: they are known from here on. A page whose tokens another page holds is exchanged for that one.
  void insert(std::span<const int32_t> ids, std::vector<uint32_t> &pages);
  // The whole pages of one that `filler` has begun to compute; filled() when they hold their tokens.
  void insert_unfilled(std::span<const int32_t> ids, const std::vector<uint32_t> &pages, const void *filler);
  void filled(const std::vector<uint32_t> &pages, const void *filler);
  void clear();  // of what is idle

 private:
  struct Node {
    Node *parent = nullptr;
    std::map<std::vector<int32_t>, std::unique_ptr<Node>> children;  // by tokens, of which none begins with another's
    const std::vector<int32_t> *tokens = nullptr;                    // its key; those of a whole page, or fewer in a leaf
    uint32_t page = 0;
    uint64_t used = 0;  // later than that of every child
    const void *filler = nullptr;
  };
  // The child that has the most first tokens of `ids` (at most a page), none of them to be computed yet; how many those are.
  std::pair<Node *, uint32_t> closest(const Node &, std::span<const int32_t> ids) const;
  Node *descend(std::span<const int32_t> ids, std::vector<Node *> *path) const;
  Node *add(Node &parent, std::vector<int32_t> tokens, uint32_t page, const void *filler);
  void use(Node *);  // it and its ancestors
  void forget(Node *);
  void forget_idle(size_t most);

  KvCache &cache_;
  uint32_t page_tokens_;
  size_t most_idle_ = 0;
  Node root_;
  std::vector<Node *> node_of_;                   // of each page; null: the tree does not know it
  std::set<std::pair<uint64_t, uint32_t>> idle_;  // by when they were used last: a page comes after those that follow it
  uint64_t clock_ = 0;
};

}  // namespace hone
