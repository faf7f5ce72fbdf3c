// pattern.cpp -- reading a pattern, and replacing what it matches.
#include "core/text/pattern.h"

#include "core/base/failure.h"
#include "core/text/json_member.h"
#include "core/text/newer_characters.h"

namespace hone {

Regex read_pattern(const nlohmann::json &component, const std::string &where) {
  const nlohmann::json &pattern = json_member(component, "pattern");
  if (const auto &text = json_member(pattern, "String");
      text.is_string() && !text.get_ref<const std::string &>().empty())
    return Regex(Regex::escaped(text.get<std::string>()), where);
  if (const auto &text = json_member(pattern, "Regex"); text.is_string()) return Regex(text.get<std::string>(), where);
  throw Failure(where + ": pattern must be {\"Regex\": TEXT} or {\"String\": TEXT, not empty}, but it is " +
                json_shown(pattern));
}

std::string replaced(const Regex &pattern, std::string_view text, const std::string &content) {
  std::string known;
  std::vector<Span> matches;
  pattern.find_all(with_stand_ins(text, known) ? std::string_view(known) : text, matches);
  std::string out;
  size_t done = 0;
  for (const Span &match : matches) {
    out += text.substr(done, match.begin - done);
    out += content;
    done = match.end;
    if (out.size() / 64 > text.size() + 65536)
      throw Failure("replacing a pattern of the tokenizer makes more than 64 times a text of " +
                    std::to_string(text.size()) + " bytes; is its tokenizer.json damaged?");
  }
  out += text.substr(done);
  return out;
}

}  // namespace hone
