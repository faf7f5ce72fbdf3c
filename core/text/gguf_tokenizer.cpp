// gguf_tokenizer.cpp -- the tokenizer.json of a GGUF file's vocabulary, which is then read as any other.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/text/added_vocabulary.h"
#include "core/text/bpe_tokenizer.h"
#include "core/text/gguf_pre_tokenizers.h"
#include "core/text/utf8.h"

namespace hone {
namespace {

enum TokenType : int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

int32_t type_of(const GgufVocabulary &vocabulary, size_t id) {
  return vocabulary.types.empty() ? normal : vocabulary.types[id];
}

void check(const GgufVocabulary &v, const std::string &where) {
  if (v.tokens.empty()) throw Failure(where + ": tokenizer.ggml.tokens is missing or empty");
  const auto same_length = [&](size_t length, const char *key) {
    if (length != 0 && length != v.tokens.size())
      throw Failure(where + ": " + key + " has " + std::to_string(length) + " entries, but tokenizer.ggml.tokens has " +
                    std::to_string(v.tokens.size()));
  };
  same_length(v.types.size(), "tokenizer.ggml.token_type");
  same_length(v.scores.size(), "tokenizer.ggml.scores");
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    if (invalid_utf8(v.tokens[id]) != std::string_view::npos)
      throw Failure(where + ": tokenizer.ggml.tokens[" + std::to_string(id) + "] is not valid UTF-8");
    if (const int32_t type = type_of(v, id); type < normal || type > byte)
      throw Failure(where + ": tokenizer.ggml.token_type[" + std::to_string(id) + "] is " + std::to_string(type) +
                    ", but types are 1 to 6");
  }
  for (size_t i = 0; i < v.merges.size(); ++i)
    if (invalid_utf8(v.merges[i]) != std::string_view::npos)
      throw Failure(where + ": tokenizer.ggml.merges[" + std::to_string(i) + "] is not valid UTF-8");
  if (invalid_utf8(v.chat_template) != std::string_view::npos)
    throw Failure(where + ": tokenizer.chat_template is not valid UTF-8");
  for (const auto &[name, text] : v.named_templates)
    if (invalid_utf8(name) != std::string_view::npos || invalid_utf8(text) != std::string_view::npos)
      throw Failure(where + ": tokenizer.chat_template." + with_replaced_invalid_utf8(name) + " is not valid UTF-8");
  for (const auto &[name, id] : {std::pair<const char *, int64_t>{"bos", v.bos},
                                 {"eos", v.eos},
                                 {"unknown", v.unknown},
                                 {"padding", v.padding}})
    if (id != -1 && (id < 0 || static_cast<uint64_t>(id) >= v.tokens.size()))
      throw Failure(where + ": tokenizer.ggml." + name + "_token_id is " + std::to_string(id) +
                    ", outside the vocabulary of " + std::to_string(v.tokens.size()) + " tokens");
}

// Which pairs merge, and in which order: of all ways to cut a token into two tokens, those of the token with the
// highest score first. What SentencePiece's BPE and llama.cpp do by score, a list of merges does by rank; where two
// tokens have the same score, the smaller id is first here and the leftmost pair there.
nlohmann::json merges_by_score(const GgufVocabulary &v, const std::string &where) {
  if (v.scores.empty())
    throw Failure(
        where + ": tokenizer.ggml.scores is missing; a \"llama\" vocabulary without merges cannot encode without them");
  std::unordered_map<std::string_view, size_t> id_of;
  std::vector<size_t> order;
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    if (std::isnan(v.scores[id]))
      throw Failure(where + ": tokenizer.ggml.scores[" + std::to_string(id) + "] is not a number");
    const int32_t type = type_of(v, id);
    if (type != normal && type != user_defined) continue;
    id_of.emplace(v.tokens[id], id);
    order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return v.scores[a] > v.scores[b]; });
  // Llama 2's merges are 4 times as long as its tokens.
  uint64_t bytes = 0, most_bytes = 1 << 20;
  for (const size_t id : order) most_bytes += 64 * v.tokens[id].size();
  nlohmann::json merges = nlohmann::json::array();
  for (const size_t id : order) {
    const std::string_view token = v.tokens[id];
    check_merged_length(token, id, where);
    std::vector<std::pair<size_t, size_t>> ways;
    for (size_t cut = 0; cut < token.size();) {
      next_code_point(token, cut);
      if (cut >= token.size()) break;
      const auto left = id_of.find(token.substr(0, cut)), right = id_of.find(token.substr(cut));
      if (left != id_of.end() && right != id_of.end()) ways.emplace_back(left->second, right->second);
    }
    std::sort(ways.begin(), ways.end());
    bytes += ways.size() * token.size();
    if (bytes > most_bytes)
      throw Failure(
          where +
          ": tokenizer.ggml.tokens can be cut into one another in so many ways that the merges would be more than " +
          human_bytes(most_bytes) + "; is the file damaged?");
    for (const auto &[left, right] : ways) merges.push_back({v.tokens[left], v.tokens[right]});
  }
  return merges;
}

