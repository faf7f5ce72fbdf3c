// bpe_refusal_test.cpp -- tokenizer.json and GGUF vocabularies that are damaged or that hone does not read: one
// sentence each, naming the key and the value.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/text/newer_characters.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/regex.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

using nlohmann::json;

json valid() {
  return json::parse(read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/text/goldens/llama3.json"))["tokenizer"];
}

std::string changed(const char *pointer, const json &value) {
  json file = valid();
  file[json::json_pointer(pointer)] = value;
  return refusal_of([&] { make_tokenizer(parse_tokenizer_json(file.dump(), "f.json")); });
}

std::string without(const char *parent, const char *key) {
  json file = valid();
  file[json::json_pointer(parent)].erase(key);
  return refusal_of([&] { make_tokenizer(parse_tokenizer_json(file.dump(), "f.json")); });
}

TEST(BpeRefusal, NamesWhatIsMissingOrDamagedInTheModel) {
  EXPECT_SAYS(without("/model", "merges"), "f.json: model.merges must be a list of merges, but it is missing");
  EXPECT_SAYS(without("/model", "vocab"), "f.json: model.vocab must be an object");
  EXPECT_SAYS(changed("/model/merges/3", "a b c"),
              "model.merges[3] must be two tokens with one space between, but it is \"a b c\"");
  EXPECT_SAYS(changed("/model/merges/3", "ab"), "model.merges[3]");
  EXPECT_SAYS(changed("/model/merges/3", json::array({"a", 1})), "model.merges[3] must be two tokens");
  EXPECT_SAYS(changed("/model/merges/3", "qqqq r"),
              "model.merges[3] \"qqqq r\" needs the token \"qqqq\", which is not in model.vocab");
  EXPECT_SAYS(changed("/model/merges/3", "Q Z"), "needs the token \"QZ\"");
  EXPECT_SAYS(changed("/model/vocab/a", -1), "\"a\" has id -1, outside");
  EXPECT_SAYS(changed("/model/vocab/a", 1e300), "model.vocab[\"a\"] must be a whole number");
  EXPECT_SAYS(changed("/model/vocab/a", uint64_t(1) << 63), "model.vocab[\"a\"] must be a whole number");
  EXPECT_SAYS(changed("/model/vocab/a", 999999999), "outside 0 ..");
  EXPECT_SAYS(changed("/model/vocab/a", 5), "id 5 belongs to both");
  EXPECT_SAYS(changed("/model/unk_token", "<none>"), "model.unk_token \"<none>\" is not in model.vocab");
  EXPECT_SAYS(changed("/model/dropout", 0.1), "model.dropout 0.1 would make ids random");
  EXPECT_SAYS(changed("/model/end_of_word_suffix", "</w>"), "model.end_of_word_suffix \"</w>\" is not supported");
  EXPECT_SAYS(changed("/model/byte_fallback", 1), "byte_fallback must be true or false, but it is 1");
}

TEST(BpeRefusal, NamesTheComponentThatItDoesNotRead) {
  EXPECT_SAYS(changed("/normalizer", {{"type", "Lowercase"}}), "f.json: normalizer \"Lowercase\" is not supported");
  EXPECT_SAYS(changed("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Nmt"}}}}}),
              "normalizer.normalizers[0] \"Nmt\"");
  EXPECT_SAYS(changed("/normalizer", 3), "normalizer \"number\"");
  EXPECT_SAYS(changed("/pre_tokenizer", {{"type", "BertPreTokenizer"}}),
              "pre_tokenizer \"BertPreTokenizer\" is not supported");
  EXPECT_SAYS(changed("/pre_tokenizer/pretokenizers/2", {{"type", "Whitespace"}}), "stands after ByteLevel");
  EXPECT_SAYS(changed("/pre_tokenizer/pretokenizers/0/behavior", "Sideways"), "behavior \"Sideways\"");
  EXPECT_SAYS(changed("/pre_tokenizer/pretokenizers/0/pattern", 1), "pattern must be");
  EXPECT_SAYS(changed("/pre_tokenizer/pretokenizers/0/pattern", {{"Regex", "(a"}}),
              "the regular expression \"(a\" has a \"(\" that is never closed");
  EXPECT_SAYS(changed("/decoder", {{"type", "WordPiece"}}), "decoder \"WordPiece\" is not supported");
  EXPECT_SAYS(changed("/post_processor", {{"type", "BertProcessing"}}),
              "post_processor \"BertProcessing\" is not supported");
  EXPECT_SAYS(changed("/post_processor/processors/1/special_tokens/<|begin_of_text|>/ids/0", 100000), "the id 100000");
  EXPECT_SAYS(changed("/added_tokens", 1), "added_tokens must be a list");
  EXPECT_SAYS(changed("/added_tokens/0/content", ""), "added_tokens[0] must have a \"content\"");
  EXPECT_SAYS(changed("/added_tokens/0/id", 4), "belongs to both");
}

