// layout.h -- how parameters lie in the flat buffer, and how shapes are written in messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hone {

uint64_t align_floats(uint64_t n);                          // the next multiple of 16 floats: one cache line
std::string shape_text(const std::vector<uint32_t> &dims);  // "[64, 48]"
std::string shape_text(const std::vector<uint64_t> &dims);

}  // namespace hone
