// refusal.h -- what a refused call says.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "core/base/failure.h"

namespace hone {

// "" when the call is not refused.
template <class Call>
std::string refusal_of(Call &&call) {
  try {
    call();
  } catch (const Failure &failure) {
    return failure.what();
  }
  return "";
}

}  // namespace hone

// The refusal names each of the words.
#define EXPECT_SAYS(said, ...)                                                                                        \
  do {                                                                                                                \
    const std::string said_here = (said);                                                                             \
    for (const std::string &word_here : std::initializer_list<std::string>{__VA_ARGS__})                              \
      EXPECT_TRUE(said_here.find(word_here) != std::string::npos) << "says: " << said_here << "\nnot: " << word_here; \
  } while (false)