TEST(BpeRefusal, RefusesTextsThatAreNoTokenizer) {
  const auto text = [](const std::string &t) {
    return refusal_of([&] { make_tokenizer(parse_tokenizer_json(t, "f.json")); });
  };
  EXPECT_SAYS(text("{\"model\":"), "f.json: not JSON");
  EXPECT_SAYS(text("{}"), "f.json: has no \"model\" object");
  EXPECT_SAYS(text(std::string(100000, '[')), "nested more than 64 levels deep");
  EXPECT_SAYS(text(R"({"model": {"type": "Unigram"}})"), "model type \"Unigram\" is not supported");
}

// A normalizer of thirty steps, each of which doubles what it sees.
TEST(BpeRefusal, StopsATextThatGrowsWithoutBound) {
  json file = valid(), steps = json::array();
  for (int i = 0; i < 30; ++i)
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}});
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  const auto tokenizer = make_tokenizer(parse_tokenizer_json(file.dump(), "f.json"));
  EXPECT_SAYS(refusal_of([&] { tokenizer->encode("aaaa"); }), "the tokenizer's normalizer made");
}

TEST(Regex, RefusesWhatItWouldReadOtherwiseThanOniguruma) {
  const auto regex = [](const char *pattern) { return refusal_of([&] { Regex(pattern, "f.json"); }); };
  for (const char *pattern :
       {"\\bword",   "(a)\\1",  "(?<name>a)", "[a[bc]]", "[a-z&&[^b]]", "[[:alpha:]]", "\\K",    "a(?i)b",
        "(?m:.)",    "\\Qa\\E", "\\h",        "\\R",     "[^\\W]",      "\\xFF",       "a{3,1}", "a{1}{2}",
        "(*ACCEPT)", "[]",      "[a",         "a\\",     "\\p{Nope}",   "\\pL",        ")"})
    EXPECT_SAYS(regex(pattern), "f.json: the regular expression \"");
}

std::string marked(const char *pattern, const std::string &text) {
  std::vector<Span> matches;
  std::string known;
  Regex(pattern, "test").find_all(with_stand_ins(text, known) ? known : text, matches);
  std::string out;
  for (const Span &match : matches) out += "(" + text.substr(match.begin, match.end - match.begin) + ")";
  return out;
}

// As onig's Ruby syntax has it, checked against `tokenizers` (pre_tokenizers.Split).
TEST(Regex, MeansWhatOnigurumaMeans) {
  EXPECT_EQ(marked("a{2}+", "aaaaa"), "(aaaa)");                       // repeated, not possessive
  EXPECT_EQ(marked("a{1,2}+a", "aaaa"), "(aaaa)");                     // so it can give one back
  EXPECT_EQ(marked("a{2}?", "aaa"), "(aa)()");                         // optional, not lazy
  EXPECT_EQ(marked("a{,2}b", "aaab"), "(aab)");                        // {0,2}
  EXPECT_EQ(marked("x{a", "x{a"), "(x{a)");                            // a brace that counts nothing
  EXPECT_EQ(marked("^.", "ab\ncd"), "(a)(c)");                         // each line
  EXPECT_EQ(marked("\\s", "\u180E\u0085\u2028"), "(\u0085)(\u2028)");  // U+180E is no white space
  EXPECT_EQ(marked("\\w+", "a\u0301_1\u00B2-"), "(a\u0301_1\u00B2)");
  EXPECT_EQ(marked("[\\w]+", "a\u00B2"), "(a)");
  EXPECT_EQ(marked("(?i:'s)", "'s'S'\u017F"), "('s)('S)('\u017F)");
  EXPECT_EQ(marked("\\p{L}+", "\U00010D50\U000323AF"), "(\U00010D50\U000323AF)");  // of Unicode 16 and 15
  EXPECT_EQ(marked("\\p{Han}", "\u3001\u4E00"), "(\u4E00)");                       // the script, not its extensions
}

