// weight_pieces.h -- a model's weights as the tensors of a checkpoint, read and written a piece at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/model/tensor_source.h"

namespace hone {

// A tensor of a checkpoint: a whole parameter, or one expert of it.
struct WeightPiece {
  std::string name;
  std::vector<uint64_t> shape;
  uint64_t offset, size;  // within the weights
  bool copy = false;      // of another piece, under a second name; files may leave it out
  bool exact = false;     // keeps_f32() of its parameter
};
// Whether files keep a parameter in F32 whatever the type of the others: routers and the buffers that balance experts, which
// move by less than 16 bits can tell and choose between experts (transformers' _keep_in_fp32_modules_strict of DeepSeek).
bool keeps_f32(const ParameterInfo &);
// The tensors of one parameter: piece_of(parameter, i) for each i below piece_count(parameter), in a file's order.
uint32_t piece_count(const ParameterInfo &);
WeightPiece piece_of(const ParameterInfo &, uint32_t i);
std::string expert_name(std::string name, uint32_t expert);  // the expert's number for "{}"; other names stay
// Those that are written; for_reading: and copies that are only accepted. Failure for adapted weights: merge them first.
std::vector<WeightPiece> weight_pieces(const Weights &, bool for_reading = false);

bool has_value_head(const TensorSource &);

// Failure when a tensor is missing, one too many, of another shape or of a type that cannot be read: before there is
// memory for any weights, and in time that the source's size bounds, not what the architecture counts. For messages:
// `where` is the model's path, `shapes_from` what told the shapes ("config.json").
void check_tensors(const Architecture &, bool value_head, const TensorSource &, const std::string &where,
                   const std::string &shapes_from);

// Fills all weights. Failure as of check_tensors, and when a number is NaN or infinite.
void read_weights(Weights &, const TensorSource &, const std::string &where, const std::string &shapes_from,
                  const EachTensor & = {});

// The numbers [offset, offset + size) of the weights, in order, in pieces that fit the cache.
void copy_weights(const Weights &, uint64_t offset, uint64_t size,
                  const std::function<void(const float *numbers, uint64_t begin, uint64_t count)> &take);

// The same as bytes of `dtype`: "F32", "BF16" or "F16". Failure naming `tensor` and the index of a number that F16
// cannot hold.
void encode_weights(const Weights &, uint64_t offset, uint64_t size, const std::string &dtype,
                    const std::string &tensor, const std::vector<uint64_t> &shape,
                    const std::function<void(const void *data, uint64_t bytes)> &take);
// One run of such numbers; `begin` is the index of the first in the tensor.
void encode_numbers(const float *numbers, uint64_t begin, uint64_t count, const std::string &dtype,
                    const std::string &tensor, const std::vector<uint64_t> &shape,
                    const std::function<void(const void *data, uint64_t bytes)> &take);

std::string index_text(uint64_t at, const std::vector<uint64_t> &shape);  // "[3, 5]"

}  // namespace hone
