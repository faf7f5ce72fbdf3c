// tokenizer_files.cpp -- reading the files of a tokenizer.
#include "core/text/tokenizer_files.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/text/json_member.h"

namespace hone {
namespace {

nlohmann::json parse_object(const std::filesystem::path &path, const std::string &bytes) {
  refuse_deep_json(bytes, path);
  nlohmann::json parsed = nlohmann::json::parse(bytes, nullptr, false);
  if (parsed.is_discarded()) throw Failure(path.string() + ": not JSON; is the file damaged or cut short?");
  if (!parsed.is_object()) throw Failure(path.string() + ": must be a JSON object, but it is " + parsed.type_name());
  return parsed;
}

std::vector<int64_t> read_eos(const nlohmann::json &value, const std::string &where) {
  const auto one = [&](const nlohmann::json &id) {
    if (!id.is_number_integer() || (id.is_number_unsigned() && id.get<uint64_t>() > INT64_MAX))
      throw Failure(where + ": eos_token_id must be a token id or a list of them, but it is " + json_shown(value));
    return id.get<int64_t>();
  };
  std::vector<int64_t> ids;
  if (value.is_array())
    for (const nlohmann::json &id : value) ids.push_back(one(id));
  else if (!value.is_null())
    ids.push_back(one(value));
  return ids;
}

}  // namespace

TokenizerFiles parse_tokenizer_json(std::string text, const std::string &where) {
  TokenizerFiles files;
  files.where = where;
  files.tokenizer = parse_object(where, text);
  files.text["tokenizer.json"] = std::move(text);
  if (!json_member(files.tokenizer, "model").is_object())
    throw Failure(where + ": has no \"model\" object; it is not a tokenizer.json of Hugging Face tokenizers");
  return files;
}

TokenizerFiles read_tokenizer_files(const std::filesystem::path &path) {
  TokenizerFiles files = parse_tokenizer_json(read_file(path), path);
  for (const char *name : {"tokenizer_config.json", "generation_config.json", "special_tokens_map.json"}) {
    const auto beside = path.parent_path() / name;
    if (std::filesystem::exists(beside)) files.text[name] = read_file(beside);
  }
  if (const auto config = files.text.find("tokenizer_config.json"); config != files.text.end())
    files.config = parse_object(path.parent_path() / config->first, config->second);
  if (const auto map = files.text.find("special_tokens_map.json"); map != files.text.end())
    files.special_map = parse_object(path.parent_path() / map->first, map->second);
  if (const auto generation = files.text.find("generation_config.json"); generation != files.text.end()) {
    const auto beside = path.parent_path() / generation->first;
    files.generation_eos = read_eos(json_member(parse_object(beside, generation->second), "eos_token_id"), beside);
  } else if (const auto beside = path.parent_path() / "config.json"; std::filesystem::exists(beside)) {
    files.generation_eos = read_eos(json_member(parse_object(beside, read_file(beside)), "eos_token_id"), beside);
  }
  return files;
}

std::vector<int32_t> stop_ids_of(int32_t eos, const TokenizerFiles &files, uint32_t size) {
  std::vector<int32_t> ids;
  if (eos >= 0) ids.push_back(eos);
  for (const int64_t id : files.generation_eos) {
    if (id < 0 || id >= size) {
      log_warning(files.where + ": the eos_token_id " + std::to_string(id) + " of " +
                  (files.text.contains("generation_config.json") ? "generation_config.json" : "config.json") +
                  " beside it is not in its vocabulary of " + std::to_string(size) + " tokens, and ends nothing");
      continue;
    }
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

}  // namespace hone
