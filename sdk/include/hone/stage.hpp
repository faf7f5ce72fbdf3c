// stage.hpp -- write a stage that drives its own loop (draft: may still change).
#pragma once

#include <map>
#include <memory>

#include "hone/draft/stage.h"
#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

// Reads a table that the host gave; valid until the same service is called again, or step() returns. Each column's reader
// throws Error when there is no such column or it is of another type.
class TableView {
 public:
  TableView() = default;
  explicit TableView(const hone_table &raw) : raw_(detail::known(raw)) {}
  uint64_t rows() const { return raw_.n_rows; }
  std::span<const hone_column> columns() const { return {raw_.columns, raw_.n_columns}; }
  const hone_table &raw() const { return raw_; }
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::vector<std::string> names() const {  // of the columns, in their order
    std::vector<std::string> all;
    for (const hone_column &column : columns()) all.emplace_back(detail::view(column.name));
    return all;
  }

  std::span<const int64_t> ints(std::string_view name) const { return {values<int64_t>(name, HONE_COLUMN_INT), rows()}; }
  std::span<const double> floats(std::string_view name) const { return {values<double>(name, HONE_COLUMN_FLOAT), rows()}; }
  std::string_view text(std::string_view name, uint64_t row) const {
    return detail::view(values<hone_str>(name, HONE_COLUMN_TEXT)[within(row)]);
  }
  std::span<const int32_t> int_list(std::string_view name, uint64_t row) const {
    return list<int32_t>(require(name, HONE_COLUMN_INTS), within(row));
  }
  std::span<const float> float_list(std::string_view name, uint64_t row) const {
    return list<float>(require(name, HONE_COLUMN_FLOATS), within(row));
  }

 private:
  const hone_column *find(std::string_view name) const {
    for (const hone_column &column : columns())
      if (detail::view(column.name) == name) return &column;
    return nullptr;
  }
  const hone_column &require(std::string_view name, int32_t type) const {
    const hone_column *column = find(name);
    if (!column) throw Error("the table has no column \"" + std::string(name) + "\"");
    if (column->type != type) throw Error("the column \"" + std::string(name) + "\" is of another type than expected");
    return *column;
  }
  template <class T>
  const T *values(std::string_view name, int32_t type) const {
    return static_cast<const T *>(require(name, type).values);
  }
  template <class T>
  static std::span<const T> list(const hone_column &column, uint64_t row) {
    return {static_cast<const T *>(column.values) + column.offsets[row], column.offsets[row + 1] - column.offsets[row]};
  }
  uint64_t within(uint64_t row) const {
    if (row >= rows()) throw Error("row " + std::to_string(row) + " of a table of " + std::to_string(rows()) + " rows");
    return row;
  }
  hone_table raw_{sizeof(hone_table), 0, 0, nullptr};
};

// A table of one's own: columns are given whole, or rows are copied from views. Column lengths must agree.
class Table {
 public:
  Table &ints(std::string name, std::vector<int64_t> values) { return column(std::move(name), HONE_COLUMN_INT).ints = std::move(values), *this; }
  Table &floats(std::string name, std::vector<double> values) { return column(std::move(name), HONE_COLUMN_FLOAT).floats = std::move(values), *this; }
  Table &texts(std::string name, std::vector<std::string> values) { return column(std::move(name), HONE_COLUMN_TEXT).texts = std::move(values), *this; }
  Table &int_lists(std::string name, const std::vector<std::vector<int32_t>> &values) {
    Column &c = column(std::move(name), HONE_COLUMN_INTS);
    for (const auto &list : values) c.add_list(c.int_values, {list.data(), list.size()});
    return *this;
  }
  Table &float_lists(std::string name, const std::vector<std::vector<float>> &values) {
    Column &c = column(std::move(name), HONE_COLUMN_FLOATS);
    for (const auto &list : values) c.add_list(c.float_values, {list.data(), list.size()});
    return *this;
  }

  // Copies one row of `from`, all its columns; the first row sets which columns there are, and later ones must have them.
  Table &append(const TableView &from, uint64_t row) {
    const bool first = columns_.empty();
    for (const hone_column &raw : from.columns()) {
      const std::string name(detail::view(raw.name));
      if (!first && !columns_.count(name)) throw Error("the rows put together have different columns: \"" + name + "\" is in some only");
      Column &c = first ? column(name, raw.type) : columns_.at(name);
      if (c.type != raw.type) throw Error("the column \"" + name + "\" has different types in rows put together");
      switch (raw.type) {
        case HONE_COLUMN_INT: c.ints.push_back(from.ints(name)[row]); break;
        case HONE_COLUMN_FLOAT: c.floats.push_back(from.floats(name)[row]); break;
        case HONE_COLUMN_TEXT: c.texts.emplace_back(from.text(name, row)); break;
        case HONE_COLUMN_INTS: c.add_list(c.int_values, from.int_list(name, row)); break;
        case HONE_COLUMN_FLOATS: c.add_list(c.float_values, from.float_list(name, row)); break;
        default: throw Error("the column \"" + name + "\" is of a type that this plugin does not know");
      }
    }
    return *this;
  }

