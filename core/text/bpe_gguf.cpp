// bpe_gguf.cpp -- a BPE tokenizer as GGUF's metadata: byte-level as "gpt2", SentencePiece-style as "llama".
#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/text/bpe_tokenizer.h"
#include "core/text/gguf_ends.h"
#include "core/text/gguf_pre_tokenizers.h"
#include "core/text/json_member.h"
#include "core/text/special_names.h"
#include "core/text/utf8.h"

namespace hone {
namespace {

// "a b". A token of a merge that holds a space itself is not to be told from the space between.
std::string merge_text(const nlohmann::json &merge, const std::string &where) {
  if (merge.is_string()) return merge.get<std::string>();
  const std::string left = merge[0], right = merge[1];
  if (left.find(' ') != std::string::npos || right.find(' ') != std::string::npos)
    throw Failure(where + ": the merge " + json_shown(merge) +
                  " has a space in a token, which GGUF cannot say; export it with --to hf");
  return left + " " + right;
}

// The steps of a component, sequences opened.
std::vector<nlohmann::json> steps_of(const nlohmann::json &component, const char *list) {
  if (component.is_null()) return {};
  if (json_component(component) != "Sequence") return {component};
  return json_member(component, list).get<std::vector<nlohmann::json>>();
}

// Whether a "▁" is put before a text, told from the normalizer or the Metaspace pre-tokenizer; Failure for what
// llama.cpp's SentencePiece does not do.
bool space_prefix(const nlohmann::json &file, const std::string &where) {
  bool prefix = false, replaces = false;
  for (const nlohmann::json &step : steps_of(json_member(file, "normalizer"), "normalizers")) {
    const std::string type = json_component(step);
    if (type == "Prepend" && json_member(step, "prepend") == "▁")
      prefix = true;
    else if (type == "Replace" && json_member(json_member(step, "pattern"), "String") == " " &&
             json_member(step, "content") == "▁")
      replaces = true;
    else
      throw Failure(where + ": its normalizer " + json_shown(step) + " has no form in GGUF; export it with --to hf");
  }
  for (const nlohmann::json &step : steps_of(json_member(file, "pre_tokenizer"), "pretokenizers")) {
    if (json_component(step) != "Metaspace" || json_member(step, "replacement") != "▁" || replaces)
      throw Failure(where + ": its pre_tokenizer " + json_shown(step) + " has no form in GGUF; export it with --to hf");
    const nlohmann::json &scheme = json_member(step, "prepend_scheme");
    prefix = scheme.is_string() ? scheme != "never" : json_bool(step, "add_prefix_space", true, where);
    replaces = true;
  }
  if (!replaces)
    throw Failure(where +
                  ": it neither spells bytes in GPT-2's alphabet nor spaces as \"▁\", so it has no form in GGUF; "
                  "export it with --to hf");
  return prefix;
}

// The scores with which llama.cpp, which merges any two neighbours that make a token, the highest score first, merges
// as the list of merges does. Failure when there are none: it is so when each token lists all its ways, in one block.
std::vector<float> scores_of(const nlohmann::json &merges, const Vocabulary &vocabulary,
                             const std::vector<int32_t> &types, const std::string &where) {
  std::vector<float> scores(vocabulary.size(), -std::numeric_limits<float>::max());
  std::vector<size_t> listed(vocabulary.size());
  std::vector<bool> closed(vocabulary.size());
  int32_t before = -1, rank = 0;
  for (const nlohmann::json &merge : merges) {
    if (merge.is_string() && merge.get_ref<const std::string &>().starts_with("#version")) continue;
    const std::string text = merge_text(merge, where);
    const size_t space = text.find(' ');
    const int32_t token = vocabulary.id_of(text.substr(0, space) + text.substr(space + 1));
    if (token != before) {
      if (closed[token])
        throw Failure(where + ": the merges that make \"" + vocabulary.token_of(token) +
                      "\" do not stand together, which scores cannot say; export it with --to hf");
      scores[token] = static_cast<float>(-rank++);
      closed[token] = true;
      before = token;
    }
    ++listed[token];
  }
  for (uint32_t id = 0; id < vocabulary.size(); ++id) {
    if (types[id] != 1) continue;
    const std::string &token = vocabulary.token_of(id);
    check_merged_length(token, id, where);
    size_t ways = 0;
    for (size_t cut = 0; cut < token.size();) {
      next_code_point(token, cut);
      if (cut < token.size() && vocabulary.id_of(token.substr(0, cut)) >= 0 && vocabulary.id_of(token.substr(cut)) >= 0)
        ++ways;
    }
    if (ways != listed[id])
      throw Failure(
          where + ": \"" + token + "\" can be made of two tokens in " + std::to_string(ways) +
          " ways, but model.merges lists " + std::to_string(listed[id]) +
          "; llama.cpp merges by every way, so a GGUF file of it would encode otherwise: export it with --to hf");
  }
  return scores;
}

// llama.cpp normalises no byte-level text. NFC is let pass for the pre-tokenizers of models that have it.
void check_normalizer(const nlohmann::json &file, const std::string &pre, const std::string &where) {
  const bool nfc = json_component(gguf_pre_tokenizer(pre, where).normalizer) == "NFC";
  for (const nlohmann::json &step : steps_of(json_member(file, "normalizer"), "normalizers"))
    if (!nfc || json_component(step) != "NFC")
      throw Failure(where + ": its normalizer " + json_shown(step) + " has no form in GGUF with the pre-tokenizer \"" +
                    pre + "\", so a GGUF file of it would encode otherwise; export it with --to hf");
}

}  // namespace

GgufVocabulary BpeTokenizer::gguf_vocabulary() const {
  const std::string &where = files_.where;
  const nlohmann::json &model = json_member(files_.tokenizer, "model"), &merges = json_member(model, "merges");
  GgufVocabulary out;
  const bool byte_level = pre_tokenizer_.byte_level();
  out.model = byte_level ? "gpt2" : "llama";
  out.types.assign(size(), 1);
  for (uint32_t id = 0; id < size(); ++id) {
    const bool known = vocabulary_.knows(static_cast<int32_t>(id));
    out.tokens.push_back(known ? vocabulary_.token_of(static_cast<int32_t>(id)) : "[PAD" + std::to_string(id) + "]");
    if (!known) out.types[id] = 5;
  }
  for (const nlohmann::json &token : json_member(files_.tokenizer, "added_tokens")) {
    out.types[token["id"].get<size_t>()] = json_flag(token, "special") ? 3 : 4;
    for (const char *flag : {"single_word", "lstrip", "rstrip"})
      if (json_flag(token, flag))
        log_warning(where + ": its added token \"" + token["content"].get<std::string>() + "\" has " + flag +
                    ", which GGUF cannot say: near it llama.cpp will give other ids");
  }
  if (byte_level) {
    out.pre = gguf_pre_name(json_member(files_.tokenizer, "pre_tokenizer"), json_flag(model, "ignore_merges"), where);
    check_normalizer(files_.tokenizer, out.pre, where);
    for (const nlohmann::json &merge : merges)
      if (!merge.is_string() || !merge.get_ref<const std::string &>().starts_with("#version"))
        out.merges.push_back(merge_text(merge, where));
    if (out.merges.empty())
      throw Failure(where +
                    ": model.merges is empty, and a byte-level vocabulary without merges is refused by every reader of "
                    "GGUF; export it with --to hf");
  } else {
    out.add_space_prefix = space_prefix(files_.tokenizer, where);
    if (!json_flag(model, "byte_fallback"))
      throw Failure(
          where + ": model.byte_fallback is false, which GGUF's SentencePiece form cannot say; export it with --to hf");
    for (uint32_t id = 0; id < size(); ++id)
      if (out.tokens[id].size() == 6 && out.tokens[id].starts_with("<0x") && out.types[id] == 1) out.types[id] = 6;
    if (model_.unknown() >= 0) out.types[model_.unknown()] = 2;
    out.scores = scores_of(merges, model_.vocabulary(), out.types, where);
    out.scores.resize(size(), 0.0f);
  }
  out.bos = bos_;
  out.eos = eos_;
  out.unknown = model_.unknown();
  if (const nlohmann::json *padding = special_entry(files_, "pad_token").value) {
    const nlohmann::json &content = padding->is_object() ? json_member(*padding, "content") : *padding;
    if (content.is_string()) out.padding = id_of(content.get<std::string>());
  }
  uint32_t unsaid = 0;
  for (const int32_t id : stop_ids_) {
    if (id == eos_) continue;
    out.ends.push_back(id);
    if (!ends_by_text(out.tokens[id]) && ++unsaid > 1)
      log_warning(where + ": the token \"" + token_of(id) + "\" (id " + std::to_string(id) +
                  ") ends a response as well, which only hone will read in the file: GGUF has keys for eos and one more, and knows others by their texts");
  }
  std::sort(out.ends.begin(), out.ends.end());
  const auto &before = post_processor_.before, &after = post_processor_.after;
  out.add_bos = bos_ >= 0 && before == std::vector<int32_t>{bos_};
  out.add_eos = eos_ >= 0 && after == std::vector<int32_t>{eos_};
  if ((!before.empty() && !out.add_bos) || (!after.empty() && !out.add_eos))
    throw Failure(where +
                  ": its post_processor puts other tokens around a text than bos and eos, which GGUF cannot say; "
                  "export it with --to hf");
  out.chat_template = chat().text();
  out.named_templates = chat().texts();
  out.named_templates.erase("default");
  return out;
}

}  // namespace hone
