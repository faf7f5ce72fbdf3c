// chat_format.cpp -- see chat_format.h. The files are those of Hugging Face transformers' tokenizers.
#include "core/text/chat_format.h"

#include <nlohmann/json.hpp>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/text/json_member.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

// A token is its text, or an object with it as "content".
const std::string *token_text(const ordered_json &value) {
  if (value.is_string()) return value.get_ptr<const std::string *>();
  if (!value.is_object()) return nullptr;
  const auto content = value.find("content");
  return content != value.end() && content->is_string() ? content->get_ptr<const std::string *>() : nullptr;
}

// The object in a file; null when there is no such file.
ordered_json object_of(const fs::path &path) {
  if (!fs::exists(path)) return nullptr;
  const std::string bytes = read_file(path);
  refuse_deep_json(bytes, path.string());
  ordered_json object = ordered_json::parse(bytes, nullptr, false);
  if (!object.is_object()) throw Failure(path.string() + ": not a JSON object; is the file damaged or cut short?");
  return object;
}

}  // namespace

static void check_name(const std::string &name, const std::string &where) {
  if (name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != std::string::npos)
    throw Failure(where + ": the name \"" + name + "\" may have letters, digits, _ and - only, as it becomes a file's name");
}

void ChatFormat::read_tokens(const ordered_json &object, const ordered_json &but) {
  for (const auto &[key, value] : object.items()) {
    if (but.contains(key)) continue;
    if (key.ends_with("_token") && !key.starts_with("add_")) {
      if (const std::string *text = token_text(value))
        tokens_[key] = *text;
      else if (value.is_null())
        tokens_.emplace(key, "");  // known to be none; see render()
    } else if (key.ends_with("_special_tokens") && value.is_array()) {
      for (const ordered_json &one : value)
        if (const std::string *text = token_text(one)) token_lists_[key].push_back(*text);
    }
  }
}

void ChatFormat::add(const std::string &name, const std::string &text, const std::string &where) {
  Entry entry;
  entry.text = text;
  try {
    entry.parsed = std::make_shared<const Template>(text, where);
  } catch (const Failure &failure) {
    entry.wrong = failure.what();
  }
  templates_[name] = std::move(entry);
}

ChatFormat ChatFormat::from_text(const std::string &text, const std::string &name) {
  ChatFormat format;
  format.add("default", text, name);
  return format;
}

ChatFormat ChatFormat::from_texts(const std::map<std::string, std::string> &texts, const std::string &where) {
  ChatFormat format;
  for (const auto &[name, text] : texts) {
    check_name(name, where);
    format.add(name, text, name == "default" ? where : where + " \"" + name + "\"");
  }
  return format;
}

ChatFormat ChatFormat::from_file(const fs::path &path) { return from_text(read_file(path), path.string()); }

static std::string &default_day() {
  static std::string day;
  return day;
}

void set_default_day(const std::string &date) { default_day() = date; }

ChatFormat ChatFormat::from_directory(const fs::path &directory) {
  ChatFormat format;
  const fs::path config_path = directory / "tokenizer_config.json", own = directory / "chat_template.jinja";
  const ordered_json config = object_of(config_path);
  format.read_tokens(object_of(directory / "special_tokens_map.json"), config);
  format.read_tokens(config, {});
  if (!config.is_null()) {
    const auto given = config.find("chat_template");
    if (given != config.end() && !given->is_null()) {
      const std::string where = config_path.string() + ": chat_template";
      if (given->is_string()) {
        format.add("default", given->get<std::string>(), where);
      } else if (given->is_array()) {
        for (const ordered_json &one : *given) {
          const bool whole = one.is_object() && one.contains("name") && one["name"].is_string() &&
                             one.contains("template") && one["template"].is_string();
          if (!whole)
            throw Failure(where + " must be a text or a list of {\"name\", \"template\"}, but it has " +
                          json_shown(one));
          const auto name = one["name"].get<std::string>();
          check_name(name, where);
          format.add(name, one["template"].get<std::string>(), where + " \"" + name + "\"");
        }
      } else {
        throw Failure(where + " must be a text or a list of {\"name\", \"template\"}, but it is " +
                      std::string(given->type_name()));
      }
    }
  }
  if (fs::exists(own)) {
    format.templates_.clear();
    format.add("default", read_file(own), own.string());
  }
  if (const fs::path more = directory / "additional_chat_templates"; fs::is_directory(more)) {
    std::set<fs::path> files;
    for (const auto &entry : fs::directory_iterator(more))
      if (entry.path().extension() == ".jinja") files.insert(entry.path());
    for (const fs::path &file : files) format.add(file.stem().string(), read_file(file), file.string());
  }
  return format;
}

