// tokenizer_speed.cpp -- how fast a tokenizer encodes and decodes on one thread: tokenizer_speed DIRECTORY TEXT_FILE.
#include <chrono>
#include <cstdio>
#include <exception>

#include "core/base/file.h"
#include "core/text/tokenizer.h"

namespace {

double seconds(auto &&work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char **argv) try {
  if (argc != 3) return std::fprintf(stderr, "usage: tokenizer_speed DIRECTORY TEXT_FILE\n"), 2;
  std::unique_ptr<hone::Tokenizer> tokenizer;
  const double loading = seconds([&] { tokenizer = hone::Tokenizer::from_directory(argv[1]); });
  const std::string text = hone::read_file(argv[2]);
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  std::vector<int32_t> ids;
  std::string back;
  // The first pass meets an empty cache of words, the second a full one.
  const double first = seconds([&] { ids = tokenizer->encode(text); });
  const double second = seconds([&] { ids = tokenizer->encode(text); });
  const double decoding = seconds([&] { back = tokenizer->decode(ids); });
  std::printf("%s: loaded in %.2f s; %.2f MB, %zu ids; encode %.1f MB/s, again %.1f MB/s; decode %.1f MB/s; %s\n",
              argv[1], loading, megabytes, ids.size(), megabytes / first, megabytes / second, megabytes / decoding,
              back == text ? "decoded text is equal" : "decoded text differs");
} catch (const std::exception &error) {
  std::fprintf(stderr, "tokenizer_speed: %s\n", error.what());
  return 1;
}