  uint64_t rows() const { return columns_.empty() ? 0 : columns_.begin()->second.size(); }

  // Valid until this table changes.
  TableView view() {
    raw_columns_.clear();
    for (auto &[name, c] : columns_) {
      if (c.size() != rows())
        throw Error("the column \"" + name + "\" has " + std::to_string(c.size()) + " rows, others have " + std::to_string(rows()));
      raw_columns_.push_back({detail::str(name), c.type, c.data(), c.offsets.empty() ? nullptr : c.offsets.data()});
    }
    return TableView({sizeof(hone_table), static_cast<uint32_t>(raw_columns_.size()), rows(), raw_columns_.data()});
  }

 private:
  struct Column {
    int32_t type = 0;
    std::vector<int64_t> ints;
    std::vector<double> floats;
    std::vector<std::string> texts;
    std::vector<hone_str> text_views;
    std::vector<int32_t> int_values;
    std::vector<float> float_values;
    std::vector<uint32_t> offsets;  // of lists

    uint64_t size() const {
      switch (type) {
        case HONE_COLUMN_INT: return ints.size();
        case HONE_COLUMN_FLOAT: return floats.size();
        case HONE_COLUMN_TEXT: return texts.size();
        default: return offsets.size() - 1;
      }
    }
    const void *data() {
      switch (type) {
        case HONE_COLUMN_INT: return ints.data();
        case HONE_COLUMN_FLOAT: return floats.data();
        case HONE_COLUMN_TEXT:
          text_views.clear();
          for (const std::string &text : texts) text_views.push_back(detail::str(text));
          return text_views.data();
        case HONE_COLUMN_INTS: return int_values.data();
        default: return float_values.data();
      }
    }
    template <class T>
    void add_list(std::vector<T> &values, std::span<const T> list) {
      values.insert(values.end(), list.begin(), list.end());
      offsets.push_back(static_cast<uint32_t>(values.size()));
    }
  };
  Column &column(std::string name, int32_t type) {
    Column &c = columns_[std::move(name)];
    c = Column{};
    c.type = type;
    if (type == HONE_COLUMN_INTS || type == HONE_COLUMN_FLOATS) c.offsets = {0};
    return c;
  }
  std::map<std::string, Column> columns_;
  std::vector<hone_column> raw_columns_;
};

struct Sampling {
  uint32_t num_generations = 1, max_completion_length = 256, top_k = 0;
  float temperature = 1, top_p = 1, min_p = 0;
  uint32_t step = 0;  // random numbers are keyed by (seed, stage, step, row, token)
  std::vector<std::string> stop = {};  // a response ends with the token that completes one of these
  std::vector<std::string> step_separators = {};  // and a step of it with one of these: then where its steps begin is told, too
};

// A copy of a model that the stage trains: a model wherever one is asked for.
struct TrainedModel : ModelHandle {};

struct Training {
  float temperature = 1;        // of the rows' sampling
  uint32_t num_iterations = 1;  // updates made with the rows of one train_step()
  uint64_t steps = 0;           // in all, for schedules that end; 0: not known
};

// What a stage may ask for; draft/stage.h says what each table holds. All [main].
class StageHost {
 public:
  StageHost() = default;
  explicit StageHost(const Services &services) : host_(services.require<hone_stage_host>(HONE_HOST_STAGE)) {}

  TableView data(DataHandle data) const { return ask(host_.data, data.index); }
  TableView rollout(ModelHandle model, const TableView &prompts, const Sampling &s) const {
    std::vector<hone_str> stop;
    for (const std::string &text : s.stop) stop.push_back(detail::str(text));
    std::vector<hone_str> separators;
    for (const std::string &text : s.step_separators) separators.push_back(detail::str(text));
    const hone_sampling raw{sizeof raw, s.num_generations, s.max_completion_length, s.top_k, s.temperature, s.top_p, s.min_p, s.step,
                            stop.data(), static_cast<uint32_t>(stop.size()), static_cast<uint32_t>(separators.size()), separators.data()};
    return ask(host_.rollout, model.index, &prompts.raw(), &raw);
  }
  TableView score(RewardHandle rewards, const TableView &rows, uint32_t step) const {
    return ask(host_.score, rewards.index, &rows.raw(), step);
  }
  // Columns "prompt" and "ids" in, "logprobs" out.
  TableView logprobs(ModelHandle model, const TableView &rows, float temperature) const {
    if (!host_.logprobs) throw Error("this host does not offer logprobs to stages; use a newer hone");
    return ask(host_.logprobs, model.index, &rows.raw(), temperature);
  }

