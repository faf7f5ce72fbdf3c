// json_test.cpp -- the SDK's JSON reader and writer, judged by nlohmann's.
#include "hone/json.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace {

using Reference = nlohmann::json;

// What the SDK read, told to the reference.
Reference translated(const hone::Json &j) {
  switch (j.type()) {
    case hone::Json::null: return nullptr;
    case hone::Json::boolean: return j.as_bool();
    case hone::Json::integer: return j.as_integer();
    case hone::Json::number: return j.as_number();
    case hone::Json::string: return j.as_string();
    case hone::Json::list: {
      Reference out = Reference::array();
      for (const hone::Json &element : j.as_list()) out.push_back(translated(element));
      return out;
    }
    case hone::Json::table: {
      Reference out = Reference::object();
      for (const auto &[key, value] : j.as_table()) out[key] = translated(value);
      return out;
    }
  }
  return nullptr;
}

void expect_same(const std::string &text) {
  const Reference theirs = Reference::parse(text, nullptr, false);
  try {
    const hone::Json ours = hone::Json::parse(text);
    EXPECT_FALSE(theirs.is_discarded()) << "read what is no JSON: " << text;
    if (theirs.is_discarded()) return;
    EXPECT_EQ(translated(ours), theirs) << text;
    EXPECT_EQ(Reference::parse(ours.text(), nullptr, false), theirs) << "written: " << ours.text();
  } catch (const hone::Error &error) {
    EXPECT_TRUE(theirs.is_discarded()) << "refused " << text << ": " << error.what();
    EXPECT_NE(std::string(error.what()).find("at byte"), std::string::npos);
  }
}

const char *const kTexts[] = {
    "null", "true", "false", "0", "-0", "12", "-7", "9223372036854775807", "-9223372036854775808", "1.5", "-2.5e-3", "1E5", "1e+5",
    "0.1", "1e-320", "\"\"", "\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "\"\\u00e9\\u4e2d\\ud83d\\ude00\"", "\"\xC3\xA9\"", "[]", "{}",
    " [ 1 , 2.5 , \"x\" , [ ] , { } , null ] ", "{\"a\":{\"b\":[1,{\"c\":true}]},\"d\":\"e\"}", "{\"a\":1,\"a\":2}",
    // not JSON
    "", " ", "nul", "tru", "01", "-", "1.", ".5", "1e", "+1", "1e999", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\n\"",
    "[", "[1", "[1,", "[1,]", "[,]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}", "{1:2}", "1 2", "[] x", "'a'", "NaN"};

TEST(Json, ReadsAndWritesAsNlohmannDoes) {
  for (const char *text : kTexts) expect_same(text);
}

TEST(Json, AgreesOnDamagedTextsToo) {
  uint64_t random = 7;
  const auto next = [&] { return random = random * 6364136223846793005u + 1442695040888963407u, static_cast<size_t>(random >> 33); };
  const std::string characters = "{}[]\",:\\0123456789.-+eEtrufalsn \x01";
  for (int i = 0; i < 20000; ++i) {
    std::string text = kTexts[next() % std::size(kTexts)];
    for (size_t changes = 1 + next() % 3; changes > 0; --changes) {
      const size_t at = next() % (text.size() + 1);
      if (next() % 2) text.insert(at, 1, characters[next() % characters.size()]);
      else if (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) text.erase(at, 1);
    }
    expect_same(text);
  }
}

TEST(Json, RefusesBottomlessNesting) {
  EXPECT_THROW(hone::Json::parse(std::string(1000000, '[')), hone::Error);
  std::string deep = std::string(150, '[') + std::string(150, ']');
  EXPECT_NO_THROW(hone::Json::parse(deep));
}

TEST(Json, SaysWhatItExpected) {
  const hone::Json j = hone::Json::parse("{\"a\":[1]}");
  EXPECT_EQ(j["a"].as_list()[0].as_number(), 1);
  EXPECT_TRUE(j["b"].is_null());
  EXPECT_TRUE(j["b"]["c"].is_null());
  try {
    j["a"].as_string();
    FAIL();
  } catch (const hone::Error &error) {
    EXPECT_STREQ(error.what(), "expected a string, got a list");
  }
}

}  // namespace
