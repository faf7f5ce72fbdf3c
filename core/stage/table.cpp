// table.cpp -- see table.h.
#include "core/stage/table.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/failure.h"
#include "core/base/text.h"

namespace hone {
using nlohmann::json;

void OwnedTable::ints(const std::string &name, std::vector<int64_t> values) {
  Column &c = columns_.emplace_back();
  c.name = name, c.type = HONE_COLUMN_INT, c.ints = std::move(values);
}
void OwnedTable::floats(const std::string &name, std::vector<double> values) {
  Column &c = columns_.emplace_back();
  c.name = name, c.type = HONE_COLUMN_FLOAT, c.floats = std::move(values);
}
void OwnedTable::texts(const std::string &name, std::vector<std::string> values) {
  Column &c = columns_.emplace_back();
  c.name = name, c.type = HONE_COLUMN_TEXT, c.texts = std::move(values);
  for (const std::string &text : c.texts) c.views.push_back({text.data(), text.size()});
}
void OwnedTable::int_lists(const std::string &name, const std::vector<std::vector<int32_t>> &values) {
  Column &c = columns_.emplace_back();
  c.name = name, c.type = HONE_COLUMN_INTS, c.offsets = {0};
  for (const auto &list : values) {
    c.flat_ints.insert(c.flat_ints.end(), list.begin(), list.end());
    c.offsets.push_back(static_cast<uint32_t>(c.flat_ints.size()));
  }
}
void OwnedTable::float_lists(const std::string &name, const std::vector<std::vector<float>> &values) {
  Column &c = columns_.emplace_back();
  c.name = name, c.type = HONE_COLUMN_FLOATS, c.offsets = {0};
  for (const auto &list : values) {
    c.flat_floats.insert(c.flat_floats.end(), list.begin(), list.end());
    c.offsets.push_back(static_cast<uint32_t>(c.flat_floats.size()));
  }
}

const hone_table &OwnedTable::abi() {
  raw_.clear();
  for (const Column &c : columns_) {
    const void *values = nullptr;
    switch (c.type) {
      case HONE_COLUMN_INT: values = c.ints.data(); break;
      case HONE_COLUMN_FLOAT: values = c.floats.data(); break;
      case HONE_COLUMN_TEXT: values = c.views.data(); break;
      case HONE_COLUMN_INTS: values = c.flat_ints.data(); break;
      default: values = c.flat_floats.data();
    }
    raw_.push_back({{c.name.data(), c.name.size()}, c.type, values, c.offsets.empty() ? nullptr : c.offsets.data()});
  }
  table_ = {sizeof(hone_table), static_cast<uint32_t>(raw_.size()), rows_, raw_.data()};
  return table_;
}

TableReader::TableReader(const hone_table &table, std::string where) : table_(table), where_(std::move(where)) {
  if (table_.n_columns > 0 && table_.columns == nullptr) throw Failure(where_ + ": gave a table without its columns");
}

static const char *type_word(int32_t type) {
  static const char *const words[] = {"?", "INT", "FLOAT", "TEXT", "INTS", "FLOATS"};
  return words[type >= HONE_COLUMN_INT && type <= HONE_COLUMN_FLOATS ? type : 0];
}

static std::string name_of(const hone_column &column) { return std::string(column.name.data, column.name.size); }

bool TableReader::has(const std::string &name) const {
  for (uint32_t i = 0; i < table_.n_columns; ++i)
    if (name_of(table_.columns[i]) == name) return true;
  return false;
}

const hone_column &TableReader::column(const std::string &name, int32_t type) const {
  for (uint32_t i = 0; i < table_.n_columns; ++i) {
    const hone_column &column = table_.columns[i];
    if (name_of(column) != name) continue;
    if (column.type != type) throw Failure(where_ + ": column \"" + name + "\" is of type " + type_word(column.type) + ", not " + type_word(type));
    const bool lists = type == HONE_COLUMN_INTS || type == HONE_COLUMN_FLOATS;
    if (table_.n_rows > 0 && (lists ? column.offsets == nullptr : column.values == nullptr))
      throw Failure(where_ + ": column \"" + name + "\" has no " + (lists ? "offsets" : "values"));
    return column;
  }
  throw Failure(where_ + ": gave a table without the column \"" + name + "\"");
}

std::string TableReader::text(const std::string &name, uint64_t row) const {
  const hone_str s = static_cast<const hone_str *>(column(name, HONE_COLUMN_TEXT).values)[row];
  return with_replaced_invalid_utf8(std::string_view(s.data, s.size));
}
int64_t TableReader::integer(const std::string &name, uint64_t row) const {
  return static_cast<const int64_t *>(column(name, HONE_COLUMN_INT).values)[row];
}
double TableReader::number(const std::string &name, uint64_t row) const {
  return static_cast<const double *>(column(name, HONE_COLUMN_FLOAT).values)[row];
}
std::vector<int32_t> TableReader::int_list(const std::string &name, uint64_t row) const {
  const hone_column &c = column(name, HONE_COLUMN_INTS);
  const auto *values = static_cast<const int32_t *>(c.values);
  return {values + c.offsets[row], values + c.offsets[row + 1]};
}

std::vector<float> TableReader::float_list(const std::string &name, uint64_t row) const {
  const hone_column &c = column(name, HONE_COLUMN_FLOATS);
  const auto *values = static_cast<const float *>(c.values);
  return {values + c.offsets[row], values + c.offsets[row + 1]};
}

json TableReader::row(uint64_t row) const {
  json out = json::object();
  for (uint32_t i = 0; i < table_.n_columns; ++i) {
    const hone_column &c = table_.columns[i];
    const std::string name = name_of(c);
    switch (c.type) {
      case HONE_COLUMN_INT: out[name] = static_cast<const int64_t *>(c.values)[row]; break;
      case HONE_COLUMN_FLOAT: {
        const double value = static_cast<const double *>(c.values)[row];
        out[name] = std::isfinite(value) ? json(value) : json();
        break;
      }
      case HONE_COLUMN_TEXT: out[name] = text(name, row); break;
      case HONE_COLUMN_INTS: out[name] = int_list(name, row); break;
      case HONE_COLUMN_FLOATS: {
        const auto *values = static_cast<const float *>(c.values);
        out[name] = std::vector<float>(values + c.offsets[row], values + c.offsets[row + 1]);
        break;
      }
      default: throw Failure(where_ + ": column \"" + name + "\" has the unknown type " + std::to_string(c.type));
    }
  }
  return out;
}

}  // namespace hone
