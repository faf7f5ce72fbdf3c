// conversations.h -- data rows that hold a conversation ("messages") in place of a "prompt": written by the model's
// chat template.
#pragma once

#include "core/stage/data.h"

namespace hone {

// A row with "messages" and without "prompt". Its "tools" and "chat_template_kwargs", when it has them, go to the
// template.
bool is_conversation(const nlohmann::json &columns);
inline bool is_conversation(const DataRow &row) { return is_conversation(row.columns); }

// The prompt of a row: its "prompt" as it is, or its messages without the assistant's at the end, and the beginning of
// an answer.
std::string prompt_text(const Tokenizer &, const DataRow &);

// The last message of the assistant as what a model would have to write behind prompt_text(). ended: the text ends with
// the token that ends a turn, so that no <eos> belongs behind it. Failure when the conversation does not end with the
// assistant.
struct Answer {
  std::string text;
  bool ended = false;
};
Answer last_answer(const Tokenizer &, const DataRow &);

// Failure naming the row unless its messages can be a prompt (or, with_answer, a prompt and an answer); needs no
// tokenizer.
void check_conversation(const DataRow &, bool with_answer);

// The tokenizer of the model that writes the conversations of a loop's data: its setting "model", else the first that
// it is given.
std::shared_ptr<const Tokenizer> writing_tokenizer(const Pipeline &, const StageNode &);

}  // namespace hone
