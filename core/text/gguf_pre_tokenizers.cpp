// gguf_pre_tokenizers.cpp -- one row for each way to cut words; the first name of a row is the one that is written.
#include "core/text/gguf_pre_tokenizers.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/text/json_member.h"
#include "core/text/pre_tokenizer.h"

namespace hone {
namespace {

const std::string kDigit = "\\p{N}";
const std::string kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kCased =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+CONTRACTION|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*CONTRACTION|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string cased(const std::string &contraction, const std::string &digits) {
  std::string out = kCased;
  for (const auto &[from, to] : {std::pair<std::string, std::string>{"CONTRACTION", contraction}, {"DIGITS", digits}})
    for (size_t at; (at = out.find(from)) != std::string::npos;) out.replace(at, from.size(), to);
  return out;
}

struct Row {
  std::vector<const char *> names;
  std::vector<std::string> splits;  // expressions, each of which isolates its matches
  bool gpt2 = false;                // then ByteLevel's own expression
  bool ignore_merges = false;
  bool nfc = false;  // the model's own tokenizer.json normalises
};

const std::vector<Row> &rows() {
  static const std::vector<Row> table = {
      {{"gpt-2", "gpt2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v2-code", "gigachat", "olmo",
        "mpt", "roberta-bpe", "a.x-4.0", "mellum", "modern-bert", "exaone4", "granite-docling", "jais"},
       {},
       true},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "dots1"},
       {kLlama3},
       false,
       true},
      {{"smaug-bpe", "dbrx", "chatglm-bpe", "glm4"}, {kLlama3}},
      {{"qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan"}, {kQwen2}, false, false, true},
      {{"qwen35"}, {kQwen35}, false, false, true},
      {{"deepseek-v3", "hunyuan-dense"}, {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", kDeepseek3}},
      {{"deepseek-llm"},
       {"[\\r\\n]",
        "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-"
        "Ἕἠ-"
        "ὅὈ-"
        "Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄ"
        "ῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-"
        "ｚ𐐀-"
        "𐑏𐒰-"
        "𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
        "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", "[一-龥ࠀ-一가-퟿]+", "\\p{N}+"}},
      {{"deepseek-coder"}, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", kDigit}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}, {kDigit}, true},
      {{"gpt-4o", "llama4", "kanana2"}, {cased("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "\\p{N}{1,3}")}},
      {{"tekken"}, {cased("", "\\p{N}")}, false, true},
      {{"default"}, {"[\\p{P}\\$\\+<=>\\^~\\|]+", kGpt2Regex, "\\p{N}+", "[0-9][0-9][0-9]"}},
  };
  return table;
}

// What a pre-tokenizer does, one text for each step; equal lists cut alike.
std::vector<std::string> steps_of(const nlohmann::json &json) {
  std::vector<std::string> steps;
  const std::string type = json_component(json);
  if (type == "Sequence") {
    for (const nlohmann::json &one : json_member(json, "pretokenizers"))
      for (std::string &step : steps_of(one)) steps.push_back(std::move(step));
  } else if (type == "Split" && json_member(json, "behavior") == "Isolated" && !json_flag(json, "invert")) {
    const nlohmann::json &pattern = json_member(json, "pattern");
    const nlohmann::json &regex = json_member(pattern, "Regex");
    steps.push_back("split " + (regex.is_string() ? regex.get<std::string>() : json_shown(pattern)));
  } else if (type == "Digits" && json_flag(json, "individual_digits")) {
    steps.push_back("split " + kDigit);
  } else if (type == "ByteLevel") {
    if (json_bool(json, "add_prefix_space", true, "")) steps.push_back("a space before each word");
    if (json_bool(json, "use_regex", true, "")) steps.push_back(std::string("split ") + kGpt2Regex);
  } else {
    steps.push_back(json_shown(json));
  }
  return steps;
}

std::vector<std::string> steps_of(const Row &row) {
  std::vector<std::string> steps;
  for (const std::string &split : row.splits) steps.push_back("split " + split);
  if (row.gpt2) steps.push_back(std::string("split ") + kGpt2Regex);
  return steps;
}

}  // namespace

bool gguf_pre_adds_bos(const std::string &pre) {
  static const std::set<std::string> names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "tekken"};
  return names.contains(pre);
}

GgufPreTokenizer gguf_pre_tokenizer(const std::string &pre, const std::string &where) {
  std::vector<std::string> known;
  for (const Row &row : rows()) {
    known.insert(known.end(), row.names.begin(), row.names.end());
    if (std::find(row.names.begin(), row.names.end(), pre.empty() ? std::string("default") : pre) == row.names.end())
      continue;
    nlohmann::json byte_level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", row.gpt2}};
    GgufPreTokenizer found{byte_level, nullptr, row.ignore_merges};
    // Of this row only the Qwen models themselves normalise.
    if (row.nfc && pre.starts_with("qwen")) found.normalizer = {{"type", "NFC"}};
    if (row.splits.empty()) return found;
    nlohmann::json list = nlohmann::json::array();
    for (const std::string &split : row.splits) {
      if (split == kDigit)
        list.push_back({{"type", "Digits"}, {"individual_digits", true}});
      else
        list.push_back(
            {{"type", "Split"}, {"pattern", {{"Regex", split}}}, {"behavior", "Isolated"}, {"invert", false}});
    }
    list.push_back(byte_level);
    found.pre_tokenizer = {{"type", "Sequence"}, {"pretokenizers", list}};
    return found;
  }
  const std::string nearest = nearest_name(pre, known);
  throw Failure(where + ": tokenizer.ggml.pre \"" + pre + "\" is not a pre-tokenizer that hone knows" +
                (nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?") + " (it knows " + join(known, ", ") +
                ")");
}

std::string gguf_pre_name(const nlohmann::json &pre_tokenizer, bool ignore_merges, const std::string &where) {
  const std::vector<std::string> steps = steps_of(pre_tokenizer);
  const Row *alike = nullptr;
  for (const Row &row : rows()) {
    if (steps_of(row) != steps) continue;
    if (row.ignore_merges == ignore_merges) return row.names[0];
    alike = &row;
  }
  if (alike)
    throw Failure(where + ": its pre-tokenizer is llama.cpp's \"" + alike->names[0] + "\", with which llama.cpp " +
                  (alike->ignore_merges ? "takes whole words from the vocabulary before it merges" : "always merges") +
                  ", but model.ignore_merges is " + (ignore_merges ? "true" : "false") +
                  "; a GGUF file of it would encode otherwise, so export it with --to hf");
  throw Failure(where + ": llama.cpp has no name for its pre-tokenizer, which does: " +
                (steps.empty() ? "nothing" : join(steps, "; ")) + "; export it with --to hf");
}

}  // namespace hone
