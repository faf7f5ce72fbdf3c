// gguf_ends.cpp -- see gguf_ends.h.
#include "core/text/gguf_ends.h"

#include <set>

namespace hone {

bool ends_by_text(std::string_view token) {
  static const std::set<std::string_view> texts = {
      "<|eot_id|>", "<|im_end|>",   "<|end|>",         "<|return|>",         "<|call|>", "<|flush|>", "<|calls|>",        "<end_of_turn>",
      "</s>",       "<|eom_id|>",   "<|endoftext|>",   "<|end_of_text|>",    "<EOT>",    "_<EOT>",    "[EOT]",            "[EOS]",
      "<eos>",      "<turn|>",      "<|tool_response>", "<end_of_utterance>", "[e~[",     "<｜end▁of▁sentence｜>"};
  return texts.contains(token);
}

}  // namespace hone
