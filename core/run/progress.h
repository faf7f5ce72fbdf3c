// progress.h -- how far a long piece of work is, on stderr: one moving line with an ETA on a terminal, else plain lines now and then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace hone {

class Progress {
 public:
  Progress(std::string what, uint64_t total);  // "02 first_rl"
  ~Progress();                                 // leaves a final line
  void update(uint64_t done, const std::string &note = "");  // note: "reward 0.83  length 31"; cheap to call often

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hone
