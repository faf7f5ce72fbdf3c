// table.h -- hone_table with its memory: what services give to loop stages, and what they take from them.
#pragma once

#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "hone/draft/stage.h"

namespace hone {

// Columns are appended once and then stay where they are; abi() is valid as long as this object.
class OwnedTable {
 public:
  explicit OwnedTable(uint64_t rows = 0) : rows_(rows) {}
  void ints(const std::string &name, std::vector<int64_t> values);
  void floats(const std::string &name, std::vector<double> values);
  void texts(const std::string &name, std::vector<std::string> values);
  void int_lists(const std::string &name, const std::vector<std::vector<int32_t>> &values);
  void float_lists(const std::string &name, const std::vector<std::vector<float>> &values);
  const hone_table &abi();

 private:
  struct Column {
    std::string name;
    int32_t type;
    std::vector<int64_t> ints;
    std::vector<double> floats;
    std::vector<std::string> texts;
    std::vector<hone_str> views;
    std::vector<int32_t> flat_ints;
    std::vector<float> flat_floats;
    std::vector<uint32_t> offsets;
  };
  uint64_t rows_;
  std::deque<Column> columns_;
  std::vector<hone_column> raw_;
  hone_table table_{};
};

// Reads what a plugin gave. Failure when a column is missing, of another type, or its memory is not there.
class TableReader {
 public:
  TableReader(const hone_table &, std::string where);
  uint64_t rows() const { return table_.n_rows; }
  bool has(const std::string &name) const;
  std::string text(const std::string &name, uint64_t row) const;
  int64_t integer(const std::string &name, uint64_t row) const;
  double number(const std::string &name, uint64_t row) const;
  std::vector<int32_t> int_list(const std::string &name, uint64_t row) const;
  std::vector<float> float_list(const std::string &name, uint64_t row) const;
  nlohmann::json row(uint64_t row) const;  // all columns as an object; NaN is null

 private:
  const hone_column &column(const std::string &name, int32_t type) const;
  hone_table table_;
  std::string where_;
};

}  // namespace hone
