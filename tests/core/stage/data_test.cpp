// data_test.cpp -- rows as token sequences: what stands before a plain text is the tokenizer's own prefix.
#include "core/stage/data.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/file.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"

namespace hone {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

json golden(const std::string &name) {
  return json::parse(
      read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/text/goldens/" + name + ".json"))["tokenizer"];
}

std::unique_ptr<Tokenizer> load(const json &tokenizer) {
  return make_tokenizer(parse_tokenizer_json(tokenizer.dump(), "test"));
}

DataRow row(json columns) { return {std::move(columns), "", "row 1"}; }

// SmolLM2's tokenizer has a bos token and a post-processor without it: transformers puts nothing before a text.
TEST(PromptIds, AreWithoutABosThatTheTokenizerDoesNotPut) {
  json file = golden("llama3");
  const auto puts = load(file);
  file["post_processor"] = nullptr;
  const auto puts_none = load(file);
  ASSERT_EQ(puts->bos(), 0);
  ASSERT_EQ(puts_none->bos(), 0);
  EXPECT_EQ(puts->prefix_ids(), Ids{0});
  EXPECT_EQ(puts_none->prefix_ids(), Ids{});
  for (const auto *tokenizer : {puts.get(), puts_none.get()}) {
    const Ids expected = tokenizer->encode("It is so", true);
    EXPECT_EQ(prompt_ids(*tokenizer, row({{"prompt", "It is so"}}), 100), expected);
    Ids with_end = expected;
    with_end.push_back(tokenizer->eos());
    EXPECT_EQ(row_to_train(*tokenizer, row({{"text", "It is so"}}), 0, 100).ids, with_end);
    EXPECT_EQ(row_to_train(*tokenizer, row({{"prompt", "It is so"}, {"response", ""}}), 0, 100).ids, with_end);
  }
}

TEST(PromptIds, HaveNoSecondTokenBeforeATextThatBeginsWithASpecialOne) {
  const auto tokenizer = load(golden("llama3"));
  const Ids written = tokenizer->encode("<|begin_of_text|>It");
  ASSERT_EQ(written.front(), 0);
  EXPECT_EQ(prompt_ids(*tokenizer, row({{"prompt", "<|begin_of_text|>It"}}), 100), written);
  Ids with_end = written;
  with_end.push_back(tokenizer->eos());
  EXPECT_EQ(row_to_train(*tokenizer, row({{"text", "<|begin_of_text|>It"}}), 0, 100).ids, with_end);
}

TEST(PromptIds, OfAVocabularyOfWordsBeginWithItsBos) {
  const auto tokenizer = Tokenizer::from_words({"<bos>", "<eos>", "a", "b"}, {"<bos>", "<eos>"}, "");
  EXPECT_EQ(tokenizer->prefix_ids(), Ids{0});
  EXPECT_EQ(tokenizer->encode("a b", true), (Ids{0, 2, 3}));
  EXPECT_EQ(prompt_ids(*tokenizer, row({{"prompt", "a b"}}), 100), (Ids{0, 2, 3}));
  EXPECT_EQ(prompt_ids(*tokenizer, row({{"prompt", ""}}), 100), Ids{0});
  EXPECT_EQ(row_to_train(*tokenizer, row({{"text", "a"}}), 0, 100).ids, (Ids{0, 2, 1}));
  const auto without = Tokenizer::from_words({"a"}, {}, "");
  EXPECT_EQ(prompt_ids(*without, row({{"prompt", "a"}}), 100), Ids{0});
  EXPECT_THROW(prompt_ids(*without, row({{"prompt", ""}}), 100), std::runtime_error);
}

// Llama 2's normalizer puts a "▁" before every text; the template writes no space before the answer.
TEST(RowToTrain, PutsNoSpaceBeforeAnAnswerThatTheTemplateDoesNotWrite) {
  const auto tokenizer = load(golden("llama2"));
  tokenizer->set_chat(
      ChatFormat::from_text("{% for m in messages %}{{ m.role }}:\n{{ m.content }}\n{% endfor %}"
                            "{% if add_generation_prompt %}assistant:\n{% endif %}",
                            "t"));
  const json messages = {{{"role", "user"}, {"content", "so?"}}, {{"role", "assistant"}, {"content", "it is"}}};
  const TrainRow made = row_to_train(*tokenizer, row({{"messages", messages}}), 0, 200);
  Ids expected = tokenizer->encode("user:\nso?\nassistant:\nit is\n");
  if (tokenizer->eos() >= 0) expected.push_back(tokenizer->eos());
  EXPECT_EQ(made.ids, expected);
  EXPECT_EQ(made.response_begin, tokenizer->encode("user:\nso?\nassistant:\n").size());
}

}  // namespace
}  // namespace hone
