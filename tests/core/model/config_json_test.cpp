// config_json_test.cpp -- the two spellings of config.json, and what is refused.
#include "core/model/config_json.h"

#include <gtest/gtest.h>

#include "tests/support/refusal.h"

namespace hone::test {
namespace {
using nlohmann::json;

ComponentInfo component() {
  const auto setting = [](const char *name, int32_t type) {
    Setting made;
    made.name = name;
    made.type = type;
    return made;
  };
  ComponentInfo made;
  made.name = "some";
  made.settings = {setting("vocab_size", HONE_INT),    setting("hidden_size", HONE_INT),
                   setting("rope_theta", HONE_FLOAT),  setting("rope_scaling", HONE_TABLE),
                   setting("num_experts", HONE_INT),   setting("hidden_act", HONE_STRING),
                   setting("sliding_window", HONE_INT)};
  return made;
}

// Of a component that knows no sizes, so that a test may give what it is about and no more.
json older(const json &config) {
  ComponentInfo some = component();
  std::erase_if(some.settings, [](const Setting &setting) { return setting.name.ends_with("_size"); });
  return with_older_spelling(some, config, "f/config.json");
}

std::string refusal(const json &config) {
  return refusal_of([&] { with_older_spelling(component(), config, "f/config.json"); });
}

TEST(ConfigSpelling, OfPositionsIsTheSameInOldAndNewFiles) {
  const json old_file = {{"rope_theta", 500000.0},
                         {"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1}}}};
  const json new_file = {
      {"rope_parameters",
       {{"rope_theta", 500000.0}, {"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1}}}};
  const json oldest = {{"rope_theta", "500000.0"},
                       {"rope_scaling", {{"type", "llama3"}, {"factor", "8"}, {"low_freq_factor", 1}}}};
  EXPECT_EQ(older(new_file), old_file);
  EXPECT_EQ(older(old_file), old_file);
  EXPECT_EQ(older(oldest), old_file);
  EXPECT_EQ(older(older(new_file)), old_file);
}

TEST(ConfigSpelling, TellsOfNoScalingInAnyOfItsWays) {
  const json plain = {{"rope_theta", 1e4}};
  EXPECT_EQ(older({{"rope_parameters", {{"rope_theta", 1e4}, {"rope_type", "default"}}}}), plain);
  EXPECT_EQ(older({{"rope_theta", 1e4}, {"rope_parameters", nullptr}}), plain);
  EXPECT_EQ(older({{"rope_theta", 1e4}, {"partial_rotary_factor", 1.0}}), plain);
  EXPECT_TRUE(older({{"rope_theta", 1e4}, {"rope_scaling", nullptr}})["rope_scaling"].is_null());
  EXPECT_TRUE(older({{"rope_scaling", {{"type", "default"}}}})["rope_scaling"].is_null());
  EXPECT_FALSE(older({{"rope_parameters", {{"rope_type", "default"}}}}).contains("rope_theta"));
}

TEST(ConfigSpelling, KeepsWhatPositionsDependOnBesideTheTable) {
  const json config = older({{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2}, {"type", "mrope"}}},
                             {"original_max_position_embeddings", 64},
                             {"partial_rotary_factor", 0.5}});
  EXPECT_EQ(config["rope_scaling"], (json{{"rope_type", "yarn"},
                                          {"factor", 2},
                                          {"original_max_position_embeddings", 64},
                                          {"partial_rotary_factor", 0.5}}));
}

TEST(ConfigSpelling, KnowsExpertsByEitherName) {
  EXPECT_EQ(older({{"num_local_experts", 8}}), (json{{"num_experts", 8}}));
  EXPECT_EQ(older({{"num_local_experts", 8}, {"num_experts", 8}}), (json{{"num_experts", 8}}));
  EXPECT_NE(refusal({{"vocab_size", 32}, {"hidden_size", 16}, {"num_local_experts", 8}, {"num_experts", 4}})
                .find("num_experts is 4, but num_local_experts"),
            std::string::npos);
}

TEST(ConfigSettings, AreTheKnownKeysThatAreNotNull) {
  const json config = {{"vocab_size", "32.0"},      {"hidden_size", 1e3}, {"rope_theta", "1e6"},
                       {"sliding_window", nullptr}, {"hidden_act", "2"},  {"torch_dtype", "auto"},
                       {"use_cache", true},         {"unheard_of", 3}};
  EXPECT_EQ(known_settings(component(), older(config), "f/config.json", true),
            (json{{"vocab_size", 32.0}, {"hidden_size", 1000.0}, {"rope_theta", 1e6}, {"hidden_act", "2"}}));
}

TEST(ConfigSettings, SayWhatIsWrongByFileKeyAndValue) {
  const json good = {{"vocab_size", 32}, {"hidden_size", 16}};
  const auto says = [&](const json &changes, const std::string &words) {
    json config = good;
    config.update(changes);
    const std::string sentence = refusal(config);
    EXPECT_TRUE(sentence.starts_with("f/config.json: ")) << sentence;
    EXPECT_NE(sentence.find(words), std::string::npos) << sentence;
  };
  EXPECT_EQ(refusal(good), "");
  says({{"hidden_size", nullptr}}, "lacks \"hidden_size\"");
  says({{"torch_dtype", "int3"}}, "torch_dtype is \"int3\", which is unknown");
  says({{"dtype", 16}}, "dtype is 16, which is unknown");
  says({{"rope_scaling", 3}}, "rope_scaling is 3, but must be a table or null");
  says({{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}},
       "rope_parameters has \"full_attention\"");
  says({{"rope_parameters", {{"rope_type", 5}}}}, "rope_type is 5, but must be a name");
  says({{"rope_theta", 10.0}, {"rope_parameters", {{"rope_theta", 20.0}}}}, "rope_theta is 10.0, but 20.0");
  says({{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2}}},
        {"rope_parameters", {{"rope_type", "linear"}, {"factor", 4}}}},
       "which disagree");
}

TEST(ConfigSettings, DtypeIsWrittenInBothSpellings) {
  json config = {{"hidden_size", 16}};
  set_dtype(config, "bfloat16");
  EXPECT_EQ(config, (json{{"hidden_size", 16}, {"torch_dtype", "bfloat16"}, {"dtype", "bfloat16"}}));
}

}  // namespace
}  // namespace hone::test
