// prompt_walk.hpp -- how far a stage that samples has come through its prompts, and which responses it has met: what such a stage saves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <hone/json.hpp>
#include <hone/rollouts.hpp>
#include <set>

namespace hone HONE_HIDDEN {

class PromptWalk {
 public:
  Prompts prompts;        // after read()
  size_t next = 0;        // first prompt of the next step
  uint32_t steps = 0;     // made so far
  uint64_t sampled = 0;   // responses so far

  // Once in a process; the host reads the same rows each time.
  void read(const StageHost &host, DataHandle data) {
    if (prompts.size() > 0) return;
    prompts = Prompts::read(host, data);
    if (next > prompts.size())
      throw Error("the saved place is prompt " + std::to_string(next) + " of " + std::to_string(prompts.size()) +
                  ": the prompts have changed since; start a new run");
  }
  bool at_end() const { return next >= prompts.size(); }
  size_t end_of_batch(size_t batch_size) const { return std::min(prompts.size(), next + batch_size); }
  // A step that sampled for the prompts before `end` is done.
  void advance(const StageHost &host, size_t end) {
    next = end;
    ++steps;
    host.progress(next, prompts.size());
  }
  // Whether this response to this prompt was not met before.
  bool is_new(std::string_view prompt, std::string_view response) { return seen_.insert(fingerprint(prompt, response)).second; }

  // A stage's own columns go beside these.
  std::map<std::string, Json> save() const {
    std::vector<Json> seen;
    for (const uint64_t h : seen_) seen.emplace_back(static_cast<int64_t>(h));
    return {{"next", next}, {"steps", steps}, {"sampled", sampled}, {"seen", std::move(seen)}};
  }
  void load(const Json &state) {
    next = static_cast<size_t>(state["next"].as_integer());
    steps = static_cast<uint32_t>(state["steps"].as_integer());
    sampled = static_cast<uint64_t>(state["sampled"].as_integer());
    seen_.clear();
    for (const Json &h : state["seen"].as_list()) seen_.insert(static_cast<uint64_t>(h.as_integer()));
  }

 private:
  // 64-bit FNV-1a of both, apart.
  static uint64_t fingerprint(std::string_view prompt, std::string_view response) {
    uint64_t h = 0xcbf29ce484222325u;
    for (const std::string_view text : {prompt, response}) {
      for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
      h = (h ^ 0xff) * 0x100000001b3u;  // not a byte of UTF-8, so "ab","c" and "a","bc" differ
    }
    return h;
  }
  std::set<uint64_t> seen_;
};

}  // namespace hone
