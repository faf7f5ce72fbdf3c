// tokenizer_json.cpp -- fuzzes the reader of tokenizer.json: any bytes are a tokenizer that works or one sentence.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace hone;
  log_level(Level::problem);
  try {
    const auto tokenizer =
        make_tokenizer(parse_tokenizer_json(std::string(reinterpret_cast<const char *>(data), size), "fuzz"));
    for (const char *text : {"", " a", "It's 12 \xE7\x9A\x84\xCC\x81 <s></s>\r\n\n  x",
                             "\xF0\x9F\xFF<|endoftext|>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
      const auto ids = tokenizer->encode(text, true);
      for (const int32_t id : ids)
        if (id < 0 || static_cast<uint32_t>(id) >= tokenizer->size()) std::abort();
      (void)tokenizer->decode(ids, true);
    }
    try {
      const GgufVocabulary vocabulary = tokenizer->gguf_vocabulary();
      if (vocabulary.tokens.size() != tokenizer->size()) std::abort();
      (void)Tokenizer::from_gguf(vocabulary, "fuzz");
    } catch (const Failure &) {
    }
  } catch (const Failure &failure) {
    if (std::string(failure.what()).empty()) std::abort();
  }
  return 0;
}