// Each is one match of the search away from the next, and each looks through all of the text.
TEST(Regex, GivesUpOnASearchThatLooksThroughTheTextAgainAndAgain) {
  EXPECT_SAYS(refusal_of([] { marked("[^x]*x|.", std::string(200'000, 'a')); }), "too many steps for its length");
  std::string words;
  while (words.size() < 200'000) words += std::string(24, 'a') + "\n";
  EXPECT_SAYS(refusal_of([&] { marked("(a|aa)+x|.", words); }), "too many steps for its length");
}

// One budget for all the words of a text: each of these alone is cheap enough.
TEST(PreTokenizer, GivesUpOnWordsThatTogetherTakeTooLong) {
  const auto split = [](const char *regex) {
    return json{{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}};
  };
  const PreTokenizer hostile({{"type", "Sequence"}, {"pretokenizers", {split("\n"), split("(a|aa)+x|.")}}}, "test");
  std::string words;
  while (words.size() < 200'000) words += std::string(24, 'a') + "\n";
  EXPECT_SAYS(refusal_of([&] { hostile(words, true); }), "too many steps for its length");
  EXPECT_EQ(refusal_of([&] { hostile(words.substr(0, 50), true); }), "");
}

TEST(Regex, FindsInALongTextWhatItFindsInAWholeOne) {
  // Matches longer than any window, and ends and look-ahead that a window's end must not decide.
  const std::string a(5000, 'a'), spaces(9000, ' ');
  EXPECT_EQ(marked("a+", a + "b" + a), "(" + a + ")(" + a + ")");
  EXPECT_EQ(marked("$", a + "\n" + a), "()()");
  EXPECT_EQ(marked("\\s+(?!\\S)|\\s+", spaces + "x"), "(" + spaces.substr(1) + ")( )");
  EXPECT_EQ(marked("\\s+$", "a" + spaces + "b" + spaces), "(" + spaces + ")");
  EXPECT_EQ(marked("a+b|a", std::string(4095, 'a') + "b").size(), 4098u);
  EXPECT_EQ(marked("a+b|a", std::string(4097, 'a') + "b").size(), 4100u);
  EXPECT_EQ(marked("(?<=a)b", a + "b" + a), "(b)");
  EXPECT_EQ(marked("q", a + a + "q" + a), "(q)");
  std::mt19937 random(4);
  for (const char *pattern : {kGpt2Regex, "(?<=a)b*|\\n$", "[^\\n]+\\n?|\\n", "(?i:ab)|\\s+(?!\\S)|é+"}) {
    std::string text;
    std::vector<Span> found;
    const Regex regex(pattern, "test");
    while (text.size() < 30'000) {
      std::string line;
      for (uint32_t n = random() % 300; n > 0; --n)
        line += std::array{"a", "b", "é", " ", "1", "'s", "AB"}[random() % 7];
      text += line + "z";
    }
    text += "\n";
    regex.find_all(text, found);
    // Behind other text windows end elsewhere, and the matches are the same.
    std::vector<Span> shorter;
    for (size_t at = 0; at < 200; ++at) {
      const std::string moved = std::string(at * 61, 'z') + text;
      shorter.clear();
      regex.find_all(moved, shorter);
      std::vector<Span> tail;
      for (const Span &span : shorter)
        if (span.begin >= at * 61 + 400) tail.push_back({span.begin - at * 61, span.end - at * 61});
      size_t first = 0;
      while (first < found.size() && found[first].begin < 400) ++first;
      ASSERT_EQ(tail.size(), found.size() - first) << pattern << " at " << at;
      for (size_t i = 0; i < tail.size(); ++i)
        ASSERT_TRUE(tail[i].begin == found[first + i].begin && tail[i].end == found[first + i].end);
    }
  }
}

TEST(Regex, GivesUpOnAMatchWithoutEnd) {
  EXPECT_SAYS(refusal_of([] { marked("(a|aa|a?a)+$x", std::string(200, 'a') + "yx"); }), "failed: ");
}

GgufVocabulary small() {
  GgufVocabulary v;
  v.model = "gpt2";
  v.pre = "gpt-2";
  v.tokens = {"a", "b", "ab", "<end>"};
  v.types = {1, 1, 1, 3};
  v.merges = {"a b"};
  v.eos = 3;
  return v;
}

std::string gguf_failure(const std::function<void(GgufVocabulary &)> &change) {
  GgufVocabulary v = small();
  change(v);
  return refusal_of([&] { Tokenizer::from_gguf(v, "m.gguf"); });
}

TEST(GgufRefusal, NamesTheKeyOfWhatIsWrong) {
  EXPECT_EQ(gguf_failure([](auto &) {}), "");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.pre = "smolm"; }),
              "m.gguf: tokenizer.ggml.pre \"smolm\" is not a pre-tokenizer that hone knows; did you mean \"smollm\"?");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.model = "bert"; }), "tokenizer.ggml.model \"bert\" is not supported");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.tokens.clear(); }), "tokenizer.ggml.tokens is missing or empty");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.types.pop_back(); }),
              "tokenizer.ggml.token_type has 3 entries, but tokenizer.ggml.tokens has 4");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.types[0] = 9; }), "tokenizer.ggml.token_type[0] is 9");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.tokens[1] = "a"; }), "has \"a\" twice, as 0 and 1");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.tokens[1] = "\xFF"; }), "tokenizer.ggml.tokens[1] is not valid UTF-8");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.merges.clear(); }), "tokenizer.ggml.merges is missing");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.merges[0] = "a c"; }), "needs the token \"c\"");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.eos = 4; }),
              "tokenizer.ggml.eos_token_id is 4, outside the vocabulary of 4 tokens");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.bos = -7; }), "tokenizer.ggml.bos_token_id is -7");
  EXPECT_SAYS(gguf_failure([](auto &v) { v.model = "llama", v.merges.clear(); }), "tokenizer.ggml.scores is missing");
  EXPECT_SAYS(gguf_failure([](auto &v) {
                v.model = "llama", v.merges.clear(), v.scores = {0, 0, NAN, 0};
              }),
              "tokenizer.ggml.scores[2] is not a number");
}

