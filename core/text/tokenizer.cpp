// tokenizer.cpp -- reads tokenizer.json and picks the implementation by its model's type.
#include "core/text/tokenizer.h"

#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/base/file.h"
#include "core/text/word_level.h"

namespace hone {
namespace {

nlohmann::json parse_object(const std::filesystem::path &path, const std::string &bytes) {
  refuse_deep_json(bytes, path);
  nlohmann::json parsed = nlohmann::json::parse(bytes, nullptr, false);
  if (parsed.is_discarded()) throw Failure(path.string() + ": not JSON; is the file damaged or cut short?");
  if (!parsed.is_object()) throw Failure(path.string() + ": must be a JSON object, but it is " + parsed.type_name());
  return parsed;
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path &path) {
  const std::string text = read_file(path);
  const nlohmann::json file = parse_object(path, text);
  const auto model = file.find("model");
  if (model == file.end() || !model->is_object())
    throw Failure(path.string() + ": has no \"model\" object; it is not a tokenizer.json of Hugging Face tokenizers");
  const auto type = model->find("type");
  const std::string name = type != model->end() && type->is_string() ? type->get<std::string>() : "(missing)";
  if (name != "WordLevel")
    throw Failure(path.string() + ": tokenizer model type \"" + name +
                  "\" is not supported yet; hone reads \"WordLevel\"");

  nlohmann::json config = nlohmann::json::object();
  const auto config_path = path.parent_path() / "tokenizer_config.json";
  if (std::filesystem::exists(config_path)) config = parse_object(config_path, read_file(config_path));
  return std::make_unique<WordLevel>(file, text, config, path.string());
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::from_file(const std::filesystem::path &path) {
  std::unique_ptr<Tokenizer> tokenizer = open_tokenizer(path);
  tokenizer->set_chat(ChatFormat::from_directory(path.parent_path()));
  return tokenizer;
}

void Tokenizer::set_chat(ChatFormat format) {
  chat_ = std::move(format);
  if (bos() >= 0) chat_.set_token("bos_token", token_of(bos()));
  if (eos() >= 0) chat_.set_token("eos_token", token_of(eos()));
}

std::unique_ptr<Tokenizer> Tokenizer::from_words(const std::vector<std::string> &words,
                                                 const std::vector<std::string> &special, const std::string &unknown) {
  const nlohmann::json file = WordLevel::describe(words, special, unknown);
  return std::make_unique<WordLevel>(file, file.dump(1) + "\n", nlohmann::json::object(), "the vocabulary");
}

}  // namespace hone
