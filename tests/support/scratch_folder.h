// scratch_folder.h -- a folder of a test's own, empty at first and gone with it.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

namespace hone {

class ScratchFolder {
 public:
  ScratchFolder() {
    static std::atomic<int> count{0};
    path = std::filesystem::temp_directory_path() /
           ("hone-scratch-" + std::to_string(getpid()) + "-" + std::to_string(count++));
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ScratchFolder(const ScratchFolder &) = delete;
  ScratchFolder &operator=(const ScratchFolder &) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path); }
  // Makes the folders on the way; returns where the file is.
  std::filesystem::path write(const std::filesystem::path &name, const std::string &bytes) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << bytes;
    return path / name;
  }
  std::filesystem::path path;
};

}  // namespace hone
