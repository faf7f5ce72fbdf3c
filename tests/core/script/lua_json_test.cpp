// lua_json_test.cpp -- a JSON value that passes through a script comes back as it was.
#include "tests/core/script/script_fixture.h"

namespace hone {
namespace {

using nlohmann::json;

TEST_F(ScriptTest, ARowComesBackFromAFunctionAsItWent) {
  for (const char *text : {R"({"a": 1, "none": null, "text": "x"})", R"({"arguments": {}, "list": [], "deep": {"more": {}, "none": null}})",
                           R"({"messages": [{"role": "assistant", "content": null, "tool_calls": [{"arguments": {}}]}]})", R"([1, null, 2])", R"([null, null])",
                           R"([{}, [], null, {"a": [null]}])", R"({"": null})"}) {
    const json value = json::parse(text);
    EXPECT_EQ(call("return row", value), value);
    EXPECT_EQ(call("return hone.json(row)", json(text)), value);
  }
}

TEST_F(ScriptTest, WhatAFunctionChangesInARowCounts) {
  const json row = json::parse(R"({"none": null, "empty": {}, "list": [1, null]})");
  EXPECT_EQ(call("row.none = 3; row.empty.x = 1; row.list[2] = 2; return row", row), json::parse(R"({"none": 3, "empty": {"x": 1}, "list": [1, 2]})"));
  EXPECT_EQ(call("assert(row.none == nil); row.list[3] = 4; return row.list", row), json::parse("[1, null, 4]"));
  EXPECT_EQ(call("return {}", row), json::array()) << "a table of the script's own that is empty is a list";
  EXPECT_NE(call_problem("return { 1, nil, 3 }").find("number 2 is missing"), std::string::npos);
}

TEST_F(ScriptTest, JsonThatIsNoneIsRefusedWithItsLine) {
  EXPECT_NE(problem("hone.json('{\"a\": }')\n" + kEnd).find("t.lua:2: hone.json: not JSON: at column"), std::string::npos) << problem("hone.json('{\"a\": }')\n" + kEnd);
  EXPECT_NE(problem("hone.json(3)\n" + kEnd).find("hone.json takes a text, got the number 3"), std::string::npos);
  EXPECT_NE(problem("hone.json(('['):rep(100))\n" + kEnd).find("nested more than 64 levels deep"), std::string::npos);
}

}  // namespace
}  // namespace hone
