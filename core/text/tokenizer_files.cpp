// tokenizer_files.cpp -- reading the files of a tokenizer.
#include "core/text/tokenizer_files.h"

#include <algorithm>
#include <charconv>
#include <map>

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

nlohmann::json &entry_of(nlohmann::json &list, const std::string &content) {
  for (nlohmann::json &entry : list)
    if (json_member(entry, "content") == content) return entry;
  return list.emplace_back(nlohmann::json{{"content", content}});
}

// What tokenizer_config.json says of added tokens: those that tokenizer.json lacks, and flags, which win over its own. In
// older directories added_tokens.json has the names alone.
void merge_added_tokens(TokenizerFiles &files, const nlohmann::json &names, const std::filesystem::path &config, const std::filesystem::path &older) {
  nlohmann::json list = json_member(files.tokenizer, "added_tokens");
  if (list.is_null()) list = nlohmann::json::array();
  if (!list.is_array()) return;  // refused where it is read
  const auto add = [&](const std::string &content, uint64_t id, const nlohmann::json &flags) {
    nlohmann::json &entry = entry_of(list, content);
    if (!entry.contains("id")) {
      const nlohmann::json &known = json_member(json_member(json_member(files.tokenizer, "model"), "vocab"), content.c_str());
      entry["id"] = known.is_number_unsigned() ? known.get<uint64_t>() : id;
    }
    for (const char *flag : {"single_word", "lstrip", "rstrip", "normalized", "special"})
      if (flags.contains(flag)) entry[flag] = flags[flag];
  };
  const nlohmann::json &decoder = json_member(files.config, "added_tokens_decoder");
  if (decoder.is_object()) {
    std::map<uint64_t, const nlohmann::json *> by_id;
    for (const auto &[key, entry] : decoder.items()) {
      uint64_t id = 0;
      const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), id);
      const nlohmann::json &content = json_member(entry, "content");
      if (code != std::errc() || end != key.data() + key.size() || id > INT32_MAX || !content.is_string() || content.get_ref<const std::string &>().empty())
        throw Failure(config.string() + ": added_tokens_decoder[\"" + key + "\"] must be a token id with an object that has a \"content\", but it is " +
                      json_shown(entry));
      by_id[id] = &entry;
    }
    for (const auto &[id, entry] : by_id) add((*entry)["content"], id, *entry);
  } else if (!decoder.is_null()) {
    throw Failure(config.string() + ": added_tokens_decoder must be an object, but it is " + json_shown(decoder));
  } else {
    for (const auto &[content, id] : names.items()) {
      if (content.empty() || !id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX)
        throw Failure(older.string() + ": \"" + content + "\" must be a token with its id, but it is " + json_shown(id));
      const bool known = std::any_of(list.begin(), list.end(), [&, &content = content](const nlohmann::json &entry) { return json_member(entry, "content") == content; });
      if (!known) add(content, id, nlohmann::json::object());
    }
  }
  if (!list.empty()) files.tokenizer["added_tokens"] = std::move(list);
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
  const auto older = path.parent_path() / "added_tokens.json";
  merge_added_tokens(files, std::filesystem::exists(older) ? parse_object(older, read_file(older)) : nlohmann::json::object(),
                     path.parent_path() / "tokenizer_config.json", older);
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
