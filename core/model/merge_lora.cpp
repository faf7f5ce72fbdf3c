// merge_lora.cpp -- see merge_lora.h.
#include "core/model/merge_lora.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/model/number_formats.h"
#include "core/model/weight_pieces.h"

namespace hone {
namespace {

std::vector<float> numbers_of(const Weights &weights, uint32_t index) {
  std::vector<float> values(weights.parameters()[index].size);
  hone_stream stream = Pool::serial_stream();
  kernels().copy_out(&stream, values.data(), weights.parameter(index), values.size() * sizeof(float));
  kernels().synchronize(&stream);
  return values;
}

// Without one, the zeros that a new one has.
std::vector<float> value_head_of(const Weights &weights) {
  if (!weights.has_value_head()) return std::vector<float>(weights.architecture().info().hidden_size);
  return numbers_of(weights, static_cast<uint32_t>(weights.parameters().size()) - 1);
}

void write(Weights &weights, uint32_t index, const std::vector<float> &values) {
  hone_stream stream = Pool::serial_stream();
  kernels().copy_in(&stream, weights.parameter(index), values.data(), values.size() * sizeof(float));
  kernels().synchronize(&stream);
}

// W [N, K] += scaling B [N, rank] A [rank, K]
void add_product(float *W, const float *A, const float *B, uint32_t N, uint32_t K, uint32_t rank, double scaling) {
  std::vector<double> row(K);
  for (uint32_t n = 0; n < N; ++n) {
    std::fill(row.begin(), row.end(), 0.0);
    for (uint32_t r = 0; r < rank; ++r) {
      const double b = B[uint64_t{n} * rank + r];
      const float *a = A + uint64_t{r} * K;
      for (uint32_t k = 0; k < K; ++k) row[k] += b * a[k];
    }
    float *w = W + uint64_t{n} * K;
    for (uint32_t k = 0; k < K; ++k) w[k] = static_cast<float>(w[k] + scaling * row[k]);
  }
}

float as_written(float number, const std::string &dtype) {
  return dtype == "BF16" ? from_bf16(to_bf16(number)) : dtype == "F16" ? from_f16(to_f16(number)) : number;
}

}  // namespace

std::unique_ptr<Weights> merge_lora(const Weights &adapted) {
  if (!adapted.base()) throw Failure("model " + adapted.architecture().component() + " has no adapter to merge");
  auto merged = std::make_unique<Weights>(adapted.shared_architecture(), adapted.has_value_head(), adapted.dtype());
  for (uint32_t i = 0; i < adapted.architecture().parameters().size(); ++i) {
    const ParameterInfo &parameter = adapted.parameters()[i];
    std::vector<float> values = numbers_of(adapted, i);
    if (const Weights::LowRank *low = adapted.low_rank(i)) {
      const std::vector<float> a = numbers_of(adapted, low->a), b = numbers_of(adapted, low->b);
      const bool experts = parameter.dims.size() == 3;
      const uint32_t count = experts ? parameter.dims[0] : 1, N = parameter.dims[experts],
                     K = parameter.dims[experts + 1], rank = adapted.lora().rank;
      for (uint64_t e = 0; e < count; ++e)
        add_product(values.data() + e * N * K, a.data() + e * rank * K, b.data() + e * N * rank, N, K, rank,
                    low->scaling);
    }
    write(*merged, i, values);
  }
  if (adapted.has_value_head())
    write(*merged, static_cast<uint32_t>(merged->parameters().size()) - 1, value_head_of(adapted));
  merged->changed();
  return merged;
}

std::unique_ptr<Weights> merge_lora_for_export(const Weights &adapted, const std::string &what, const std::string &dtype) {
  std::unique_ptr<Weights> merged = merge_lora(adapted);
  bool rounded_away = false;
  const auto differ = [&](const std::vector<float> &before, const std::vector<float> &after, bool exact = false) {
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i] == after[i]) continue;  // by value: -0 + 0 is 0
      if (exact || as_written(before[i], dtype) != as_written(after[i], dtype)) return true;
      rounded_away = true;
    }
    return false;
  };
  for (const uint32_t i : adapted.lora_targets())
    if (differ(numbers_of(adapted, i), numbers_of(*merged, i), keeps_f32(adapted.parameters()[i]))) return merged;
  if (adapted.has_value_head() && differ(value_head_of(*adapted.base()), value_head_of(adapted))) return merged;
  if (rounded_away)
    throw Failure(what + ": its adapter changes the base model by less than " + dtype +
                  " can tell: the file would be the base. Export it with --dtype f32, or train it further");
  throw Failure(what +
                ": its adapter changes no weight of the base model (delta is zero): there is nothing to merge. Was it "
                "trained? The base is exported by its own name");
}

}  // namespace hone
