// response_steps.h -- where the reasoning steps of a response begin: process supervision, Uesato et al., arXiv 2211.14275; Lightman et
// al., arXiv 2305.20050 (a step is a line).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/text/tokenizer.h"

namespace hone {

// Empty for a response without tokens; else the first step begins at 0 in both, and each next one ends the one before.
struct ResponseSteps {
  std::vector<uint32_t> start;  // in ids
  std::vector<uint32_t> text;   // bytes of the response's text: all tokens decoded, but for a last one that ends the response
};

// A step ends with the token that completes a separator (none of them is empty), the last one with the response. What has
// nothing but white space before its separator is no step by itself: it belongs to the step that follows, or, at the end of the
// response, to the one before.
ResponseSteps response_steps(const Tokenizer &, const std::vector<int32_t> &ids, const std::vector<std::string> &separators);

}  // namespace hone
