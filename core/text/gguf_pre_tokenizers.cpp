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
#include "core/text/utf8.h"

namespace hone {
namespace {

const std::string kDigit = "\\p{N}", kNumber = "\\p{N}+";

// \x{1F7D} as the character that it names.
std::string characters(const std::string &escaped) {
  std::string out;
  for (size_t at = 0; at < escaped.size();) {
    if (!escaped.compare(at, 3, "\\x{")) {
      const size_t end = escaped.find('}', at);
      append_code_point(out, static_cast<char32_t>(std::stoul(escaped.substr(at + 3, end - at - 3), nullptr, 16)));
      at = end + 1;
    } else {
      out += escaped[at++];
    }
  }
  return out;
}

// Scripts with two cases. Written in numbers: an editor that composes characters would turn ranges around.
const std::string kTwoCases =
    characters(R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF})"
               R"(\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5})"
               R"(\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD})"
               R"(\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15})"
               R"(\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D})"
               R"(\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB})"
               R"(\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D})"
               R"(\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E})"
               R"(\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D})"
               R"(\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06})"
               R"(\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB})"
               R"(\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)");
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
      {{"glm4", "glm5"}, {kLlama3}, false, true},
      {{"smaug-bpe", "dbrx", "chatglm-bpe"}, {kLlama3}},
      {{"qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan"}, {kQwen2}, false, false, true},
      {{"qwen35"}, {kQwen35}, false, false, true},
      {{"deepseek-v3", "hunyuan-dense"}, {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", kDeepseek3}},
      {{"deepseek-llm"},
       {"[\\r\\n]", kTwoCases, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", "[一-龥ࠀ-一가-퟿]+", kNumber}},
      {{"deepseek-coder"}, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", kDigit}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}, {kDigit}, true},
      {{"gpt-4o", "llama4", "kanana2"}, {cased("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "\\p{N}{1,3}")}},
      {{"tekken"}, {cased("", "\\p{N}")}, false, true},
      {{"default"}, {"[\\p{P}\\$\\+<=>\\^~\\|]+", kGpt2Regex, kNumber, "[0-9][0-9][0-9]"}},
  };
  return table;
}

std::string with_line_ends_escaped(const std::string &regex) {
  std::string out;
  for (const char c : regex) out += c == '\r' ? std::string("\\r") : c == '\n' ? std::string("\\n") : std::string(1, c);
  return out;
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
    steps.push_back("split " + (regex.is_string() ? with_line_ends_escaped(regex.get<std::string>()) : json_shown(pattern)));
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
    std::vector<std::string> own = steps_of(row);
    if (own != steps && row.names[0] == std::string("deepseek-llm")) own.back() = "split " + kDigit;  // DeepSeek's own file; no merge joins digits
    if (own != steps) continue;
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