const std::string &ChatFormat::text() const {
  static const std::string none;
  const auto found = templates_.find("default");
  return found == templates_.end() ? none : found->second.text;
}

std::map<std::string, std::string> ChatFormat::texts() const {
  std::map<std::string, std::string> all;
  for (const auto &[name, entry] : templates_) all[name] = entry.text;
  return all;
}

void ChatFormat::set_token(const std::string &token, const std::string &text, bool overwrite) {
  if (overwrite)
    tokens_[token] = text;
  else
    tokens_.emplace(token, text);
}

void ChatFormat::take_tokens(const ChatFormat &other) {
  tokens_ = other.tokens_;
  token_lists_ = other.token_lists_;
}

const ChatFormat::Entry &ChatFormat::chosen(bool tools, const std::string &where) const {
  if (!exists())
    throw Failure(where +
                  ": the model has no chat template; put a chat_template.jinja beside its tokenizer.json (generate, chat and "
                  "render also take --template FILE), or give \"prompt\" instead of \"messages\"");
  auto found = tools ? templates_.find("tool_use") : templates_.end();
  if (found == templates_.end()) found = templates_.find("default");
  if (found == templates_.end()) {
    std::vector<std::string> names;
    for (const auto &[name, entry] : templates_) names.push_back("\"" + name + "\"");
    throw Failure(where + ": none of the model's chat templates (" + join(names, ", ") +
                  ") is called \"default\"; give one of them that name (generate, chat and render also take --template FILE)");
  }
  if (!found->second.wrong.empty()) throw Failure(found->second.wrong);
  return found->second;
}

void check_messages(const ordered_json &messages, const std::string &where) {
  if (!messages.is_array())
    throw Failure(where + ": messages: must be a list of {\"role\", \"content\"}, but it is " + messages.type_name());
  if (messages.empty())
    throw Failure(where + ": messages: is an empty list; a conversation needs one message at least");
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string what = where + ": messages[" + std::to_string(i) + "]";
    const ordered_json &message = messages[i];
    if (!message.is_object())
      throw Failure(what + ": must be an object with \"role\" and \"content\", but it is " + message.type_name());
    const auto role = message.find("role");
    if (role == message.end())
      throw Failure(what +
                    ": has no \"role\"; it is \"user\", \"assistant\", \"system\" or another that the template knows");
    if (!role->is_string()) throw Failure(what + ": role: must be a text, but it is " + json_shown(*role));
    const auto content = message.find("content");
    if (content == message.end()) {
      if (!message.contains("tool_calls"))
        throw Failure(what + ": has no \"content\"; it is a text, or null beside \"tool_calls\"");
      continue;
    }
    if (content->is_string() || content->is_null()) continue;
    if (!content->is_array())
      throw Failure(what + ": content: must be a text, null or a list of parts, but it is " + content->type_name());
    for (const ordered_json &part : *content)
      if (!part.is_object() || !part.contains("type") || !part["type"].is_string())
        throw Failure(
            what + ": content: a part must be an object such as {\"type\": \"text\", \"text\": \"...\"}, but it is " +
            json_shown(part));
  }
}

std::string ChatFormat::render(const ordered_json &messages, bool add_generation_prompt, const ordered_json &tools,
                               const ordered_json &more, const std::string &where) const {
  check_messages(messages, where);
  if (!tools.is_null() && !tools.is_array())
    throw Failure(where + ": tools: must be a list, but it is " + std::string(tools.type_name()));
  if (!more.is_null() && !more.is_object())
    throw Failure(where + ": chat_template_kwargs: must be an object, but it is " + std::string(more.type_name()));
  const Entry &entry = chosen(tools.is_array() && !tools.empty(), where);
  // As transformers: what is not given is None and not undefined; a token that the model does not have is undefined.
  ordered_json variables = {{"messages", messages},
                            {"tools", tools},
                            {"documents", nullptr},
                            {"add_generation_prompt", add_generation_prompt}};
  for (const auto &[name, text] : tokens_)
    if (!text.empty()) variables[name] = text;
  for (const auto &[name, texts] : token_lists_) variables[name] = texts;
  if (more.is_object())
    for (const auto &[name, value] : more.items()) variables[name] = value;
  try {
    return entry.parsed->render(variables, day_of(date_.empty() ? default_day() : date_));
  } catch (const Failure &failure) {
    throw Failure(where + ": " + failure.what());
  }
}

}  // namespace hone
