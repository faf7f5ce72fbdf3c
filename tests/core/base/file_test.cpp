// file_test.cpp -- whole or not there, also when the disk is full.
#include "core/base/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/failure.h"

namespace hone {
namespace {

class File : public testing::Test {
 protected:
  void SetUp() override {
    folder = std::filesystem::temp_directory_path() / ("hone-file-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  size_t entries() const { return std::distance(std::filesystem::directory_iterator(folder), {}); }
  std::filesystem::path folder;
};

TEST_F(File, ReadsBackWhatWasWritten) {
  std::string bytes;
  for (int i = 0; i < 200000; ++i) bytes += static_cast<char>(i * 31);
  for (const std::string &content : {std::string(), std::string("x\0y", 3), bytes}) {
    write_file_atomically(folder / "a", content);
    EXPECT_EQ(read_file(folder / "a"), content);
  }
  EXPECT_EQ(entries(), 1u);
}

TEST_F(File, AFullDiskLeavesTheOldFileAndNothingBeside) {
  write_file_atomically(folder / "a", "old");
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 1000;
  setrlimit(RLIMIT_FSIZE, &small);
  std::string said;
  try {
    write_file_atomically(folder / "a", std::string(100000, 'x'));
  } catch (const Failure &failure) {
    said = failure.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(said.find((folder / "a").string()), std::string::npos) << said;
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(File, FailuresNameThePathAndTheReason) {
  const auto said = [](auto &&fn) {
    try {
      fn();
    } catch (const Failure &failure) {
      return std::string(failure.what());
    }
    return std::string("nothing");
  };
  EXPECT_EQ(said([&] { read_file(folder / "none"); }), "cannot read " + (folder / "none").string() + ": No such file or directory");
  EXPECT_EQ(said([&] { read_file(folder); }), "cannot read " + folder.string() + ": Is a directory");
  EXPECT_NE(said([&] { write_file_atomically(folder / "no" / "file", "x"); }).find("No such file"), std::string::npos);
}

TEST_F(File, ChecksumsAreXxh3) {
  EXPECT_EQ(checksum_hex(""), "2d06800538d394c2");  // of the empty input, as xxhsum -H3 prints it
  EXPECT_NE(checksum("a"), checksum("b"));
}

}  // namespace
}  // namespace hone
