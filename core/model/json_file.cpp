// json_file.cpp -- see json_file.h.
#include "core/model/json_file.h"

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"

namespace hone {
using nlohmann::json;

json read_json_object(const std::filesystem::path &path) {
  const std::string text = read_file(path);
  refuse_deep_json(text, path.string());
  json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) throw Failure(path.string() + ": not a JSON object; is the file damaged?");
  return parsed;
}

std::string shown(const json &value) {
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() > 80 ? with_replaced_invalid_utf8(text.substr(0, 77)) + "..." : text;
}

}  // namespace hone
