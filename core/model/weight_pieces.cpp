// weight_pieces.cpp -- see weight_pieces.h.
#include "core/model/weight_pieces.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/model/layout.h"
#include "core/model/number_formats.h"

namespace hone {
namespace {

constexpr size_t kFew = 3;                      // names in a message
constexpr uint64_t kPiece = uint64_t{1} << 20;  // numbers at a time: 4 MiB

std::string few(std::vector<std::string> names) {
  const size_t all = names.size();
  if (all > kFew) names.resize(kFew);
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "\"" : ", \"") + with_replaced_invalid_utf8(name) + "\"";
  return all > kFew ? text + " and " + std::to_string(all - kFew) + " more" : text;
}

// Ends the search, so the last of many is never counted.
[[noreturn]] void refuse_missing(std::vector<std::string> names, const std::string &where,
                                 const std::string &shapes_from) {
  const bool more = names.size() > kFew;
  if (more) names.resize(kFew);
  throw Failure(where + ": lacks the tensor" + (names.size() > 1 ? "s " : " ") + few(names) + (more ? " and more" : "") + " that " + shapes_from +
                " calls for");
}

// A second name of a parameter must tell the same numbers: hone trains and writes one of them.
void compare_copy(const Weights &weights, const WeightPiece &piece, uint64_t begin, const std::vector<float> &numbers,
                  const TensorSource &source) {
  copy_weights(weights, piece.offset + begin, numbers.size(), [&](const float *first, uint64_t at, uint64_t count) {
    if (std::equal(first, first + count, numbers.data() + at)) return;
    std::string original;
    for (const ParameterInfo &parameter : weights.parameters())
      if (parameter.offset == piece.offset) original = parameter.name;
    throw Failure(source.where(piece.name) + ": tensor \"" + piece.name + "\" must equal \"" + original +
                  "\", which it is a copy of, but it does not; hone trains and writes one of them");
  });
}

}  // namespace

std::string index_text(uint64_t at, const std::vector<uint64_t> &shape) {
  std::vector<uint64_t> index(shape.size());
  for (size_t i = shape.size(); i-- > 0; at /= shape[i]) index[i] = at % shape[i];
  return shape_text(index);
}

std::string expert_name(std::string name, uint32_t expert) {
  if (const size_t at = name.find("{}"); at != std::string::npos) name.replace(at, 2, std::to_string(expert));
  return name;
}

uint32_t piece_count(const ParameterInfo &parameter) {
  return parameter.flags & HONE_PARAMETER_EXPERTS ? parameter.dims[0] : 1;
}

WeightPiece piece_of(const ParameterInfo &parameter, uint32_t i) {
  const bool experts = parameter.flags & HONE_PARAMETER_EXPERTS;
  const uint64_t size = parameter.size / piece_count(parameter);
  return {expert_name(parameter.name, i),
          {parameter.dims.begin() + experts, parameter.dims.end()},
          parameter.offset + i * size,
          size,
          false,
          keeps_f32(parameter)};
}

bool keeps_f32(const ParameterInfo &parameter) {
  return (parameter.flags & HONE_PARAMETER_BUFFER) || parameter.name.ends_with(".mlp.gate.weight");
}

std::vector<WeightPiece> weight_pieces(const Weights &weights, bool for_reading) {
  if (weights.base())
    throw Failure("model " + weights.architecture().component() +
                  " has an adapter, which must be merged before it is saved as a model");
  std::vector<WeightPiece> pieces;
  for (const ParameterInfo &parameter : weights.parameters())
    for (uint32_t i = 0; i < piece_count(parameter); ++i) pieces.push_back(piece_of(parameter, i));
  for (const TensorCopy &copy : weights.architecture().copies()) {
    if (!copy.written && !for_reading) continue;
    const ParameterInfo &of = weights.parameters()[copy.parameter];
    pieces.push_back({copy.name, {of.dims.begin(), of.dims.end()}, of.offset, of.size, true});
  }
  return pieces;
}

constexpr char kValueHead[] = "score.weight";

bool has_value_head(const TensorSource &source) { return source.shape(kValueHead) != nullptr; }

