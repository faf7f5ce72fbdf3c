// swap_test.cpp -- plugins are real: the program links none, a missing one is a sentence, and one word swaps another in.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class Swap : public Program {
 protected:
  // A copy of what was built, to take plugins out of.
  fs::path copy_of_build() {
    const fs::path to = folder / "copy", from = HONE_BUILD_DIR;
    fs::create_directories(to / "bin");
    fs::create_directories(to / "lib");
    fs::copy_file(from / "bin/hone", to / "bin/hone");
    fs::copy_file(from / "lib/libhone_kernels_cpu.so", to / "lib/libhone_kernels_cpu.so");
    fs::copy(from / "lib/hone", to / "lib/hone", fs::copy_options::recursive);
    return to;
  }
};

TEST_F(Swap, OneWordChangesTheAlgorithmWithoutARebuild) {
  const std::string path = script(small_pipeline());
  for (const char *algorithm : {"grpo", "rloo"}) {
    const fs::path run = folder / algorithm;
    const Ended ended = hone({"run", path, "--set", std::string("algorithm=") + algorithm, "--out", run.string()});
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  EXPECT_NE(lasting_results(folder / "grpo").at("02-rl").at("weights_checksum"), lasting_results(folder / "rloo").at("02-rl").at("weights_checksum"));
}

TEST_F(Swap, AMissingPluginIsASentence) {
  const fs::path copy = copy_of_build();
  fs::remove(copy / "lib/hone/stages/grpo.so");
  How how;
  how.program = copy / "bin/hone";
  const Ended ended = hone({"run", script(small_pipeline()), "--out", (folder / "run").string()}, how);
  EXPECT_EQ(ended.code, 2);
  EXPECT_NE(ended.err.find("grpo"), std::string::npos) << ended.err;
  EXPECT_EQ(ended.err.find('\n'), ended.err.size() - 1) << "more than one sentence: " << ended.err;
  EXPECT_FALSE(fs::exists(folder / "run"));
  EXPECT_EQ(hone({"run", script(small_pipeline()), "--set", "algorithm=rloo", "--out", (folder / "run").string()}, how).code, 0);
}

TEST_F(Swap, TheProgramLinksNoPlugin) {
  const Ended needed = hone({"-d", (fs::path(HONE_BUILD_DIR) / "bin/hone").string()}, {.program = "/usr/bin/readelf"});
  ASSERT_EQ(needed.code, 0) << needed.err;
  for (const char *plugin : {"grpo", "rloo", "sft", "adamw", "llama", "deepseek_moe", "math", "kernels"})
    EXPECT_EQ(needed.out.find(plugin), std::string::npos) << needed.out;
}

TEST_F(Swap, AThirdPartysFolderIsEnough) {
  const fs::path copy = copy_of_build(), elsewhere = folder / "strangers";
  fs::create_directories(elsewhere);
  fs::rename(copy / "lib/hone/stages/rloo.so", elsewhere / "rloo.so");
  How how;
  how.program = copy / "bin/hone";
  const std::vector<std::string> run = {"run", script(small_pipeline()), "--set", "algorithm=rloo", "--out", (folder / "run").string()};
  EXPECT_EQ(hone(run, how).code, 2);
  how.environment["HONE_PLUGIN_PATH"] = elsewhere.string();
  const Ended ended = hone(run, how);
  EXPECT_EQ(ended.code, 0) << ended.err;
}

}  // namespace
}  // namespace hone_pipeline
