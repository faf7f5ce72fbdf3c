// bench.cpp -- calls rewards through hone.reward/1, or a Lua function, and checks what comes back.
#include "core/reward/bench.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/failure.h"
#include "core/base/pool.h"
#include "core/base/text.h"
#include "core/plugin/host.h"
#include "hone/ext/reward.h"

namespace hone {

using nlohmann::json;

namespace {

constexpr float kNoScore = std::numeric_limits<float>::quiet_NaN();

hone_str view(const std::string &text) { return {text.data(), text.size()}; }

// A buffer that a plugin fills, between two stretches of a known pattern that it must leave alone.
template <class T> class GuardedBuffer {
 public:
  GuardedBuffer(size_t n, const T &value) : bytes_(2 * kGuard + n * sizeof(T), kPattern), n_(n) {
    std::uninitialized_fill_n(data(), n, value);
  }
  T *data() { return reinterpret_cast<T *>(bytes_.data() + kGuard); }
  T &operator[](size_t i) { return data()[i]; }
  bool intact() const {
    for (size_t i = 0; i < kGuard; ++i)
      if (bytes_[i] != kPattern || bytes_[bytes_.size() - 1 - i] != kPattern) return false;
    return true;
  }

 private:
  static constexpr size_t kGuard = 1024;
  static constexpr unsigned char kPattern = 0xA5;
  std::vector<unsigned char> bytes_;  // operator new aligns it well enough for floats and hone_error
  size_t n_;
};

std::string error_text(const hone_error &error) {
  return with_replaced_invalid_utf8(std::string(error.text, strnlen(error.text, sizeof error.text)));
}

// Handles become the index by which the plugin names them to services: their place among the handles, by sorted name.
json with_handle_indices(const json &settings) {
  json out = settings.is_null() ? json::object() : settings;
  int64_t next = 0;
  for (auto &[name, value] : out.items())
    if (value.is_object() && value.contains("$path")) value = json{{"$model", next++}};
  return out;
}

// A row's list stays where it has a number; the lists do where one row's does. Infinities are none.
void keep_scored_steps(std::vector<std::vector<float>> &steps) {
  bool any = false;
  for (std::vector<float> &of_row : steps) {
    bool scored = false;
    for (float &score : of_row) {
      if (!std::isfinite(score)) score = kNoScore;  // one NaN, whatever its bits were
      scored = scored || !std::isnan(score);
    }
    if (!scored) of_row.clear();
    any = any || scored;
  }
  if (!any) steps.clear();
}

}  // namespace

json lua_row(const ScoreRow &row) {
  json table = row.columns.empty() ? json::object() : json::parse(row.columns);
  if (!table.is_object()) throw Failure("the row's columns are not a JSON object");
  table["prompt"] = row.prompt;
  table["response"] = row.text;
  table["answer"] = row.answer;
  table["truncated"] = row.truncated;
  table["num_tokens"] = row.ids.size();
  return table;
}

struct RewardBench::Part {
  std::string label;
  // In this order: the instance goes before what was offered to it, and that before the host.
  std::optional<Pool> pool;
  std::optional<Host> host;
  std::shared_ptr<void> offered;
  std::optional<Instance> instance;
  hone_reward methods{};
  WorkerServices::LuaFunction function;

  void call(std::span<const ScoreRow> rows, size_t first, size_t n, PartScores &out, std::string &failure);
  void call_function(std::span<const ScoreRow> rows, PartScores &out);
};

RewardBench::RewardBench(std::vector<RewardPart> parts, uint64_t seed, const WorkerServices &services) {
  for (const RewardPart &given : parts) {
    auto part = std::make_unique<Part>();
    part->label = given.label;
    try {
      if (!given.function.empty()) {
        if (!services.lua) throw Failure("this program cannot run Lua functions as rewards");
        part->function = services.lua(given.script, given.function, given.script_arguments);
      } else {
        part->pool.emplace(1);
        part->host.emplace(*part->pool, seed);
        if (services.offer) part->offered = services.offer(*part->host, given.settings);
        part->instance.emplace(given.component, part->host->abi(), with_handle_indices(given.settings));
        part->methods = known_methods<hone_reward>(part->instance->component());
        if (!part->methods.score) throw Failure("its plugin has no score function");
        if (part->methods.response_size < sizeof(uint32_t) * 2 || part->methods.response_size > (1u << 16))
          throw Failure("its plugin says that a response has " + std::to_string(part->methods.response_size) +
                        " bytes, which cannot be; rebuild it against the hone SDK");
      }
    } catch (const std::exception &error) {
      throw Failure("reward " + given.label + ": " + error.what());
    }
    parts_.push_back(std::move(part));
  }
}

RewardBench::~RewardBench() = default;

PartScores RewardBench::score(uint32_t index, std::span<const ScoreRow> rows) {
  if (index >= parts_.size()) throw Failure("there is no reward number " + std::to_string(index));
  Part &part = *parts_[index];
  PartScores out;
  out.score.assign(rows.size(), kNoScore);
  out.why.resize(rows.size());
  out.refused.resize(rows.size());
  out.steps.resize(rows.size());
  if (rows.empty()) return out;
  if (part.function) {
    part.call_function(rows, out);
  } else {
    std::string failure;
    part.call(rows, 0, rows.size(), out, failure);
    if (!failure.empty() && rows.size() > 1) {
      for (size_t i = 0; i < rows.size(); ++i) {
        failure.clear();
        part.call(rows, i, 1, out, failure);
        if (!failure.empty()) out.why[i] = failure, out.refused[i] = 1;
      }
    } else if (!failure.empty()) {
      out.why[0] = failure, out.refused[0] = 1;
    }
  }
  keep_scored_steps(out.steps);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (std::isinf(out.score[i])) {
      out.why[i] = "it gave " + std::string(out.score[i] > 0 ? "inf" : "-inf") + ", which is not a score";
      out.score[i] = kNoScore;
    } else if (std::isnan(out.score[i])) {
      out.score[i] = kNoScore;  // one NaN, whatever its bits were
      if (out.why[i].empty()) out.why[i] = "it gave no score and no reason";
    } else {
      out.why[i].clear();
      out.refused[i] = 0;
    }
  }
  return out;
}

