// refusals_test.cpp -- every plugin that lies, crashes or hangs is refused with a sentence, and this process lives on.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/plugin/host.h"
#include "core/plugin/library.h"
#include "core/plugin/registry.h"
#include "core/plugin/verbs.h"
#include "hone/ext/reward.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kPlugins = ABI_PLUGINS;

struct Looked {
  std::vector<ComponentInfo> components;
  std::vector<Refusal> refusals;
};
Looked look_at(const fs::path &file) {
  Looked out;
  probe_library(file, out.components, out.refusals);
  return out;
}

struct Case {
  const char *name;
  std::vector<const char *> says;
};
void PrintTo(const Case &c, std::ostream *out) { *out << c.name; }

class Refusals : public testing::TestWithParam<Case> {};

TEST_P(Refusals, NamesTheFileAndWhatIsWrong) {
  const fs::path file = kPlugins / (std::string(GetParam().name) + ".so");
  const Looked looked = look_at(file);
  EXPECT_TRUE(looked.components.empty());
  ASSERT_EQ(looked.refusals.size(), 1u);
  const std::string &sentence = looked.refusals[0].sentence;
  EXPECT_TRUE(sentence.starts_with(file.string() + ": ")) << sentence;
  for (const char *part : GetParam().says) EXPECT_NE(sentence.find(part), std::string::npos) << sentence << "\nlacks: " << part;
}

INSTANTIATE_TEST_SUITE_P(
    Abi, Refusals,
    testing::Values(Case{"wrong_major", {"plugin for ABI 2", "this host speaks ABI 1.1", "get a build of it"}},
                    Case{"no_symbol", {"does not export hone_plugin_abi1", "HONE_PLUGIN"}},
                    Case{"newer_minor", {"needs host ABI 1.99", "this host speaks 1.1", "update hone"}},
                    Case{"huge_plugin", {"hone_plugin says it is 4294967280 bytes"}},
                    Case{"huge_component", {"hone_component says it is 2147483647 bytes"}},
                    Case{"tiny_component", {"hone_component says it is 8 bytes", "struct_size"}},
                    Case{"huge_methods", {"methods that say they are 2147483647 bytes"}},
                    Case{"response_size", {"hone_response is 3 bytes", "sizeof(hone_response)"}},
                    Case{"null_score", {"reward/1 misbehaving", "may not be null"}}, Case{"null_methods", {"null methods"}},
                    Case{"null_create", {"null create"}}, Case{"null_help", {"help is null"}}, Case{"null_id", {"id is null"}},
                    Case{"null_components", {"null list of components"}}, Case{"null_component", {"component 1 is null"}},
                    Case{"many_components", {"4294967295 components"}}, Case{"same_name", {"two components named reward/misbehaving"}},
                    Case{"odd_name", {"../evil", "letters"}}, Case{"wild_pointer", {"crashed", "Segmentation fault"}},
                    Case{"unknown_kind", {"hone.reward/2", "hone.reward/1", "update hone"}},
                    Case{"unknown_type", {"setting scale", "type 77"}}, Case{"list_default", {"setting scale", "default"}},
                    Case{"default_out_of_range", {"setting scale", "not allowed", "7"}},
                    Case{"setting_twice", {"two settings named scale"}}, Case{"null_setting_name", {"name of setting 1 is null"}},
                    Case{"limits_crossed", {"setting n", "nothing lies"}},
                    Case{"constructor_exits", {"ended the process with exit code 0", "while it was being opened"}},
                    Case{"constructor_aborts", {"crashed (Aborted)"}}, Case{"constructor_kills", {"crashed (Segmentation fault)"}},
                    Case{"constructor_hangs", {"still running after 10 s"}}),
    [](const auto &info) { return std::string(info.param.name); });

TEST(Probe, TakesAGoodPluginWithItsSettings) {
  for (const char *name : {"good", "constructor_prints"}) {
    const Looked looked = look_at(kPlugins / (std::string(name) + ".so"));
    ASSERT_TRUE(looked.refusals.empty()) << looked.refusals[0].sentence;
    ASSERT_EQ(looked.components.size(), 1u);
    const ComponentInfo &info = looked.components[0];
    EXPECT_EQ(info.kind, HONE_REWARD);
    EXPECT_EQ(info.room, "reward");
    EXPECT_EQ(info.name, "misbehaving");
    EXPECT_EQ(info.plugin_id, "org.example.misbehaving");
    ASSERT_EQ(info.settings.size(), 3u);
    EXPECT_EQ(info.settings[0].fallback, "0.5");
    EXPECT_EQ(info.settings[1].choices, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(info.settings[2].fallback, "41");
  }
}

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("hone-abi-" + std::to_string(::getpid()));
    fs::create_directories(folder / "one" / "rewards");
    fs::create_directories(folder / "two");
    setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder); }
  fs::path write(const std::string &name, const std::string &bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  }
  std::string refusal(const fs::path &file) {
    const Looked looked = look_at(file);
    return looked.refusals.size() == 1 ? looked.refusals[0].sentence : "not refused";
  }
  fs::path folder;
};

