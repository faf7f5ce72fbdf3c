// rope_table.h -- cosines and sines of rotary positions, built once per shape and grown with the longest row seen.
#pragma once

#include <cstdint>
#include <vector>

#include "hone/draft/tape.h"
#include "kernels/table.h"

namespace hone {

class RopeTables {
 public:
  explicit RopeTables(const hone_kernels &kernels) : kernels_(kernels) {}
  ~RopeTables();
  RopeTables(const RopeTables &) = delete;

  // The number of the table of this shape's frequencies and magnitude, made if there is none.
  uint32_t find(const hone_rope_shape &);
  // [positions][size]: cosines, then sines; covers at least `positions`, never more than `most`.
  const float *table(hone_stream &, uint32_t number, uint32_t positions, uint32_t most);

 private:
  struct Table {
    std::vector<float> inverse_frequency;
    float magnitude;
    uint32_t positions;
    float *data;
  };
  const hone_kernels &kernels_;
  std::vector<Table> tables_;
};

}  // namespace hone
