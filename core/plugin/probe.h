// probe.h -- both sides of the first look at a library: the child's, and the parent's memory of what children said.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/plugin/registry.h"

namespace hone {

constexpr double kProbeDeadline = 10;  // seconds

// Results by path, size and modification time, in $XDG_CACHE_HOME/hone/probes.json (else ~/.cache). Only what a child said
// is kept; deaths and time-outs are looked at anew. Without a writable folder nothing is kept. Thread-safe.
class ProbeCache {
 public:
  ProbeCache();
  ~ProbeCache();  // writes, when something changed
  bool find(const std::filesystem::path &library, std::vector<ComponentInfo> &, std::vector<Refusal> &) const;
  void keep(const std::filesystem::path &library, const nlohmann::json &said);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

void probe_library(const std::filesystem::path &, std::vector<ComponentInfo> &, std::vector<Refusal> &, ProbeCache *);

}  // namespace hone
