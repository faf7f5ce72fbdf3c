// rows.cpp -- JSON lines, checked line by line.
#include "core/text/rows.h"

#include <iostream>
#include <iterator>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"

namespace hone {
namespace {

std::string keys_of(const nlohmann::json &row) {
  std::vector<std::string> names;
  for (const auto &item : row.items()) names.push_back(item.key());
  return join(names, ", ");
}

std::string name_of(const std::string &path) { return path == "-" ? "stdin" : path; }

// What helps when a file is JSON, but not lines of it: an array, or objects written over several lines.
std::string advice(std::string_view bytes, const std::string &name) {
  const size_t first = bytes.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string_view::npos || (bytes[first] != '[' && bytes[first] != '{')) return "";
  if (!nlohmann::json::accept(bytes.substr(first))) return "";
  const bool array = bytes[first] == '[';
  return std::string("; the file is one JSON ") + (array ? "array" : "object over several lines") +
         ", and rows are JSON lines: `jq -c " + (array ? "'.[]'" : ".") + " " + name + "` makes them";
}

template <class Json>
std::vector<std::pair<size_t, Json>> rows_of(const std::string &path) {
  const std::string name = name_of(path);
  if (path != "-" && !std::filesystem::exists(path)) throw UsageError("there is no file " + name);
  const std::string bytes = path == "-" ? std::string(std::istreambuf_iterator<char>(std::cin), {}) : read_file(path);
  std::vector<std::pair<size_t, Json>> rows;
  size_t line_number = 0;
  for (size_t begin = 0; begin < bytes.size();) {
    size_t end = bytes.find('\n', begin);
    if (end == std::string::npos) end = bytes.size();
    std::string_view line(bytes.data() + begin, end - begin);
    begin = end + 1;
    ++line_number;
    const std::string place = row_place(path, line_number), where = place + ": ";
    if (line_number == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (const size_t bad = invalid_utf8(line); bad != std::string_view::npos)
      throw Failure(where + "invalid UTF-8 at byte " + std::to_string(bad) + "; save the file as UTF-8");
    refuse_deep_json(line, place);
    Json row;
    try {
      row = Json::parse(line);
    } catch (const nlohmann::json::exception &e) {
      throw Failure(where + "not JSON: " + json_reason(e.what()) + (rows.empty() ? advice(bytes, name) : ""));
    }
    if (!row.is_object())
      throw Failure(where + "a row must be a JSON object such as {\"prompt\": \"...\"}, but this is " +
                    std::string(row.type_name()) + (rows.empty() ? advice(bytes, name) : ""));
    rows.emplace_back(line_number, std::move(row));
  }
  if (rows.empty()) throw Failure(name + ": no rows; it needs one JSON object per line");
  return rows;
}

}  // namespace

std::vector<std::pair<size_t, nlohmann::json>> read_numbered_rows(const std::string &path) { return rows_of<nlohmann::json>(path); }

std::vector<std::pair<size_t, nlohmann::ordered_json>> read_ordered_rows(const std::string &path) {
  return rows_of<nlohmann::ordered_json>(path);
}

std::string row_place(const std::string &path, size_t line) { return name_of(path) + ":" + std::to_string(line); }

std::vector<nlohmann::json> read_rows(const std::string &path) {
  std::vector<nlohmann::json> rows;
  for (auto &[line, row] : read_numbered_rows(path)) rows.push_back(std::move(row));
  return rows;
}

std::string column_text(const nlohmann::json &row, const std::string &column, const std::string &where) {
  const auto found = row.find(column);
  if (found == row.end())
    throw Failure(where + ": row has no column \"" + column + "\" (it has: " + keys_of(row) + ")");
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number_integer() || found->is_boolean()) return found->dump();
  if (found->is_number_float()) return number_text(found->get<double>());
  throw Failure(where + ": column \"" + column + "\" must hold text or a number, but it is " + found->type_name());
}

}  // namespace hone