nlohmann::json special_piece(const std::string &token) { return {{"SpecialToken", {{"id", token}, {"type_id", 0}}}}; }

nlohmann::json template_of(const GgufVocabulary &v) {
  if (!(v.add_bos && v.bos >= 0) && !(v.add_eos && v.eos >= 0)) return nullptr;
  const nlohmann::json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
                       second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  nlohmann::json single = nlohmann::json::array(), pair = nlohmann::json::array(), tokens = nlohmann::json::object();
  const auto add = [&](int64_t id) {
    const std::string &token = v.tokens[id];
    single.push_back(special_piece(token));
    pair.push_back(special_piece(token));
    tokens[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  };
  if (v.add_bos && v.bos >= 0) add(v.bos);
  single.push_back(text);
  pair.push_back(text);
  pair.push_back(second);
  if (v.add_eos && v.eos >= 0) add(v.eos);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
}

nlohmann::json added_tokens_of(const GgufVocabulary &v) {
  nlohmann::json added = nlohmann::json::array();
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    const int32_t type = type_of(v, id);
    const bool named = static_cast<int64_t>(id) == v.bos || static_cast<int64_t>(id) == v.eos;
    if ((type != control && type != user_defined && type != unknown && !(named && v.types.empty())) ||
        v.tokens[id].empty())
      continue;
    added.push_back(added_token_entry(id, v.tokens[id], type != user_defined));
  }
  return added;
}

