// limits.h -- what one rendering may cost: a template comes with a stranger's model, and must not hang or fill the
// machine.
#pragma once

#include <cstdint>
#include <stdexcept>

namespace hone::jinja {

struct Limits {
  uint64_t steps = 50'000'000;     // one each: an expression, 16 bytes of text made or read (4 by characters), 8 names
  uint64_t memory = 256ull << 20;  // bytes of values and output that are alive at once
  uint64_t text = 64ull << 20;     // bytes of one text
  uint32_t depth = 600;            // expressions, statements and macros within one another
};

constexpr uint32_t deepest_value = 200;       // lists within lists, in values
constexpr uint32_t deepest_expression = 100;  // brackets within brackets, in the template's text
constexpr uint32_t longest_chain = 400;       // a + b + c + ...
constexpr uint32_t deepest_statement = 60;    // blocks within blocks
constexpr int64_t longest_range = 100'000;    // as jinja2's sandbox has it

// What is wrong, without the place: Template adds the template's name and the line.
struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace hone::jinja
