// child.h -- runs this same program anew, with a deadline, for work that may crash or hang.
#pragma once

#include <string>
#include <vector>

namespace hone {

struct ChildResult {
  bool started = false, timed_out = false;
  int status = 0;       // as waitpid gives it
  std::string output;   // what it wrote to stdout (at most 16 MiB)
  std::string errors;   // the end of what it wrote to stderr
  bool ended_well() const;
  // "crashed (Segmentation fault)", "ended itself with exit code 3", "was still running after 10 s": for sentences.
  std::string how_it_ended(double deadline) const;
};

// The program is /proc/self/exe, or $HONE_PROBE_PROGRAM (tests). Kills the child's whole process group at the end.
ChildResult run_child(const std::vector<std::string> &arguments, double deadline);

// For the child: no core files, an end when the parent ends, and stdout kept for data: what a plugin prints goes to stderr.
// Returns the descriptor for data.
int begin_child();
void write_all(int descriptor, const std::string &bytes);
[[noreturn]] void end_child(int code);  // without running destructors that a plugin left

}  // namespace hone
