// conversations.cpp -- see conversations.h.
#include "core/stage/conversations.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/stage/models.h"

namespace hone {
using nlohmann::json;
using nlohmann::ordered_json;

bool is_conversation(const json &columns) {
  const auto given = [&](const char *name) { return columns.contains(name) && !columns[name].is_null(); };
  return given("messages") && !given("prompt");
}

namespace {

ordered_json column(const DataRow &row, const char *name) {
  const auto found = row.columns.find(name);
  return found == row.columns.end() ? ordered_json() : ordered_json(*found);
}

bool by_assistant(const ordered_json &message) { return message.at("role") == "assistant"; }

ordered_json checked(const DataRow &row) {
  ordered_json messages = column(row, "messages");
  check_messages(messages, row.where);
  return messages;
}

// Without the assistant's messages at the end.
ordered_json asked(const DataRow &row) {
  ordered_json messages = checked(row);
  while (!messages.empty() && by_assistant(messages.back())) messages.erase(messages.size() - 1);
  if (messages.empty())
    throw Failure(
        row.where +
        ": messages: are all the assistant's, so there is nothing to answer; begin with a message of the user");
  return messages;
}

std::string render(const Tokenizer &tokenizer, const DataRow &row, const ordered_json &messages,
                   bool add_generation_prompt) {
  return tokenizer.chat().render(messages, add_generation_prompt, column(row, "tools"),
                                 column(row, "chat_template_kwargs"), row.where);
}

void check_answer(const DataRow &row, const ordered_json &messages) {
  if (!by_assistant(messages.back()))
    throw Failure(row.where + ": messages: the last one is of role \"" + messages.back().at("role").get<std::string>() +
                  "\", but what is learnt is an answer of the assistant; end with a message of role \"assistant\"");
  if (messages.size() > 1 && by_assistant(messages[messages.size() - 2]))
    throw Failure(row.where + ": messages: the last two are the assistant's; join them into one");
}

size_t end_without_space(const std::string &text) {
  const size_t last = text.find_last_not_of(" \t\r\n");
  return last == std::string::npos ? 0 : last + 1;
}

// The part of a turn up to the special token that ends it: what a template writes behind that is not the model's to
// write.
Answer up_to_its_end(const Tokenizer &tokenizer, const DataRow &row, std::string text) {
  const size_t end = end_without_space(text);
  const std::vector<int32_t> ids = encode_of_row(tokenizer, std::string_view(text).substr(0, end), row.where + ": messages");
  const bool ended = !ids.empty() && tokenizer.is_special(ids.back()) &&
                     std::string_view(text).substr(0, end).ends_with(tokenizer.token_of(ids.back()));
  if (ended) text.resize(end);
  return {std::move(text), ended};
}

// What the template itself writes of an answer when it asks for one ("<think>\n"), behind the words that begin any turn of
// the assistant; "" when it writes nothing, or when these cannot be told apart.
std::string begun_answer(const Tokenizer &tokenizer, const DataRow &row, const std::string &prompt) {
  ordered_json messages = asked(row);
  const std::string before = render(tokenizer, row, messages, false), mark = "an answer\x1e";
  messages.push_back({{"role", "assistant"}, {"content", mark}});
  const std::string with_answer = render(tokenizer, row, messages, false);
  const size_t at = with_answer.rfind(mark);
  if (at == std::string::npos || at < before.size() || !with_answer.starts_with(before) || !prompt.starts_with(before)) return "";
  const std::string opening = with_answer.substr(before.size(), at - before.size()), asking = prompt.substr(before.size());
  return asking.starts_with(opening) ? asking.substr(opening.size()) : "";
}

}  // namespace

void check_conversation(const DataRow &row, bool with_answer) {
  asked(row);
  if (with_answer) check_answer(row, checked(row));
}

std::string prompt_text(const Tokenizer &tokenizer, const DataRow &row) {
  return is_conversation(row) ? render(tokenizer, row, asked(row), true) : row_text(row, "prompt");
}

Answer last_answer(const Tokenizer &tokenizer, const DataRow &row) {
  const ordered_json messages = checked(row);
  check_answer(row, messages);
  const std::string prompt = prompt_text(tokenizer, row), whole = render(tokenizer, row, messages, false);
  if (whole.starts_with(prompt)) return up_to_its_end(tokenizer, row, whole.substr(prompt.size()));
  // Templates that leave out an earlier turn's reasoning, or begin an answer with <think>, write the turn differently
  // once it is there. Then the answer is its content, without what the beginning of an answer already has.
  const ordered_json &last = messages.back();
  if (!last.contains("content") || !last["content"].is_string())
    throw Failure(row.where +
                  ": messages: the chat template writes the last one differently than it begins an answer, and its "
                  "content is no text; give \"prompt\" and \"response\"");
  std::string text = last["content"].get<std::string>();
  if (const std::string begun = begun_answer(tokenizer, row, prompt); text.starts_with(begun)) text.erase(0, begun.size());
  return {std::move(text), false};
}

std::shared_ptr<const Tokenizer> writing_tokenizer(const Pipeline &pipeline, const StageNode &node) {
  int model = node.settings.contains("model") ? handle_index(node.settings["model"], "$model") : -1;
  const auto look = [&](const json &value) {
    if (model < 0) model = handle_index(value, "$model");
  };
  for (const auto &[name, value] : node.settings.items()) {
    look(value);
    if (value.is_array() || value.is_object())
      for (const auto &[key, element] : value.items()) look(element);
  }
  return model < 0 ? nullptr : tokenizer_of(pipeline, model);
}

}  // namespace hone
