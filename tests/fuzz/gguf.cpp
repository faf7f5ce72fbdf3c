// gguf.cpp -- libFuzzer target: any bytes as a GGUF file are refused with a Failure, or read within their bounds:
// container, configuration, vocabulary, tokenizer, and tensors in Hugging Face's layout.
#include "core/model/gguf.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/model/gguf_config.h"
#include "core/model/gguf_source.h"
#include "core/model/gguf_tokenizer.h"
#include "core/text/tokenizer.h"
#include "tests/fuzz/file_in_memory.h"

namespace {
template <class Work>
void try_to(Work &&work) {
  try {
    work();
  } catch (const hone::Failure &) {
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const bool quiet = (hone::log_level(hone::Level::problem), true);
  (void)quiet;
  const FileInMemory bytes(data, size);
  try_to([&] {
    const hone::Gguf file(bytes.path());
    for (const auto &[name, tensor] : file.tensors())
      try_to([&, &tensor = tensor] {
        std::vector<float> numbers(tensor.elements);
        file.read_floats(tensor, 0, tensor.elements, numbers.data());
        if (tensor.elements > 2) file.read_floats(tensor, 1, tensor.elements - 2, numbers.data());
      });
    try_to([&] {
      const auto tokenizer = hone::Tokenizer::from_gguf(hone::vocabulary_from_gguf(file), "f");
      tokenizer->decode(tokenizer->encode("Hello  12 \xc3\xa9 <|im_end|>\n", true), false);
    });
    try_to([&] {
      const auto source = hone::open_gguf_tensors(file, hone::config_from_gguf(file));
      for (const std::string &name : source->names())
        try_to([&] {
          uint64_t elements = 1;
          for (uint64_t dim : *source->shape(name)) elements *= dim;
          std::vector<float> numbers(elements);
          source->read_floats(name, 0, elements, numbers.data());
        });
    });
  });
  return 0;
}
