// failure.h -- errors that reach the user: one sentence that names the thing, the value found, where, and the next step.
#pragma once

#include <stdexcept>
#include <string>

namespace hone {

// The work cannot go on; the program exits with 1.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What was asked for is wrong, before any work began: the command line, a file that it names and that is not there, a
// script, a setting. The program exits with 2. What is wrong inside a data or model file is a Failure.
struct UsageError : Failure {
  using Failure::Failure;
};

}  // namespace hone
