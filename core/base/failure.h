// failure.h -- errors that reach the user: one sentence that names the thing, the value found, where, and the next step.
#pragma once

#include <stdexcept>
#include <string>

namespace hone {

// The work cannot go on; the program exits with 1.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The command or its input was wrong before any work began (usage, script, settings); the program exits with 2.
struct UsageError : Failure {
  using Failure::Failure;
};

}  // namespace hone