// One call for rows [first, first + n); failure tells why it failed as a whole.
void RewardBench::Part::call(std::span<const ScoreRow> rows, size_t first, size_t n, PartScores &out, std::string &failure) {
  // Responses lie as far apart as the plugin's own hone_response is long; what it does not know is cut, what we do not is 0.
  const size_t stride = methods.response_size;
  std::vector<uint64_t> memory((n * stride + 7) / 8, 0);
  for (size_t i = 0; i < n; ++i) {
    const ScoreRow &row = rows[first + i];
    hone_response response{};
    response.struct_size = uint32_t(std::min(sizeof response, stride));
    response.finish = row.truncated ? HONE_TRUNCATED : HONE_FINISHED;
    response.prompt = view(row.prompt);
    response.text = view(row.text);
    response.answer = view(row.answer);
    response.columns = view(row.columns);
    response.ids = row.ids.empty() ? nullptr : row.ids.data();
    response.n_ids = uint32_t(row.ids.size());
    response.n_steps = uint32_t(row.step_start.size());
    if (response.n_steps > 0) response.step_start = row.step_start.data(), response.step_text = row.step_text.data();
    std::memcpy(reinterpret_cast<char *>(memory.data()) + i * stride, &response, response.struct_size);
  }
  GuardedBuffer<float> score(n, kNoScore);
  GuardedBuffer<hone_error> why(n, hone_error{});
  std::deque<GuardedBuffer<float>> steps;
  std::vector<float *> of_steps;
  bool asked = false;
  for (size_t i = 0; i < n; ++i) {
    const size_t n_steps = rows[first + i].step_start.size();
    of_steps.push_back(steps.emplace_back(n_steps, kNoScore).data());
    asked = asked || n_steps > 0;
  }
  hone_scores scores{sizeof(hone_scores), score.data(), asked ? of_steps.data() : nullptr, why.data()};
  hone_error error{};
  int32_t code = HONE_FAILED;
  try {
    code = methods.score(instance->self(), reinterpret_cast<const hone_response *>(memory.data()), uint32_t(n), &scores, &error);
  } catch (...) {
    std::snprintf(error.text, sizeof error.text, "it let a C++ exception out, which the plugin ABI forbids");
  }
  const bool steps_intact = std::ranges::all_of(steps, [](const GuardedBuffer<float> &of_row) { return of_row.intact(); });
  if (!score.intact() || !why.intact() || !steps_intact) throw Poisoned("it wrote outside the buffers that it was given");
  if (code != HONE_OK) {
    failure = error_text(error);
    if (failure.empty()) failure = "it failed with code " + std::to_string(code) + " and gave no reason";
    return;
  }
  for (size_t i = 0; i < n; ++i) {
    out.score[first + i] = score[i];
    out.why[first + i] = error_text(why[i]);
    out.steps[first + i].assign(of_steps[i], of_steps[i] + rows[first + i].step_start.size());
  }
}

void RewardBench::Part::call_function(std::span<const ScoreRow> rows, PartScores &out) {
  for (size_t i = 0; i < rows.size(); ++i) {
    const ScoreRow &row = rows[i];
    try {
      out.score[i] = float(function(lua_row(row), checksum_of({row})));
      if (std::isnan(out.score[i])) out.why[i] = "the function returned no number";
    } catch (const std::exception &error) {
      out.why[i] = error.what();
      out.refused[i] = 1;
    }
  }
}

}  // namespace hone
