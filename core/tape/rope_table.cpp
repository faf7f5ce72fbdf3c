// rope_table.cpp -- RoFormer (arXiv 2104.09864) eq. 15: angle = position * inverse_frequency, computed in double.
#include "core/tape/rope_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/base/failure.h"

namespace hone {

RopeTables::~RopeTables() {
  for (const Table &table : tables_)
    if (table.data) kernels_.release(table.data);
}

uint32_t RopeTables::find(const hone_rope_shape &shape) {
  const uint32_t half = shape.size / 2;
  for (uint32_t i = 0; i < tables_.size(); ++i) {
    const Table &table = tables_[i];
    if (table.inverse_frequency.size() == half && table.magnitude == shape.magnitude &&
        std::memcmp(table.inverse_frequency.data(), shape.inverse_frequency, half * sizeof(float)) == 0)
      return i;
  }
  tables_.push_back({{shape.inverse_frequency, shape.inverse_frequency + half}, shape.magnitude, 0, nullptr});
  return static_cast<uint32_t>(tables_.size() - 1);
}

const float *RopeTables::table(hone_stream &stream, uint32_t number, uint32_t positions, uint32_t most) {
  Table &table = tables_[number];
  if (positions <= table.positions) return table.data;
  const uint32_t grown = std::max(positions, std::min(std::max(std::bit_ceil(positions), 256u), most));
  const size_t half = table.inverse_frequency.size();
  std::vector<float> values(grown * half * 2);
  for (size_t p = 0; p < grown; ++p)
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * table.inverse_frequency[i];
      values[p * half * 2 + i] = static_cast<float>(table.magnitude * std::cos(angle));
      values[p * half * 2 + half + i] = static_cast<float>(table.magnitude * std::sin(angle));
    }
  auto *data = static_cast<float *>(kernels_.allocate(values.size() * sizeof(float)));
  if (!data) throw Failure("out of memory for the rotary table of " + std::to_string(grown) + " positions");
  kernels_.synchronize(&stream);
  kernels_.copy_in(&stream, data, values.data(), values.size() * sizeof(float));
  kernels_.synchronize(&stream);
  if (table.data) kernels_.release(table.data);
  table.data = data;
  table.positions = grown;
  return data;
}

}  // namespace hone
