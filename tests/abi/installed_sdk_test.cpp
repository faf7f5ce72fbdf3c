// installed_sdk_test.cpp -- what strangers build against the installed SDK loads here and passes `hone check`.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "core/base/file.h"
#include "core/plugin/elf.h"
#include "core/plugin/registry.h"
#include "core/plugin/verbs.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

TEST(InstalledSdk, BuildsTheExamplesAndTheTemplatesWhichLoadHere) {
  const fs::path work = fs::path(HONE_BUILD_DIR) / "installed_sdk", log = fs::path(HONE_BUILD_DIR) / "installed_sdk.txt";
  const std::string command = "bash '" HONE_SOURCE_DIR "/tests/abi/installed_sdk.sh' '" HONE_BUILD_DIR "' '" HONE_SOURCE_DIR "' '" +
                              work.string() + "' > '" + log.string() + "' 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << read_file(log) << "\nlogs: " << work;
  std::cout << read_file(log);
  setenv("XDG_CACHE_HOME", (work / "cache").c_str(), 1);

  const Registry registry = Registry::scan({work / "plugins"});
  for (const Refusal &refusal : registry.refusals()) ADD_FAILURE() << refusal.sentence;
  for (const char *what : {"reward/brevity", "reward/think_format", "stage/my_dr_grpo", "optimizer/lion", "stage/best_of",
                           "stage/expert_iteration", "model/bigram",
                           "reward/new_reward", "stage/new_objective", "optimizer/new_optimizer", "stage/new_stage", "model/new_model"}) {
    const std::string name = what;
    EXPECT_TRUE(registry.find(name.substr(0, name.find('/')), name.substr(name.find('/') + 1))) << name;
  }
  std::vector<fs::path> libraries;
  for (const auto &entry : fs::directory_iterator(work / "plugins")) libraries.push_back(entry.path());
  for (const auto &entry : fs::directory_iterator(work / "clang")) libraries.push_back(entry.path());
  for (const fs::path &library : libraries) {
    std::ostringstream out;
    EXPECT_EQ(check_plugin(library, out), 0) << out.str();
    EXPECT_EQ(out.str().find("exports"), std::string::npos) << out.str();
    EXPECT_EQ(defined_symbols(library).size(), 1u) << library;
  }
}

}  // namespace
}  // namespace hone
