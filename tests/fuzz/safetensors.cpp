// safetensors.cpp -- libFuzzer target: any bytes as a safetensors file are refused with a Failure, or read within their
// bounds: alone, and as the weights of a model directory whose config.json tells of blocks of FP8.
#include "core/model/safetensors.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/base/failure.h"
#include "core/model/tensor_source.h"
#include "tests/fuzz/file_in_memory.h"

namespace {

const std::filesystem::path &directory() {
  static const std::filesystem::path made = [] {
    std::string name = (std::filesystem::temp_directory_path() / "hone-fuzz-XXXXXX").string();
    if (!mkdtemp(name.data())) std::abort();
    return std::filesystem::path(name);
  }();
  return made;
}

// The numbers of a tensor, whole and in part.
template <class Read>
void read(const std::vector<uint64_t> &shape, Read &&part) {
  uint64_t elements = 1;
  for (uint64_t dim : shape) elements *= dim;
  try {
    std::vector<float> numbers(elements);
    part(0, elements, numbers.data());
    if (elements > 2) part(1, elements - 2, numbers.data());
  } catch (const hone::Failure &) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const FileInMemory bytes(data, size);
  try {
    const hone::Safetensors file(bytes.path());
    for (const auto &[name, tensor] : file.tensors())
      read(tensor.shape, [&, &name = name](uint64_t begin, uint64_t count, float *to) { file.read_floats(name, begin, count, to); });
  } catch (const hone::Failure &) {
  }
  const std::filesystem::path link = directory() / "model.safetensors";
  std::filesystem::remove(link);
  std::filesystem::create_symlink(bytes.path(), link);
  static const auto config = nlohmann::json::parse(R"({"quantization_config": {"quant_method": "fp8", "weight_block_size": [6, 5]}})");
  try {
    const auto source = hone::open_safetensors(directory(), config);
    for (const std::string &name : source->names())
      read(*source->shape(name), [&](uint64_t begin, uint64_t count, float *to) { source->read_floats(name, begin, count, to); });
  } catch (const hone::Failure &) {
  }
  return 0;
}