TEST_F(Files, ThatAreNoLibraryAreRefused) {
  EXPECT_NE(refusal(write("text.so", "hello")).find("no ELF file"), std::string::npos);
  EXPECT_NE(refusal(write("empty.so", "")).find("no ELF file"), std::string::npos);
  EXPECT_NE(refusal(write("head.so", std::string("\x7f") + "ELF")).find("cut short"), std::string::npos);
  std::string other = read_file(kPlugins / "good.so");
  other[18] = other[18] == 40 ? 3 : 40;  // e_machine
  EXPECT_NE(refusal(write("other.so", other)).find("another kind of machine"), std::string::npos);
  EXPECT_NE(refusal(folder / "none.so").find("is not a file"), std::string::npos);
}

TEST_F(Files, CutShortAnywhereAreRefused) {
  const std::string whole = read_file(kPlugins / "good.so");
  for (size_t size = 5; size < whole.size(); size += whole.size() / 23)
    EXPECT_NE(refusal(write("cut.so", whole.substr(0, size))).find("cut.so: "), std::string::npos) << size;
}

TEST_F(Files, WithAnyByteChangedNeverHurtThisProcess) {
  const std::string whole = read_file(kPlugins / "good.so");
  uint64_t random = 12345;
  for (int i = 0; i < 25; ++i) {
    std::string damaged = whole;
    for (int k = 0; k < 20; ++k) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      // Headers and tables first, where damage does most.
      damaged[(random >> 20) % (k % 2 ? whole.size() : 4096)] = static_cast<char>(random >> 56);
    }
    const Looked looked = look_at(write("damaged.so", damaged));
    EXPECT_EQ(looked.refusals.size() + looked.components.size() > 0, true);
  }
}

TEST_F(Files, AreFoundInFoldersByKindAndOnlyOnce) {
  fs::copy_file(kPlugins / "good.so", folder / "one" / "rewards" / "good.so");
  fs::create_symlink(folder / "one" / "rewards" / "good.so", folder / "two" / "link.so");
  write("two/broken.so", "nothing");
  for (int again = 0; again < 2; ++again) {  // looked at, then remembered
    const Registry registry = Registry::scan({folder / "one", folder / "two", folder / "none"});
    ASSERT_EQ(registry.components().size(), 1u);
    EXPECT_EQ(registry.refusals().size(), 1u);
    EXPECT_TRUE(registry.find("reward", "misbehaving"));
    EXPECT_FALSE(registry.find("stage", "misbehaving"));
    EXPECT_EQ(registry.components()[0].settings[0].fallback, "0.5");
    EXPECT_EQ(registry.model_for_type("llama"), nullptr);
  }
  EXPECT_TRUE(fs::exists(folder / "cache" / "hone" / "probes.json"));
  fs::remove(folder / "one" / "rewards" / "good.so");
  fs::copy_file(kPlugins / "throwing.so", folder / "one" / "rewards" / "good.so");  // the same path, another library
  EXPECT_TRUE(Registry::scan({folder / "one"}).find("reward", "throwing"));
}

TEST_F(Files, ADamagedMemoryOfProbesIsIgnored) {
  fs::copy_file(kPlugins / "good.so", folder / "one" / "good.so");
  fs::create_directories(folder / "cache" / "hone");
  for (const char *bytes : {"", "{", "[1]", "{\"x\":3}"}) {
    std::ofstream(folder / "cache" / "hone" / "probes.json") << bytes;
    EXPECT_TRUE(Registry::scan({folder / "one"}).find("reward", "misbehaving"));
  }
}

