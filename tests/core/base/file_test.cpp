// file_test.cpp -- whole or not there, also when the disk is full.
#include "core/base/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

class File : public testing::Test {
 protected:
  size_t entries() const { return std::distance(std::filesystem::directory_iterator(folder), {}); }
  const ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path;
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
  const std::string said = refusal_of([&] { write_file_atomically(folder / "a", std::string(100000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(said.find((folder / "a").string()), std::string::npos) << said;
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(File, FailuresNameThePathAndTheReason) {
  EXPECT_EQ(refusal_of([&] { read_file(folder / "none"); }), "cannot read " + (folder / "none").string() + ": No such file or directory");
  EXPECT_EQ(refusal_of([&] { read_file(folder); }), "cannot read " + folder.string() + ": Is a directory");
  EXPECT_NE(refusal_of([&] { write_file_atomically(folder / "no" / "file", "x"); }).find("No such file"), std::string::npos);
}

TEST_F(File, ChecksumsAreXxh3) {
  EXPECT_EQ(checksum_hex(""), "2d06800538d394c2");  // of the empty input, as xxhsum -H3 prints it
  EXPECT_NE(checksum("a"), checksum("b"));
}

}  // namespace
}  // namespace hone
