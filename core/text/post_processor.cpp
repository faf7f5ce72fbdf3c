// post_processor.cpp -- reads the "single" template; hone encodes no pairs.
#include "core/text/post_processor.h"

#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/text/json_member.h"

namespace hone {

PostProcessor::PostProcessor(const nlohmann::json &json, uint32_t size, const std::string &where) {
  if (!json.is_null()) read(json, size, where + ": post_processor");
}

void PostProcessor::read(const nlohmann::json &json, uint32_t size, const std::string &where) {
  const std::string type = json_component(json);
  if (type == "Sequence") {
    const nlohmann::json &list = json_member(json, "processors");
    if (!list.is_array()) throw Failure(where + ".processors must be a list, but it is " + json_shown(list));
    for (size_t i = 0; i < list.size(); ++i) read(list[i], size, where + ".processors[" + std::to_string(i) + "]");
  } else if (type == "TemplateProcessing") {
    read_template(json, size, where);
  } else if (type != "ByteLevel") {
    throw Failure(where + " \"" + type + "\" is not supported; hone reads TemplateProcessing, ByteLevel and Sequence");
  }
}

void PostProcessor::read_template(const nlohmann::json &json, uint32_t size, const std::string &where) {
  const nlohmann::json &single = json_member(json, "single");
  if (!single.is_array()) throw Failure(where + ": single must be a list, but it is " + json_shown(single));
  bool text_seen = false;
  std::vector<int32_t> first, last;
  for (const nlohmann::json &piece : single) {
    if (json_member(piece, "Sequence").is_object()) {
      if (text_seen) throw Failure(where + ": single has the text twice, which hone does not read");
      text_seen = true;
      continue;
    }
    const nlohmann::json &special = json_member(piece, "SpecialToken");
    if (!special.is_object())
      throw Failure(where + ": single has " + json_shown(piece) + ", which is neither a Sequence nor a SpecialToken");
    const std::string &name = json_text(special, "id", where);
    const nlohmann::json &ids = json_member(json_member(json_member(json, "special_tokens"), name.c_str()), "ids");
    if (!ids.is_array()) throw Failure(where + ": special_tokens has no list of ids for \"" + name + "\"");
    for (const nlohmann::json &id : ids) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() >= size)
        throw Failure(where + ": special_tokens gives \"" + name + "\" the id " + json_shown(id) +
                      ", but ids are whole numbers below " + std::to_string(size));
      (text_seen ? last : first).push_back(id.get<int32_t>());
    }
  }
  if (!text_seen) throw Failure(where + ": single has no Sequence, so no text");
  // Of a sequence of templates each stands around what the last one gave.
  before.insert(before.begin(), first.begin(), first.end());
  after.insert(after.end(), last.begin(), last.end());
}

}  // namespace hone
