// bench.h -- the parts of a scorer opened in this process: what a worker runs, and what isolation = "none" runs in the trainer.
#pragma once

#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "core/reward/scorer.h"

namespace hone {

// A plugin wrote outside its buffers: nothing in this process can be trusted any more.
struct Poisoned : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class RewardBench {
 public:
  RewardBench(std::vector<RewardPart>, uint64_t seed, const WorkerServices &);  // Failure naming the part that cannot be opened
  ~RewardBench();
  RewardBench(const RewardBench &) = delete;
  // One score per row, in order. A call that fails as a whole is repeated row by row, so that only the guilty rows are lost.
  PartScores score(uint32_t part, std::span<const ScoreRow>);

 private:
  struct Part;
  std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace hone
