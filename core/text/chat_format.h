// chat_format.h -- how a model wants a conversation written: its chat template and the texts of its special tokens.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/template/template.h"

namespace hone {

// Immutable after it has been given to a tokenizer; rendering is thread-safe. A template that cannot be read is no
// reason to refuse its model: render() says what is wrong with it.
class ChatFormat {
 public:
  ChatFormat() = default;  // of a model without a template

  // chat_template.jinja (and additional_chat_templates/*.jinja), else tokenizer_config.json's "chat_template", a text
  // or a list of {name, template}. Special tokens from tokenizer_config.json, and from special_tokens_map.json those
  // that it does not name. Without any of these files there is no template.
  static ChatFormat from_directory(const std::filesystem::path &);
  // name: begins messages about the template, such as the path of the GGUF file that it is from.
  static ChatFormat from_text(const std::string &text, const std::string &name);
  static ChatFormat from_texts(const std::map<std::string, std::string> &text_by_name, const std::string &where);
  static ChatFormat from_file(const std::filesystem::path &);

  bool exists() const { return !templates_.empty(); }
  const std::string &text() const;                   // of the default template; "" when there is none
  std::map<std::string, std::string> texts() const;  // by name: "default", "tool_use", ...

  // token: "bos_token" and its like, as templates call them. Changes nothing when the directory named it, unless told
  // to.
  void set_token(const std::string &token, const std::string &text, bool overwrite = false);
  void take_tokens(const ChatFormat &other);                // for a template given in place of the model's own
  void set_date(const std::string &date) { date_ = date; }  // what strftime_now tells, such as "2024-12-31"; "": today

  // messages: a list of {"role", "content"}; content is a text, null, or a list of parts with a "type". tools: a list,
  // or null; the template "tool_use" is used when there are some and it exists. more: further variables of the
  // template, by name. where: begins every message about the conversation.
  std::string render(const nlohmann::ordered_json &messages, bool add_generation_prompt,
                     const nlohmann::ordered_json &tools, const nlohmann::ordered_json &more,
                     const std::string &where) const;

 private:
  struct Entry {
    std::string text, wrong;  // wrong: why it cannot be used
    std::shared_ptr<const Template> parsed;
  };
  // The special tokens of a configuration, without the keys of `but`.
  void read_tokens(const nlohmann::ordered_json &object, const nlohmann::ordered_json &but);
  void add(const std::string &name, const std::string &text, const std::string &where);
  const Entry &chosen(bool tools, const std::string &where) const;

  std::map<std::string, Entry> templates_;
  std::map<std::string, std::string> tokens_;
  std::map<std::string, std::vector<std::string>> token_lists_;
  std::string date_;
};

// The day that every format tells which was told none, in this process: of a run the day when it was made, so that resuming or
// replaying it writes the same prompts. "": today's. Set before anything is rendered.
void set_default_day(const std::string &date);

// Failure "WHERE: messages: ..." unless they are as render() needs them.
void check_messages(const nlohmann::ordered_json &messages, const std::string &where);

}  // namespace hone
