// tokenizer.cpp -- reads tokenizer.json and picks the implementation by its model's type.
#include "core/text/tokenizer.h"

#include "core/base/failure.h"
#include "core/text/bpe_tokenizer.h"
#include "core/text/json_member.h"
#include "core/text/tokenizer_files.h"
#include "core/text/word_level.h"

namespace hone {

std::unique_ptr<Tokenizer> make_tokenizer(TokenizerFiles files) {
  const nlohmann::json &model = files.tokenizer.at("model");
  const std::string type = json_component(model);
  if (type == "WordLevel") return std::make_unique<WordLevel>(std::move(files));
  // Files of the library's first years leave the type out; only a BPE has merges.
  if (type == "BPE" || (type == "(missing)" && model.contains("merges")))
    return std::make_unique<BpeTokenizer>(std::move(files));
  throw Failure(files.where + ": tokenizer model type \"" + type +
                "\" is not supported; hone reads \"BPE\" and \"WordLevel\"");
}

std::unique_ptr<Tokenizer> Tokenizer::from_file(const std::filesystem::path &path) {
  std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(read_tokenizer_files(path));
  tokenizer->set_chat(ChatFormat::from_directory(path.parent_path()));
  return tokenizer;
}

std::unique_ptr<Tokenizer> Tokenizer::from_directory(const std::filesystem::path &directory) {
  const auto path = directory / "tokenizer.json";
  if (!std::filesystem::exists(path))
    throw Failure(directory.string() +
                  ": has no tokenizer.json; hone reads Hugging Face's tokenizer.json, so convert "
                  "older files (tokenizer.model, vocab.json and merges.txt) with save_pretrained of transformers");
  return from_file(path);
}

void Tokenizer::set_chat(ChatFormat format) {
  chat_ = std::move(format);
  if (bos() >= 0) chat_.set_token("bos_token", token_of(bos()));
  if (eos() >= 0) chat_.set_token("eos_token", token_of(eos()));
}

std::vector<int32_t> encode_of_row(const Tokenizer &tokenizer, std::string_view text, const std::string &where, bool add_special_tokens) {
  try {
    return tokenizer.encode(text, add_special_tokens);
  } catch (const Failure &failure) {
    throw Failure(where + ": " + failure.what());
  }
}

std::unique_ptr<Tokenizer> Tokenizer::from_words(const std::vector<std::string> &words,
                                                 const std::vector<std::string> &special, const std::string &unknown) {
  TokenizerFiles files;
  files.where = "the vocabulary";
  files.tokenizer = WordLevel::describe(words, special, unknown);
  files.text["tokenizer.json"] = files.tokenizer.dump(1) + "\n";
  return std::make_unique<WordLevel>(std::move(files));
}

}  // namespace hone