  // Columns "prompt" and "ids" in, "value" out.
  TableView values(ModelHandle model, const TableView &rows) const {
    if (!host_.values) throw Error("this host does not offer values to stages; use a newer hone");
    return ask(host_.values, model.index, &rows.raw());
  }

  // The copy of `model` that an objective trains; best asked for in start(), where `hone plan` checks it. settings: the
  // objective's own, a JSON table. The first one of a stage trains its setting `model`.
  TrainedModel trainer(ModelHandle model, std::string_view objective, OptimizerHandle optimizer, std::string_view settings = "{}",
                       const Training &how = {}) const {
    if (!host_.trainer) throw Error("this host offers stages no trainer; use a newer hone");
    const hone_training raw{sizeof raw, how.num_iterations, how.temperature, 0, how.steps};
    TrainedModel trained;
    hone_error err{};
    detail::check(host_.trainer(host_.ctx, model.index, detail::str(objective), detail::str(settings), optimizer.index, &raw,
                                &trained.index, &err), err);
    return trained;
  }
  // One optimizer step on these rows; what was measured, in one row of FLOAT columns.
  TableView train_step(TrainedModel trained, const TableView &rows) const {
    if (!host_.train_step) throw Error("this host offers stages no train step; use a newer hone");
    return ask(host_.train_step, trained.index, &rows.raw());
  }
  // Model and optimizer as they began.
  void restart(TrainedModel trained) const {
    if (!host_.restart) throw Error("this host offers stages no restart of a trained model; use a newer hone");
    hone_error err{};
    detail::check(host_.restart(host_.ctx, trained.index, &err), err);
  }

  // Whether the script's function answered true, for each row.
  std::vector<bool> call(FunctionHandle function, const TableView &rows) const {
    std::vector<uint8_t> keep(rows.rows() + 1);
    hone_error err{};
    detail::check(host_.call(host_.ctx, function.index, &rows.raw(), keep.data(), &err), err);
    return std::vector<bool>(keep.begin(), keep.end() - 1);
  }
  // By domain ("" when they are for every domain). In start(), too. Empty when the host is too old to tell.
  std::map<std::string, std::vector<std::string>> labels(RewardHandle rewards) const {
    std::map<std::string, std::vector<std::string>> out;
    if (!host_.labels) return out;
    const TableView table = ask(host_.labels, rewards.index);
    for (uint64_t row = 0; row < table.rows(); ++row)
      out[std::string(table.text("domain", row))].emplace_back(table.text("label", row));
    return out;
  }
  void emit(const TableView &rows) const {
    hone_error err{};
    detail::check(host_.emit(host_.ctx, &rows.raw(), &err), err);
  }
  void result(std::string_view name, const TableView &one_row) const {
    hone_error err{};
    detail::check(host_.result(host_.ctx, detail::str(name), &one_row.raw(), &err), err);
  }
  std::string model_name(ModelHandle model) const { return std::string(detail::view(host_.model_name(host_.ctx, model.index))); }
  void progress(uint64_t done, uint64_t total) const { host_.progress(host_.ctx, done, total); }
  const hone_stage_host &raw() const { return host_; }

 private:
  template <class Fn, class... A>
  TableView ask(Fn fn, A... arguments) const {
    hone_table out{sizeof out, 0, 0, nullptr};
    hone_error err{};
    detail::check(fn(host_.ctx, arguments..., &out, &err), err);
    return TableView(out);
  }
  hone_stage_host host_{};
};

class Stage {
 public:
  using Interface = Stage;
  static constexpr const char *kind = HONE_STAGE;

  virtual ~Stage() = default;
  virtual bool step() = 0;  // one step of the loop; whether there is another
  // All it takes to go on in another process with the same bits, as after the last finished step.
  virtual std::string save() const = 0;
  virtual void load(std::string_view saved) = 0;  // before the first step() of a resumed run

  static const hone_stage &methods() {
    static const hone_stage m{
        sizeof(hone_stage),
        [](void *self, int32_t *again, hone_error *err) {
          return detail::guard(err, [&] { *again = static_cast<Stage *>(self)->step() ? HONE_AGAIN : HONE_DONE; });
        },
        [](void *self, void (*write)(void *, hone_str), void *arg, hone_error *err) {
          return detail::guard(err, [&] {
            const std::string saved = static_cast<const Stage *>(self)->save();
            write(arg, detail::str(saved));
          });
        },
        [](void *self, hone_str saved, hone_error *err) {
          return detail::guard(err, [&] { static_cast<Stage *>(self)->load(detail::view(saved)); });
        }};
    return m;
  }
};

}  // namespace hone