nlohmann::json replace(const char *from, const char *to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

nlohmann::json tokenizer_json(const GgufVocabulary &v, const std::string &where) {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (size_t id = 0; id < v.tokens.size(); ++id)
    if (const auto [known, fresh] = vocabulary.emplace(v.tokens[id], id); !fresh)
      throw Failure(where + ": tokenizer.ggml.tokens has \"" + v.tokens[id] + "\" twice, as " + known->dump() +
                    " and " + std::to_string(id));
  nlohmann::json file = {{"version", "1.0"},
                         {"truncation", nullptr},
                         {"padding", nullptr},
                         {"added_tokens", added_tokens_of(v)},
                         {"normalizer", nullptr},
                         {"pre_tokenizer", nullptr},
                         {"post_processor", template_of(v)},
                         {"decoder", nullptr}};
  nlohmann::json model = {{"type", "BPE"},
                          {"dropout", nullptr},
                          {"unk_token", nullptr},
                          {"continuing_subword_prefix", nullptr},
                          {"end_of_word_suffix", nullptr},
                          {"fuse_unk", false},
                          {"byte_fallback", false},
                          {"ignore_merges", false},
                          {"vocab", std::move(vocabulary)}};
  if (v.model == "gpt2") {
    if (v.merges.empty())
      throw Failure(where + ": tokenizer.ggml.merges is missing; a \"gpt2\" vocabulary cannot encode without it");
    if (v.pre.empty())
      log_warning(
          where +
          ": tokenizer.ggml.pre is missing, so words are cut as llama.cpp's \"default\" does; if the model was "
          "trained otherwise, its numbers and punctuation get other ids: convert it again with its pre-tokenizer");
    GgufPreTokenizer pre = gguf_pre_tokenizer(v.pre, where);
    file["pre_tokenizer"] = pre.pre_tokenizer;
    file["normalizer"] = pre.normalizer;
    file["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
    model["ignore_merges"] = pre.ignore_merges;
    model["merges"] = v.merges;
  } else if (v.model == "llama") {
    nlohmann::json normalizers = nlohmann::json::array(),
                   decoders = {replace("▁", " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
    if (v.add_space_prefix) {
      normalizers.push_back({{"type", "Prepend"}, {"prepend", "▁"}});
      decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    normalizers.push_back(replace(" ", "▁"));
    file["normalizer"] = {{"type", "Sequence"}, {"normalizers", normalizers}};
    file["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
    int64_t unknown_id = v.unknown;
    for (size_t id = 0; id < v.types.size() && unknown_id < 0; ++id)
      if (v.types[id] == unknown) unknown_id = static_cast<int64_t>(id);
    if (unknown_id >= 0) model["unk_token"] = v.tokens[unknown_id];
    model["fuse_unk"] = true;
    model["byte_fallback"] = true;
    model["merges"] = v.merges.empty() ? merges_by_score(v, where) : nlohmann::json(v.merges);
  } else {
    throw Failure(where + ": tokenizer.ggml.model \"" + v.model +
                  "\" is not supported; hone reads \"gpt2\" (byte-level BPE) and \"llama\" (SentencePiece BPE)");
  }
  file["model"] = std::move(model);
  return file;
}

}  // namespace

void check_merged_length(std::string_view token, size_t id, const std::string &where) {
  constexpr size_t most = 1024;  // SentencePiece's own limit, if none is given, is 16 characters
  if (token.size() > most)
    throw Failure(where + ": token " + std::to_string(id) + " (\"" + std::string(token.substr(0, 20)) + "...\") has " +
                  std::to_string(token.size()) + " bytes, but a token that merges make may have " +
                  std::to_string(most) + "; is the file damaged?");
}

std::unique_ptr<Tokenizer> Tokenizer::from_gguf(const GgufVocabulary &vocabulary, const std::string &where) {
  check(vocabulary, where);
  // From the text that files() gives, so that this tokenizer and the one read back from it are the same.
  TokenizerFiles files = parse_tokenizer_json(tokenizer_json(vocabulary, where).dump(1) + "\n", where);
  // Null names say that there is none: nothing is guessed from spellings.
  files.config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  for (const auto &[key, id] : {std::pair<const char *, int64_t>{"bos_token", vocabulary.bos},
                                {"eos_token", vocabulary.eos},
                                {"unk_token", vocabulary.unknown},
                                {"pad_token", vocabulary.padding}})
    files.config[key] = id < 0 ? nlohmann::json() : nlohmann::json(vocabulary.tokens[id]);
  files.config["add_bos_token"] = vocabulary.add_bos;
  files.config["add_eos_token"] = vocabulary.add_eos;
  files.text["tokenizer_config.json"] = files.config.dump(1) + "\n";
  if (!vocabulary.ends.empty()) {
    if (vocabulary.eos >= 0) files.generation_eos.push_back(vocabulary.eos);
    files.generation_eos.insert(files.generation_eos.end(), vocabulary.ends.begin(), vocabulary.ends.end());
    files.text["generation_config.json"] = nlohmann::json{{"eos_token_id", files.generation_eos}}.dump(1) + "\n";
  }
  auto tokenizer = std::make_unique<BpeTokenizer>(std::move(files));
  std::map<std::string, std::string> templates = vocabulary.named_templates;
  if (!vocabulary.chat_template.empty()) templates["default"] = vocabulary.chat_template;
  if (!templates.empty()) tokenizer->set_chat(ChatFormat::from_texts(templates, where + ": chat template"));
  return tokenizer;
}

}  // namespace hone
