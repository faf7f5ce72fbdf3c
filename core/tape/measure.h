// measure.h -- how much memory a training pass takes, found by composing it over kernels that do nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/model/model.h"

namespace hone {

struct PassShape {
  uint32_t rows = 1, tokens_per_row = 1;
  bool checkpointing = false;
  uint32_t depths = 0;  // of multi-token prediction
  uint32_t dtype = HONE_F32;  // of the products
};
// Bytes of a recorded pass's values and gradients, without those of the weights and of the head. Nothing where the model's weights
// do not even fit the address space. Rows longer than the model's positions count as that long.
std::optional<uint64_t> training_pass_bytes(const std::shared_ptr<const Architecture> &, const PassShape &);

}  // namespace hone
