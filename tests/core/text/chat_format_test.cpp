// chat_format_test.cpp -- where a chat template comes from, what it is told, and conversations that are none.
#include "core/text/chat_format.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/text/tokenizer.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

const json kHello = json::parse(R"([{"role": "user", "content": "hello"}])");

std::string render(const ChatFormat &format, const json &messages = kHello, const json &tools = nullptr) {
  return format.render(messages, true, tools, nullptr, "rows.jsonl:7");
}

TEST(ChatFormat, TakesTheFileBeforeTheConfiguration) {
  ScratchFolder folder;
  folder.write(
      "tokenizer_config.json",
      R"({"chat_template": "config {{ messages[0].content }}", "eos_token": {"content": "</s>"}, "pad_token": null})");
  EXPECT_EQ(render(ChatFormat::from_directory(folder.path)), "config hello");
  folder.write("chat_template.jinja", "file {{ messages[0].content }}{{ eos_token }}{{ pad_token is defined }}\n");
  EXPECT_EQ(render(ChatFormat::from_directory(folder.path)), "file hello</s>False");
}

TEST(ChatFormat, UsesTheTemplateForToolsWhenThereAreSome) {
  ScratchFolder folder;
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "default", "template": "plain {{ tools is none }}"},
                                                              {"name": "tool_use", "template": "tools {{ tools[0].name }}"}]})");
  const ChatFormat format = ChatFormat::from_directory(folder.path);
  EXPECT_EQ(render(format), "plain True");
  EXPECT_EQ(render(format, kHello, json::array({{{"name", "add"}}})), "tools add");
  ScratchFolder files;
  files.write("chat_template.jinja", "plain");
  files.write("additional_chat_templates/tool_use.jinja", "tools");
  EXPECT_EQ(render(ChatFormat::from_directory(files.path), kHello, json::array({{{"name", "add"}}})), "tools");
  EXPECT_EQ(ChatFormat::from_directory(files.path).texts().size(), 2u);
}

TEST(ChatFormat, NamesTheTokenizersTokensToTheTemplate) {
  const auto tokenizer = Tokenizer::from_words({"<bos>", "<eos>", "a"}, {"<bos>", "<eos>"}, "");
  EXPECT_FALSE(tokenizer->chat().exists());
  tokenizer->set_chat(ChatFormat::from_text("{{ bos_token }}|{{ eos_token }}|{{ unk_token is defined }}", "t"));
  EXPECT_EQ(render(tokenizer->chat()), "<bos>|<eos>|False");
  // A configuration that says a token is none is believed.
  ScratchFolder folder;
  folder.write("tokenizer.json", tokenizer->files().at("tokenizer.json"));
  folder.write(
      "tokenizer_config.json",
      R"({"bos_token": null, "eos_token": "<eos>", "chat_template": "{{ bos_token is defined }}|{{ eos_token }}"})");
  EXPECT_EQ(render(Tokenizer::from_file(folder.path / "tokenizer.json")->chat()), "False|<eos>");
}

TEST(ChatFormat, KeepsTheOrderOfKeysAndTheDayThatItIsTold) {
  ChatFormat format = ChatFormat::from_text("{{ tools | tojson }} {{ strftime_now('%d %b %Y') }} {{ thinking }}", "t");
  format.set_date("2024-07-26");
  EXPECT_EQ(
      format.render(kHello, false, json::parse(R"([{"z": 1, "a": {"y": 2, "b": 3}}])"), {{"thinking", false}}, "r"),
      R"([{"z": 1, "a": {"y": 2, "b": 3}}] 26 Jul 2024 False)");
}

TEST(ChatFormat, ABrokenTemplateIsToldWhenItIsUsedOnly) {
  ScratchFolder folder;
  folder.write("chat_template.jinja", "a\n{% if %}");
  const ChatFormat format = ChatFormat::from_directory(folder.path);
  EXPECT_TRUE(format.exists());
  EXPECT_EQ(refusal_of([&] { render(format); }),
            (folder.path / "chat_template.jinja").string() + ":2: an expression is expected, but there is \"%}\"");
  EXPECT_EQ(refusal_of([&] { render(ChatFormat::from_text("{{ raise_exception('no') }}", "t")); }),
            "rows.jsonl:7: t:1: the template refuses: no");
}

TEST(ChatFormat, RefusesWhatIsNoConversation) {
  const auto wrong = [](const char *messages) {
    return refusal_of([&] { check_messages(json::parse(messages), "F:1"); });
  };
  EXPECT_EQ(wrong("3"), "F:1: messages: must be a list of {\"role\", \"content\"}, but it is number");
  EXPECT_EQ(wrong("[]"), "F:1: messages: is an empty list; a conversation needs one message at least");
  EXPECT_EQ(wrong("[\"hi\"]"), "F:1: messages[0]: must be an object with \"role\" and \"content\", but it is string");
  EXPECT_EQ(wrong(R"([{"content": "x"}])").find("F:1: messages[0]: has no \"role\""), 0u);
  EXPECT_EQ(wrong(R"([{"role": 3, "content": "x"}])"), "F:1: messages[0]: role: must be a text, but it is 3");
  EXPECT_EQ(
      wrong(R"([{"role": "user", "content": "x"}, {"role": "user"}])").find("F:1: messages[1]: has no \"content\""),
      0u);
  EXPECT_EQ(wrong(R"([{"role": "user", "content": 5}])"),
            "F:1: messages[0]: content: must be a text, null or a list of parts, but it is number");
  EXPECT_EQ(
      wrong(R"([{"role": "user", "content": ["x"]}])").find("F:1: messages[0]: content: a part must be an object"), 0u);
  EXPECT_EQ(
      wrong(
          R"([{"role": "assistant", "content": null, "tool_calls": []}, {"role": "assistant", "tool_calls": []}, {"role": "user", "content": [{"type": "text", "text": "x"}]}])"),
      "");
  EXPECT_EQ(refusal_of([] { render(ChatFormat()); }),
            "rows.jsonl:7: the model has no chat template; put a chat_template.jinja beside its tokenizer.json (generate, "
            "chat and render also take --template FILE), or give \"prompt\" instead of \"messages\"");
}

TEST(ChatFormat, RefusesAConfigurationThatHasNoTemplateWhereOneShouldBe) {
  const auto wrong = [](const char *config) {
    ScratchFolder folder;
    folder.write("tokenizer_config.json", config);
    return refusal_of([&] { ChatFormat::from_directory(folder.path); });
  };
  EXPECT_NE(wrong("{").find("not a JSON object"), std::string::npos);
  EXPECT_NE(wrong(R"({"chat_template": 3})").find("chat_template must be a text or a list"), std::string::npos);
  EXPECT_NE(wrong(R"({"chat_template": [{"name": "default"}]})").find("chat_template must be a text or a list"),
            std::string::npos);
  EXPECT_NE(
      wrong(R"({"chat_template": [{"name": "../x", "template": ""}]})").find("may have letters, digits, _ and - only"),
      std::string::npos);
  ScratchFolder folder;
  folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"}]})");
  EXPECT_NE(refusal_of([&] { render(ChatFormat::from_directory(folder.path)); }).find("is called \"default\""),
            std::string::npos);
}

}  // namespace
}  // namespace hone
