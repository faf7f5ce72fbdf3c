// safetensors.cpp -- libFuzzer target: any bytes as a safetensors file are refused with a Failure, or read within their
// bounds.
#include "core/model/safetensors.h"

#include <algorithm>
#include <vector>

#include "core/base/failure.h"
#include "tests/fuzz/file_in_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const FileInMemory bytes(data, size);
  try {
    const hone::Safetensors file(bytes.path());
    for (const auto &[name, tensor] : file.tensors()) {
      uint64_t elements = 1;
      for (uint64_t dim : tensor.shape) elements *= dim;
      try {
        std::vector<float> numbers(elements);
        file.read_floats(name, numbers.data(), elements);
        if (elements > 2) file.read_floats(name, 1, elements - 2, numbers.data());
      } catch (const hone::Failure &) {
      }
    }
  } catch (const hone::Failure &) {
  }
  return 0;
}
