// json_member.h -- looking into a parsed JSON object whose keys may be missing or of another type.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace hone {

// The value of a key; null when `object` is no object or has no such key.
const nlohmann::json &json_member(const nlohmann::json &object, const char *key);
bool json_flag(const nlohmann::json &object, const char *key);  // true only for a true
// What names a component of tokenizer.json: its "type", "(missing)", or the JSON type of what is not an object.
std::string json_component(const nlohmann::json &object);
// A boolean of a component; `otherwise` when absent or null, Failure "WHERE: KEY must be true or false, ...".
bool json_bool(const nlohmann::json &object, const char *key, bool otherwise, const std::string &where);
// A text of a component; Failure when it is absent or of another type.
const std::string &json_text(const nlohmann::json &object, const char *key, const std::string &where);
// The value on one line, cut short when long: for messages.
std::string json_shown(const nlohmann::json &value);

}  // namespace hone
