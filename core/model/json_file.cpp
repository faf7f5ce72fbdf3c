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

}  // namespace hone
