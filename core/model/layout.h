// layout.h -- how parameters lie in the flat buffer, and how shapes are written in messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hone/draft/model.h"

namespace hone {

struct ParameterInfo;

uint64_t align_floats(uint64_t n);                          // the next multiple of 16 floats: one cache line
std::string shape_text(const std::vector<uint32_t> &dims);  // "[64, 48]"
// Whether parameter `index` is multiplied with (and packed): not a vector, and not a table that is only looked up.
bool is_matrix(const ParameterInfo &, const hone_model_info &, uint32_t index);
std::string shape_text(const std::vector<uint64_t> &dims);

}  // namespace hone