GgufVocabulary pieces(std::vector<std::string> tokens) {
  GgufVocabulary v;
  v.model = "llama";
  v.scores.assign(tokens.size(), 0);
  v.types.assign(tokens.size(), 1);
  v.tokens = std::move(tokens);
  return v;
}

TEST(GgufRefusal, EndsOnTokensThatAreNoPieces) {
  EXPECT_SAYS(
      refusal_of([] {
        Tokenizer::from_gguf(pieces({"a", std::string(200'000, 'a')}), "m.gguf");
      }),
      "m.gguf: token 1 (\"aaaaaaaaaaaaaaaaaaaa...\") has 200000 bytes, but a token that merges make may have 1024");
  std::vector<std::string> runs;
  for (size_t n = 1; n <= 1000; ++n) runs.emplace_back(n, 'a');
  EXPECT_SAYS(refusal_of([&] { Tokenizer::from_gguf(pieces(runs), "m.gguf"); }), "in so many ways");
  const auto small = Tokenizer::from_gguf(pieces({"a", "b", "ab", "▁"}), "m.gguf");
  json file = json::parse(small->files().at("tokenizer.json"));
  const auto exported = [&] {
    return refusal_of([&] { make_tokenizer(parse_tokenizer_json(file.dump(), "f.json"))->gguf_vocabulary(); });
  };
  EXPECT_EQ(exported(), "");
  file["model"]["vocab"][std::string(200'000, 'a')] = 4;
  EXPECT_SAYS(exported(), "f.json: token 4 (\"aaaaaaaaaaaaaaaaaaaa...\") has 200000 bytes");
}

TEST(BpeRefusal, RefusesAddedTokensTooLongToSearchFor) {
  const auto with = [](size_t size) {
    json file = valid();
    file["added_tokens"].push_back({{"id", 5000}, {"content", std::string(size - 1, 'a') + "b"}, {"special", true}});
    return refusal_of([&] {
      const auto tokenizer = make_tokenizer(parse_tokenizer_json(file.dump(), "f.json"));
      tokenizer->encode(std::string(200'000, 'a'));
    });
  };
  EXPECT_EQ(with(512), "");
  EXPECT_SAYS(with(20'000), "has a content of 20000 bytes, but an added token may have 512");
}

// The pieces between words of a Metaspace pre-tokenizer that splits, without one "▁" in any of them.
TEST(PreTokenizer, LooksForSpacesWithinEachWordOnly) {
  const PreTokenizer metaspace({{"type", "Sequence"},
                                {"pretokenizers",
                                 {{{"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "Isolated"}},
                                  {{"type", "Metaspace"}, {"prepend_scheme", "never"}}}}},
                               "test");
  EXPECT_EQ(metaspace(std::string(400'000, 'a'), true).spans.size(), 400'000u);
  EXPECT_EQ(metaspace("a a", true).spans.size(), 3u);
}

TEST(GgufRefusal, DoesNotExportWhatGgufCannotSay) {
  const auto exported = [](const json &file) {
    return refusal_of([&] { make_tokenizer(parse_tokenizer_json(file.dump(), "f.json"))->gguf_vocabulary(); });
  };
  json file = valid();
  EXPECT_EQ(exported(file), "");
  file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\p{L}+|x";
  EXPECT_SAYS(exported(file), "f.json: llama.cpp has no name for its pre-tokenizer, which does: split \\p{L}+|x");
  file = valid();
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}};
  EXPECT_SAYS(exported(file),
              "f.json: its normalizer {\"type\":\"NFC\"} has no form in GGUF with the pre-tokenizer \"llama-bpe\"");
  file = valid();
  file["model"]["merges"] = json::array();
  EXPECT_SAYS(exported(file), "f.json: model.merges is empty");
  file = json::parse(read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/text/goldens/qwen2.json"))["tokenizer"];
  EXPECT_EQ(exported(file), "");
  file["normalizer"] = {{"type", "NFKC"}};
  EXPECT_SAYS(exported(file), "its normalizer {\"type\":\"NFKC\"} has no form in GGUF");
  file = json::parse(read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/text/goldens/llama2.json"))["tokenizer"];
  EXPECT_SAYS(exported(file), "llama.cpp merges by every way");  // trained by `tokenizers`: one way for each token
  EXPECT_SAYS(refusal_of([] {
                Tokenizer::from_words({"a", "b"}, {}, "")->gguf_vocabulary();
              }),
              "a word-level vocabulary has no form in GGUF");
}

TEST(GgufRefusal, WarnsOfEachStopIdThatGgufCannotSay) {
  TokenizerFiles files = parse_tokenizer_json(valid().dump(), "f.json");
  files.config["eos_token"] = "<|end_of_text|>";
  files.generation_eos = {1, 2, 5, 6};
  const ScratchFolder folder;
  const auto log = folder.path / "log.txt";
  const auto tokenizer = make_tokenizer(std::move(files));
  log_also_to(log);
  const GgufVocabulary vocabulary = tokenizer->gguf_vocabulary();
  log_also_to("");
  const std::string said = read_file(log);
  EXPECT_EQ(vocabulary.eos, 1);
  EXPECT_EQ(vocabulary.ends, (std::vector<int64_t>{2, 5, 6}));
  EXPECT_EQ(said.find("(id 2) ends a response"), std::string::npos) << "its text says so";
  EXPECT_EQ(said.find("(id 5) ends a response"), std::string::npos) << "the key for one more says so";
  EXPECT_NE(said.find("(id 6) ends a response"), std::string::npos);
}

}  // namespace
}  // namespace hone
