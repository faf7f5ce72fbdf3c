// prefix_tree.cpp -- see prefix_tree.h. Whoever holds a page holds those before it, so idle pages hang together at the leaves, and
// `used` puts the last of a path first: the first of idle_ is always a leaf.
#include "core/rollout/prefix_tree.h"

#include <algorithm>

namespace hone {

PrefixTree::PrefixTree(KvCache &cache) : cache_(cache), page_tokens_(cache.page_tokens()), node_of_(cache.pages(), nullptr) {}

void PrefixTree::keep(uint32_t most_idle) {
  most_idle_ = most_idle;
  forget_idle(most_idle_);
}

uint32_t PrefixTree::take() {
  if (cache_.free_pages() == 0 && !idle_.empty()) forget_idle(idle_.size() - 1);
  return cache_.take();
}

void PrefixTree::share(uint32_t page) {
  if (node_of_[page] && cache_.references(page) == 1) idle_.erase({node_of_[page]->used, page});
  cache_.share(page);
}

void PrefixTree::release(std::vector<uint32_t> &pages) {
  for (size_t i = pages.size(); i-- > 0;) {
    cache_.release(pages[i]);
    if (const Node *node = node_of_[pages[i]]; node && cache_.references(pages[i]) == 1) idle_.emplace(node->used, pages[i]);
  }
  pages.clear();
  forget_idle(most_idle_);
}

void PrefixTree::forget(Node *node) {
  const uint32_t page = node->page;
  idle_.erase({node->used, page});
  node_of_[page] = nullptr;
  cache_.release(page);
  const std::vector<int32_t> key = *node->tokens;
  node->parent->children.erase(key);
}

void PrefixTree::forget_idle(size_t most) {
  while (idle_.size() > most) forget(node_of_[idle_.begin()->second]);
}

void PrefixTree::clear() { forget_idle(0); }

void PrefixTree::use(Node *node) {
  for (; node != &root_; node = node->parent) {
    const bool idle = idle_.erase({node->used, node->page}) > 0;
    node->used = ++clock_;
    if (idle) idle_.emplace(node->used, node->page);
  }
}

std::pair<PrefixTree::Node *, uint32_t> PrefixTree::closest(const Node &node, std::span<const int32_t> ids) const {
  const std::vector<int32_t> wanted(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(std::min<size_t>(ids.size(), page_tokens_)));
  std::pair<Node *, uint32_t> best{nullptr, 0};
  const auto consider = [&](const auto &child) {
    const auto differs = std::ranges::mismatch(child->first, wanted);
    const auto common = static_cast<uint32_t>(differs.in2 - wanted.begin());
    if (common > best.second && !child->second->filler) best = {child->second.get(), common};
  };
  // In order of their tokens, those with the most in common stand beside where the wanted ones would.
  const auto after = node.children.lower_bound(wanted);
  if (after != node.children.end()) consider(after);
  if (after != node.children.begin()) consider(std::prev(after));
  return best;
}

// The last node whose whole pages the ids begin with.
PrefixTree::Node *PrefixTree::descend(std::span<const int32_t> ids, std::vector<Node *> *path) const {
  const Node *node = &root_;
  while (ids.size() >= page_tokens_) {
    const auto child = node->children.find({ids.begin(), ids.begin() + page_tokens_});
    if (child == node->children.end()) break;
    node = child->second.get();
    if (path) path->push_back(child->second.get());
    ids = ids.subspan(page_tokens_);
  }
  return const_cast<Node *>(node);
}

PrefixTree::Match PrefixTree::match(std::span<const int32_t> ids) {
  Match found;
  std::vector<Node *> path;
  Node *last = descend(ids, &path);
  for (const Node *node : path) {
    share(node->page);
    found.pages.push_back(node->page);
  }
  found.tokens = static_cast<uint32_t>(path.size()) * page_tokens_;
  found.filler = last->filler;
  const auto [part, common] = closest(*last, ids.subspan(found.tokens));
  use(part ? part : last);
  if (part) {
    share(part->page);
    found.part = part->page;
    found.tokens += common;
  }
  return found;
}

uint32_t PrefixTree::known(std::span<const int32_t> ids) const {
  std::vector<Node *> path;
  const Node *last = descend(ids, &path);
  const auto tokens = static_cast<uint32_t>(path.size()) * page_tokens_;
  return tokens + closest(*last, ids.subspan(tokens)).second;
}

PrefixTree::Node *PrefixTree::add(Node &parent, std::vector<int32_t> tokens, uint32_t page, const void *filler) {
  auto after = parent.children.lower_bound(tokens);
  // A shorter one that these go on from has nothing that they have not.
  if (after != parent.children.begin()) {
    const auto before = std::prev(after);
    if (std::ranges::mismatch(before->first, tokens).in1 == before->first.end()) forget(before->second.get());
  }
  cache_.share(page);
  auto made = std::make_unique<Node>();
  Node *node = made.get();
  node->parent = &parent, node->page = page, node->filler = filler;
  node->tokens = &parent.children.emplace(std::move(tokens), std::move(made)).first->first;
  node_of_[page] = node;
  return node;
}

void PrefixTree::insert(std::span<const int32_t> ids, std::vector<uint32_t> &pages) {
  Node *node = &root_;
  for (size_t i = 0; !ids.empty(); ++i) {
    std::vector<int32_t> tokens(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(std::min<size_t>(ids.size(), page_tokens_)));
    ids = ids.subspan(tokens.size());
    const auto there = node->children.lower_bound(tokens);
    const bool known = there != node->children.end() && std::ranges::mismatch(there->first, tokens).in2 == tokens.end();
    if (known && there->first.size() > tokens.size()) break;  // the end of these is the beginning of a longer one
    if (known && there->second->filler) break;                // nothing can hang on what may never be computed
    if (!known) {
      if (node_of_[pages[i]]) break;  // it stands elsewhere already, as part of a path that was exchanged
      node = add(*node, std::move(tokens), pages[i], nullptr);
      continue;
    }
    node = there->second.get();
    if (node->page == pages[i]) continue;
    share(node->page);
    std::vector<uint32_t> own{std::exchange(pages[i], node->page)};
    release(own);
  }
  use(node);
}

void PrefixTree::insert_unfilled(std::span<const int32_t> ids, const std::vector<uint32_t> &pages, const void *filler) {
  Node *node = &root_;
  for (size_t i = 0; ids.size() >= page_tokens_; ++i) {
    std::vector<int32_t> tokens(ids.begin(), ids.begin() + page_tokens_);
    ids = ids.subspan(page_tokens_);
    const auto there = node->children.find(tokens);
    if (there != node->children.end() && there->second->page != pages[i]) break;
    node = there != node->children.end() ? there->second.get() : add(*node, std::move(tokens), pages[i], filler);
  }
  use(node);
}

void PrefixTree::filled(const std::vector<uint32_t> &pages, const void *filler) {
  for (const uint32_t page : pages)
    if (node_of_[page] && node_of_[page]->filler == filler) node_of_[page]->filler = nullptr;
}

}  // namespace hone
