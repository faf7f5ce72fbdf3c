// scratch.h -- folders that are gone after a test, and what a refused call says.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/failure.h"

namespace hone::test {

class ScratchFolder {
 public:
  ScratchFolder() {
    static std::atomic<int> count{0};
    path = std::filesystem::temp_directory_path() /
           ("hone-formats-" + std::to_string(getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(path);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return path / name;
  }
  std::filesystem::path path;
};

template <class Call>
std::string refusal_of(Call &&call) {
  try {
    call();
  } catch (const Failure &failure) {
    return failure.what();
  }
  return "";
}

inline std::filesystem::path golden(const std::string &name) {
  return std::filesystem::path(HONE_SOURCE_DIR) / "tests/core/model/goldens" / name;
}

}  // namespace hone::test

// The refusal names each of the words.
#define EXPECT_SAYS(said, ...)                                                                    \
  do {                                                                                            \
    const std::string text = (said);                                                              \
    for (const char *word : {__VA_ARGS__})                                                        \
      EXPECT_TRUE(text.find(word) != std::string::npos) << "says: " << text << "\nnot: " << word; \
  } while (false)
