// gguf_tokenizer.cpp -- see gguf_tokenizer.h.
#include "core/model/gguf_tokenizer.h"

#include <algorithm>
#include <set>

#include "core/base/failure.h"
#include "core/text/gguf_ends.h"
#include "core/text/gguf_pre_tokenizers.h"

namespace hone {
namespace {

constexpr int32_t kUndefined = 0, kNormal = 1, kUnused = 5;
constexpr const char *kEndOfTurn = "tokenizer.ggml.eot_token_id";

struct Id {
  const char *key;
  int64_t GgufVocabulary::*id;
};
const Id kIds[] = {{"tokenizer.ggml.bos_token_id", &GgufVocabulary::bos},
                   {"tokenizer.ggml.eos_token_id", &GgufVocabulary::eos},
                   {"tokenizer.ggml.unknown_token_id", &GgufVocabulary::unknown},
                   {"tokenizer.ggml.padding_token_id", &GgufVocabulary::padding}};

// What ends a response beside eos where only llama.cpp's keys and texts tell: those of `named`, and tokens known by their text.
std::set<int64_t> ends_without(int64_t eos, const std::vector<std::string> &tokens, std::set<int64_t> named) {
  for (size_t id = 0; id < tokens.size(); ++id)
    if (ends_by_text(tokens[id])) named.insert(static_cast<int64_t>(id));
  named.erase(eos);
  return named;
}

// All of them, eos included, where the others are not just those: what hone writes and other programs do not know.
constexpr const char *kAllEnds = "hone.stop_token_ids";

}  // namespace

GgufVocabulary vocabulary_from_gguf(const Gguf &file) {
  const std::string where = file.path().string() + ": metadata \"";
  GgufVocabulary out;
  out.model = file.text("tokenizer.ggml.model");
  out.pre = file.text("tokenizer.ggml.pre", "");
  out.tokens = file.texts("tokenizer.ggml.tokens");
  const size_t size = out.tokens.size();
  for (size_t id = 0; id < size; ++id)
    if (out.tokens[id].empty()) out.tokens[id] = "[EMPTY_" + std::to_string(id) + "]";  // as llama.cpp calls them
  const auto same_length = [&](const char *key, size_t length) {
    if (length != size)
      throw Failure(where + key + "\" has " + std::to_string(length) + " elements for " + std::to_string(size) +
                    " tokens");
  };
  if (const char *key = "tokenizer.ggml.token_type"; file.has(key)) {
    for (int64_t type : file.integers(key)) {
      if (type < 0 || type > 6) throw Failure(where + key + "\" has the unknown type " + std::to_string(type));
      out.types.push_back(type == kUndefined ? kNormal : static_cast<int32_t>(type));
    }
    same_length(key, out.types.size());
  }
  if (const char *key = "tokenizer.ggml.scores"; file.has(key)) {
    for (double score : file.numbers(key)) out.scores.push_back(static_cast<float>(score));
    same_length(key, out.scores.size());
  }
  if (file.has("tokenizer.ggml.merges")) out.merges = file.texts("tokenizer.ggml.merges");
  const auto token_id = [&](const char *key, int64_t id) -> int64_t {
    if (id >= static_cast<int64_t>(size) && id != UINT32_MAX)  // that is how -1 is written into an unsigned value
      throw Failure(where + key + "\" is " + std::to_string(id) + ", but there are " + std::to_string(size) + " tokens");
    return id < 0 || id == UINT32_MAX ? -1 : id;
  };
  for (const Id &one : kIds) out.*one.id = token_id(one.key, file.integer(one.key, -1));
  std::set<int64_t> ends;
  if (file.has(kAllEnds)) {
    for (const int64_t id : file.integers(kAllEnds)) ends.insert(token_id(kAllEnds, id));
  } else {
    for (const char *key : {kEndOfTurn, "tokenizer.ggml.eom_token_id"}) ends.insert(token_id(key, file.integer(key, -1)));
    ends = ends_without(out.eos, out.tokens, std::move(ends));
  }
  ends.erase(-1);
  ends.erase(out.eos);
  out.ends.assign(ends.begin(), ends.end());
  out.add_bos = file.boolean("tokenizer.ggml.add_bos_token", out.model == "llama" || gguf_pre_adds_bos(out.pre));
  out.add_eos = file.boolean("tokenizer.ggml.add_eos_token", false);
  out.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix", true);
  out.chat_template = file.text("tokenizer.chat_template", "");
  if (file.has("tokenizer.chat_templates"))
    for (const std::string &name : file.texts("tokenizer.chat_templates"))
      out.named_templates[name] = file.text("tokenizer.chat_template." + name);
  return out;
}

void vocabulary_to_gguf(const GgufVocabulary &vocabulary, uint64_t vocab_size, GgufWriter &writer) {
  const size_t size = vocabulary.tokens.size();
  if (size > vocab_size)
    throw Failure("the tokenizer has " + std::to_string(size) + " tokens, more than the model's " +
                  std::to_string(vocab_size));
  std::vector<std::string> tokens = vocabulary.tokens;
  std::vector<int32_t> types = vocabulary.types;
  std::vector<float> scores = vocabulary.scores;
  types.resize(size, kNormal);
  for (size_t id = size; id < vocab_size; ++id) tokens.push_back("[PAD" + std::to_string(id) + "]");
  types.resize(vocab_size, kUnused);
  writer.set_text("tokenizer.ggml.model", vocabulary.model);
  if (!vocabulary.pre.empty()) writer.set_text("tokenizer.ggml.pre", vocabulary.pre);
  writer.set_texts("tokenizer.ggml.tokens", tokens);
  writer.set_integers("tokenizer.ggml.token_type", types);
  if (!scores.empty()) {
    scores.resize(vocab_size, -1000);
    writer.set_numbers("tokenizer.ggml.scores", scores);
  }
  if (!vocabulary.merges.empty()) writer.set_texts("tokenizer.ggml.merges", vocabulary.merges);
  for (const Id &one : kIds)
    if (vocabulary.*one.id >= 0) writer.set_integer(one.key, static_cast<uint32_t>(vocabulary.*one.id));
  const std::set<int64_t> ends(vocabulary.ends.begin(), vocabulary.ends.end());
  std::set<int64_t> named;
  if (!ends.empty()) {  // the first that its text does not tell, or the first
    const auto unsaid = std::find_if(ends.begin(), ends.end(), [&](int64_t id) { return !ends_by_text(tokens[static_cast<size_t>(id)]); });
    named.insert(unsaid == ends.end() ? *ends.begin() : *unsaid);
    writer.set_integer(kEndOfTurn, static_cast<uint32_t>(*named.begin()));
  }
  if (ends_without(vocabulary.eos, tokens, named) != ends) {
    std::vector<int32_t> all(ends.begin(), ends.end());
    if (vocabulary.eos >= 0) all.insert(all.begin(), static_cast<int32_t>(vocabulary.eos));
    writer.set_integers(kAllEnds, all);
  }
  writer.set_boolean("tokenizer.ggml.add_bos_token", vocabulary.add_bos);
  writer.set_boolean("tokenizer.ggml.add_eos_token", vocabulary.add_eos);
  writer.set_boolean("tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix);
  if (!vocabulary.chat_template.empty()) writer.set_text("tokenizer.chat_template", vocabulary.chat_template);
  std::vector<std::string> names;
  for (const auto &[name, text] : vocabulary.named_templates) {
    names.push_back(name);
    writer.set_text("tokenizer.chat_template." + name, text);
  }
  if (!names.empty()) writer.set_texts("tokenizer.chat_templates", names);
}

}  // namespace hone
