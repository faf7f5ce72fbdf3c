// json_member.cpp -- keys of JSON objects, checked.
#include "core/text/json_member.h"

#include "core/base/failure.h"

namespace hone {

const nlohmann::json &json_member(const nlohmann::json &object, const char *key) {
  static const nlohmann::json none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

bool json_flag(const nlohmann::json &object, const char *key) {
  const nlohmann::json &value = json_member(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::string json_component(const nlohmann::json &object) {
  if (!object.is_object()) return object.type_name();
  const nlohmann::json &type = json_member(object, "type");
  return type.is_string() ? type.get<std::string>() : "(missing)";
}

bool json_bool(const nlohmann::json &object, const char *key, bool otherwise, const std::string &where) {
  const nlohmann::json &value = json_member(object, key);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) throw Failure(where + ": " + key + " must be true or false, but it is " + json_shown(value));
  return value.get<bool>();
}

const std::string &json_text(const nlohmann::json &object, const char *key, const std::string &where) {
  const nlohmann::json &value = json_member(object, key);
  if (!value.is_string()) throw Failure(where + ": " + key + " must be a text, but it is " + json_shown(value));
  return value.get_ref<const std::string &>();
}

std::string json_shown(const nlohmann::json &value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() <= 120) return text;
  size_t end = 117;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

}  // namespace hone
