// full_stdout_test.cpp -- verbs whose results could not be written ended with exit code 0.
#include "tests/pipeline/program.h"

namespace hone_pipeline {

using FullStdout = Program;

TEST_F(FullStdout, IsAFailure) {
  How shell;
  shell.program = "/bin/sh";
  const Ended ended = hone({"-c", (fs::path(HONE_BUILD_DIR) / "bin" / "hone").string() + " plugins > /dev/full"}, shell);
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.err.find("cannot write the results to stdout"), std::string::npos) << ended.err;
}

}  // namespace hone_pipeline