TEST_F(Files, TwoOfOneNameAreListedAndOnlyThatNameIsRefused) {
  fs::copy_file(kPlugins / "good.so", folder / "one" / "a.so");
  fs::copy_file(kPlugins / "good.so", folder / "two" / "b.so");
  fs::copy_file(kPlugins / "throwing.so", folder / "two" / "c.so");
  const Registry registry = Registry::scan({folder / "one", folder / "two"});
  EXPECT_EQ(registry.require("reward", "throwing").name, "throwing");
  const std::string first = (folder / "one" / "a.so").string(), second = (folder / "two" / "b.so").string();
  const auto names_both = [&](const std::string &said) {
    for (const std::string &part : {first, second, std::string("\"misbehaving\"")}) EXPECT_NE(said.find(part), std::string::npos) << said;
  };
  try {
    registry.require("reward", "misbehaving");
    FAIL();
  } catch (const UsageError &failure) {
    names_both(failure.what());
  }
  std::ostringstream list, described;
  EXPECT_EQ(list_plugins(registry, false, list), 0);
  names_both(list.str());
  EXPECT_EQ(list.str().find("clash"), list.str().rfind("clash")) << "told more than once: " << list.str();
  EXPECT_THROW(describe_component(registry, "misbehaving", {}, false, described), UsageError);
  EXPECT_EQ(describe_component(registry, "throwing", {}, false, described), 0);
}

TEST_F(Files, MissingOnesAreNamedWithWhatIsNear) {
  fs::copy_file(kPlugins / "good.so", folder / "one" / "a.so");
  write("one/grpo.so", "no library");
  const Registry registry = Registry::scan({folder / "one"});
  const auto said = [&](const char *room, const char *name) {
    try {
      registry.require(room, name);
    } catch (const Failure &failure) {
      return std::string(failure.what());
    }
    return std::string("found");
  };
  EXPECT_EQ(said("reward", "misbehaving"), "found");
  EXPECT_NE(said("reward", "misbehavng").find("did you mean \"misbehaving\"?"), std::string::npos);
  EXPECT_NE(said("stage", "misbehaving").find("is a reward"), std::string::npos);
  EXPECT_NE(said("stage", "grpo").find("grpo.so: is not a shared library"), std::string::npos);
  EXPECT_NE(said("stage", "grpo").find((folder / "one").string()), std::string::npos);
}

ComponentInfo only(const char *name) { return look_at(kPlugins / (std::string(name) + ".so")).components.at(0); }

float score_of(const Instance &instance, const std::string &text) {
  const hone_reward methods = known_methods<hone_reward>(instance.component());
  hone_response in{};
  in.struct_size = sizeof in;
  in.text = {text.data(), text.size()};
  float score = NAN;
  hone_error why{}, error{};
  hone_scores out{sizeof out, &score, nullptr, &why};
  check_call(methods.score(instance.self(), &in, 1, &out, &error), error, "reward");
  if (why.code) throw Failure(why.text);
  return score;
}

TEST(Loading, TwoLibrariesBuiltAlikeKeepTheirOwnFunctions) {
  Pool pool(1);
  const Host host(pool, 1);
  const ComponentInfo one = only("statics_one"), two = only("statics_two");
  const Instance first(one, host.abi(), json::object()), second(two, host.abi(), json::object());
  EXPECT_EQ(score_of(first, "x"), 1);
  EXPECT_EQ(score_of(second, "x"), 2);
  EXPECT_STREQ(first.component().name, "one");
  EXPECT_STREQ(second.component().name, "two");
}

TEST(Loading, WhatAPluginThrowsBecomesASentence) {
  Pool pool(1);
  const Host host(pool, 1);
  const ComponentInfo info = only("throwing");
  const auto said = [&](const char *when) {
    try {
      const Instance instance(info, host.abi(), {{"when", when}});
      return std::to_string(score_of(instance, "four"));
    } catch (const Failure &failure) {
      return std::string(failure.what());
    }
  };
  EXPECT_EQ(said("never"), std::to_string(4.0f));
  EXPECT_EQ(said("start"), "reward throwing: cannot start: the cellar is locked");
  EXPECT_EQ(said("score"), "cannot score");
  EXPECT_EQ(said("odd"), "unknown exception");
}

TEST(Loading, AFailedCreateIsASentenceEvenWhenItSaysNothing) {
  Pool pool(1);
  const Host host(pool, 1);
  const auto said = [&](const char *name) {
    try {
      const Instance instance(only(name), host.abi(), json::object());
      return std::string("created");
    } catch (const Failure &failure) {
      return std::string(failure.what());
    }
  };
  EXPECT_EQ(said("create_refuses"), "reward misbehaving: the moon is not full");
  EXPECT_EQ(said("create_silent"), "reward misbehaving: failed with code 5 and said no more");
}

TEST(Loading, ALibraryThatIsGoneOrChangedIsASentence) {
  ComponentInfo info = only("good");
  info.library = "/nowhere/good.so";
  EXPECT_THROW(load_component(info), Failure);
  info = only("good");
  info.name = "another";
  EXPECT_THROW(load_component(info), Failure);
}

}  // namespace
}  // namespace hone