void check_tensors(const Architecture &architecture, bool value_head, const TensorSource &source,
                   const std::string &where, const std::string &shapes_from) {
  std::set<std::string> wanted;  // and there: no more than the source has, whatever the architecture counts
  std::vector<std::string> missing, extra;
  const auto check = [&](const std::string &name, const std::vector<uint64_t> &wanted_shape, bool needed) {
    const std::vector<uint64_t> *shape = source.shape(name);
    if (!shape) {
      if (needed) missing.push_back(name);
    } else if (*shape != wanted_shape) {
      throw Failure(source.where(name) + ": tensor \"" + name + "\" has shape " + shape_text(*shape) + ", but " +
                    shapes_from + " makes it " + shape_text(wanted_shape));
    } else {
      source.read_floats(name, 0, 0, nullptr);  // its type
      wanted.insert(name);
    }
    if (missing.size() > kFew) refuse_missing(missing, where, shapes_from);
  };
  for (const ParameterInfo &parameter : architecture.parameters())
    for (uint32_t i = 0; i < piece_count(parameter); ++i) {
      const WeightPiece piece = piece_of(parameter, i);
      check(piece.name, piece.shape, true);
    }
  if (value_head) check(kValueHead, {1, architecture.info().hidden_size}, true);
  for (const TensorCopy &copy : architecture.copies()) {
    const std::vector<uint32_t> &dims = architecture.parameters()[copy.parameter].dims;
    check(copy.name, {dims.begin(), dims.end()}, false);
  }
  if (!missing.empty()) refuse_missing(missing, where, shapes_from);
  for (const std::string &name : source.names())
    if (!wanted.contains(name) && !name.ends_with("rotary_emb.inv_freq")) extra.push_back(name);
  if (!extra.empty())
    throw Failure(where + ": has the tensor " + few(extra) + " that " + shapes_from + " has no place for");
}

void read_weights(Weights &weights, const TensorSource &source, const std::string &where,
                  const std::string &shapes_from, const EachTensor &each) {
  check_tensors(weights.architecture(), weights.has_value_head(), source, where, shapes_from);
  const std::vector<WeightPiece> pieces = weight_pieces(weights, true);
  hone_stream stream = Pool::serial_stream();
  std::vector<float> numbers;
  for (const WeightPiece &piece : pieces) {
    if (each) each(&piece - pieces.data(), pieces.size());
    if (piece.copy && !source.shape(piece.name)) continue;
    for (uint64_t begin = 0; begin < piece.size; begin += kPiece) {
      numbers.resize(std::min(kPiece, piece.size - begin));
      source.read_floats(piece.name, begin, numbers.size(), numbers.data());
      for (uint64_t i = 0; i < numbers.size(); ++i)
        if (!std::isfinite(numbers[i]))
          throw Failure(source.where(piece.name) + ": tensor \"" + piece.name + "\" is " +
                        (std::isnan(numbers[i]) ? "NaN"
                         : numbers[i] > 0       ? "infinite"
                                                : "minus infinity") +
                        " at " + index_text(begin + i, piece.shape) +
                        "; the model is damaged, or its training diverged");
      if (piece.copy)
        compare_copy(weights, piece, begin, numbers, source);
      else
        kernels().copy_in(&stream, weights.data() + piece.offset + begin, numbers.data(),
                          numbers.size() * sizeof(float));
    }
  }
  kernels().synchronize(&stream);
  weights.changed();
  if (each) each(pieces.size(), pieces.size());
}

void copy_weights(const Weights &weights, uint64_t offset, uint64_t size,
                  const std::function<void(const float *, uint64_t, uint64_t)> &take) {
  hone_stream stream = Pool::serial_stream();
  std::vector<float> numbers;
  for (uint64_t begin = 0; begin < size; begin += kPiece) {
    numbers.resize(std::min(kPiece, size - begin));
    kernels().copy_out(&stream, numbers.data(), weights.data() + offset + begin, numbers.size() * sizeof(float));
    kernels().synchronize(&stream);
    take(numbers.data(), begin, numbers.size());
  }
}

void encode_numbers(const float *numbers, uint64_t begin, uint64_t count, const std::string &dtype,
                    const std::string &tensor, const std::vector<uint64_t> &shape,
                    const std::function<void(const void *, uint64_t)> &take) {
  if (dtype == "F32") return take(numbers, count * sizeof(float));
  if (dtype != "BF16" && dtype != "F16") throw Failure("weights cannot be written as " + dtype);
  const bool half = dtype == "F16";
  std::vector<uint16_t> bits(count);
  for (uint64_t i = 0; i < count; ++i) {
    bits[i] = half ? to_f16(numbers[i]) : to_bf16(numbers[i]);
    if (half && std::isfinite(numbers[i]) && (bits[i] & 0x7FFF) == 0x7C00)
      throw Failure("tensor \"" + tensor + "\" has " + number_text(numbers[i]) + " at " + index_text(begin + i, shape) +
                    ", beyond what F16 holds (65504); choose bf16 or f32");
  }
  take(bits.data(), count * sizeof(uint16_t));
}

void encode_weights(const Weights &weights, uint64_t offset, uint64_t size, const std::string &dtype,
                    const std::string &tensor, const std::vector<uint64_t> &shape,
                    const std::function<void(const void *, uint64_t)> &take) {
  copy_weights(weights, offset, size, [&](const float *numbers, uint64_t begin, uint64_t count) {
    encode_numbers(numbers, begin, count, dtype, tensor, shape, take);
  });
}

}  // namespace hone
