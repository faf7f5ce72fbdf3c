// rows.h -- data rows: JSON lines in, one JSON object each.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace hone {

// Every line an object; blank lines are skipped. Failure as "FILE:3: not JSON: ..." , "FILE: no rows",
// "FILE:7: invalid UTF-8 at byte 12"; UsageError where there is no file. path "-" reads stdin.
std::vector<nlohmann::json> read_rows(const std::string &path);

// The same rows, each with the number of its line in the file, from 1 and with blank lines counted, for messages about
// the row that an editor can be sent to.
std::vector<std::pair<size_t, nlohmann::json>> read_numbered_rows(const std::string &path);

// Numbered too, with the order of their keys, which a chat template shows when it writes tools as JSON.
std::vector<std::pair<size_t, nlohmann::ordered_json>> read_ordered_rows(const std::string &path);

// "FILE:7", or "stdin:7" for the path "-": how messages name a row.
std::string row_place(const std::string &path, size_t line);

// The text of a column, or Failure 'FILE:7: row has no column "prompt" (it has: question, answer)'. Numbers become
// text.
std::string column_text(const nlohmann::json &row, const std::string &column, const std::string &where);

}  // namespace hone
