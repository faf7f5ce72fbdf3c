// conversations_test.cpp -- what of a written conversation is the answer to learn, when the template writes the last turn
// otherwise than it begins one.
#include "core/stage/conversations.h"

#include <gtest/gtest.h>

#include "core/base/failure.h"

namespace hone {
namespace {

std::string learnt(const std::string &chat_template, const std::string &answer) {
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::from_words({"<unk>", "a"}, {}, "<unk>");
  tokenizer->set_chat(ChatFormat::from_text(chat_template, "template"));
  DataRow row;
  row.where = "row 1";
  row.columns["messages"] = {{{"role", "user"}, {"content", "a?"}}, {{"role", "assistant"}, {"content", answer}}};
  return last_answer(*tokenizer, row).text;
}

const std::string kTurns =
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>";

TEST(Conversation, LearnsTheReasoningThatTheTemplateLeavesOutButNotWhatItBeginsItself) {
  EXPECT_EQ(learnt(kTurns + "<think>{% endif %}", "<think>hm</think>7"), "hm</think>7");
  EXPECT_EQ(learnt(kTurns + "{% endif %}", "<think>hm</think>7"), "7") << "here the turn stands behind the prompt as it is written";
}

TEST(Conversation, NamesTheRowWhoseAnswerHasAWordThatTheTokenizerLacks) {
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::from_words({"a"}, {}, "");
  tokenizer->set_chat(ChatFormat::from_text("{% for m in messages %}{{ m.content }} {% endfor %}", "template"));
  DataRow row;
  row.where = "rows.jsonl:7";
  row.columns["messages"] = {{{"role", "user"}, {"content", "a"}}, {{"role", "assistant"}, {"content", "b"}}};
  try {
    last_answer(*tokenizer, row);
    FAIL();
  } catch (const Failure &failure) {
    EXPECT_EQ(std::string(failure.what()).find("rows.jsonl:7: messages: the word \"b\""), 0u) << failure.what();
  }
}

TEST(Conversation, LosesNothingOfAnAnswerThatBeginsAsThePromptEnds) {
  EXPECT_EQ(learnt(kTurns + "<think>{% endif %}", "> quoted"), "> quoted");
  EXPECT_EQ(learnt(kTurns + "\n{% endif %}", "\n\n> quoted</think>7"), "\n> quoted</think>7");
}

}  // namespace
}  // namespace hone
