// plan_rows.h -- looks into a stage's rows before anything trains: all of a file, mapped or not, some of those that a function makes.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "core/script/script.h"
#include "core/text/tokenizer.h"

namespace hone {

struct SomeRow {
  nlohmann::json columns;
  std::string where;
};

struct SeenRows {
  uint64_t rows = 0;                                 // 0: only a run tells
  std::string text;                                  // "130000 generated rows", "FILE.jsonl (812 rows)", "from stage kept"
  std::vector<std::string> domains;                  // their names; none when the rows are not given by domain
  std::map<std::string, std::vector<SomeRow>> some;  // by domain ("" without): up to 16 of them, spread over what was seen
  double mean_tokens = 0;                            // of those that were encoded, a pair's together; 0: none was
};

class RowCheck {
 public:
  // Throws UsageError when the stage whose rows are used has not run before.
  using MustBeEarlier = std::function<void(int stage, const Place &)>;
  RowCheck(const Pipeline &, Script &, MustBeEarlier);

  // setting: {"$data": i}, or {domain: {"$data": i}}. Every row must have the columns, and when there is a tokenizer all of its
  // text words of that, and no more tokens than the model has positions. writer: whose chat template writes conversations when
  // there is no tokenizer. UsageError naming the row.
  SeenRows look(const nlohmann::json &setting, const std::vector<std::string> &columns, const Tokenizer *, uint32_t max_positions,
                const Tokenizer *writer = nullptr);

 private:
  uint64_t look_at(const nlohmann::json &setting, const std::string &domain);
  uint64_t data(int index, const std::string &domain);
  uint64_t mapped(const DataNode &, const std::string &domain);
  nlohmann::json made(const DataNode &, const nlohmann::json &argument, uint64_t row);
  void say(const std::string &part);
  void take(const nlohmann::json &row, const std::string &where, const std::string &domain, bool keep);

  const Pipeline &pipeline_;
  Script &script_;
  MustBeEarlier must_be_earlier_;
  // Of the look() under way.
  const Tokenizer *tokenizer_ = nullptr, *writer_ = nullptr;
  uint32_t max_positions_ = 0;
  std::vector<std::string> columns_;
  SeenRows seen_;
  bool only_a_source_ = false;  // of rows that a function maps: nothing is asked of them
  uint64_t encoded_ = 0, tokens_ = 0;
};

}  // namespace hone
