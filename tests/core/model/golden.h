// golden.h -- where the files lie that other programs wrote for the tests of this folder.
#pragma once

#include <filesystem>
#include <string>

namespace hone::test {

inline std::filesystem::path golden(const std::string &name) {
  return std::filesystem::path(HONE_SOURCE_DIR) / "tests/core/model/goldens" / name;
}

}  // namespace hone::test
