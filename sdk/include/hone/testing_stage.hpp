// testing_stage.hpp -- a host of one stage, for its tests: its model and rewards are functions, and what it does is kept.
//
//   hone::testing::StageHost host;
//   host.rows.texts("prompt", {"a", "b"});
//   host.respond = [](int64_t, std::string_view prompt, uint32_t) { return std::string(prompt) + "!"; };
//   const hone::testing::Component stage("my_stage", {{"batch_size", 2}}, host.services());
//   HONE_EXPECT(hone::testing::run(stage) == 1);
//   HONE_EXPECT(host.emitted.rows() == 2);
#pragma once

#include <algorithm>
#include <functional>

#include "hone/stage.hpp"
#include "hone/testing.hpp"

namespace hone HONE_HIDDEN {
namespace testing {

// Tokens are bytes. Handles are whatever the test gives in the settings.
class StageHost {
 public:
  Table rows;  // what every data handle gives
  // i: of the responses to this prompt. Of a response that has begun, the prompt goes on with what there is of it; this gives the rest.
  // It is cut as the host cuts: after a stop text, and at max_completion_length. Where prompts have "ids", one that comes to its end
  // by itself has the end token 0 there, as the host's have.
  std::function<std::string(int64_t model, std::string_view prompt, uint32_t i)> respond;
  std::function<bool(std::string_view response)> cut_off;                                   // whether it is truncated; null: never
  // Of the model's value head, after these first tokens of a response; and the log-probability of each token of `added`, null: 0.
  std::function<double(int64_t model, std::string_view prompt, std::string_view response)> value;
  std::function<double(int64_t model, std::string_view prompt, std::string_view added)> likelihood;
  std::function<double(std::string_view prompt, std::string_view response)> judge;          // of every reward; NaN: no score
  std::map<std::string, std::vector<std::string>> reward_labels = {{"", {"reward"}}};       // of every reward handle, by domain
  std::function<bool(const TableView &rows, uint64_t row)> keep;                            // of every function
  std::function<void(int64_t trained, const TableView &rows)> learn;                        // sees each train_step

  // A model that the stage trains; its handle is 1000 and its place among them.
  struct Trained {
    int64_t model, optimizer;
    std::string objective, settings;
    hone_training how;
    uint32_t steps = 0, restarts = 0;
  };
  std::vector<Trained> trained;
  Table emitted;
  std::vector<std::pair<std::string, Table>> results;
  std::map<std::string, double> metrics;  // the last value of each
  uint32_t rollouts = 0;

  StageHost() {
    host_ = {sizeof host_, this, data, rollout, score, call, emit, result, model_name, progress, logprobs, trainer, train_step, restart, labels, values};
    metrics_ = {sizeof metrics_, this, [](void *ctx, hone_str name, double value) { self(ctx).metrics[std::string(detail::view(name))] = value; }};
    random_ = {sizeof random_, this, random};
  }
  StageHost(const StageHost &) = delete;
  std::map<std::string, const void *> services() const {
    return {{HONE_HOST_STAGE, &host_}, {HONE_HOST_METRICS, &metrics_}, {HONE_HOST_RANDOM, &random_}};
  }

 private:
  static StageHost &self(void *ctx) { return *static_cast<StageHost *>(ctx); }
  hone_table give(const char *service, Table table) { return (given_[service] = std::move(table)).view().raw(); }
  Trained &at(int64_t handle) {
    if (handle < 1000 || static_cast<size_t>(handle - 1000) >= trained.size()) throw Error("no trained model has the handle " + std::to_string(handle));
    return trained[static_cast<size_t>(handle - 1000)];
  }
  static std::vector<std::vector<int32_t>> bytes_of(const std::vector<std::string> &texts) {
    std::vector<std::vector<int32_t>> ids;
    for (const std::string &text : texts) ids.emplace_back(text.begin(), text.end());
    return ids;
  }

  static int32_t data(void *ctx, int64_t, hone_table *out, hone_error *err) {
    return detail::guard(err, [&] { *out = self(ctx).rows.view().raw(); });
  }
  // A step ends with the first of the texts that is found from its second byte on.
  static void add_steps(const std::vector<std::string> &responses, const hone_sampling &how, Table &table) {
    std::vector<std::vector<int32_t>> all;
    for (const std::string &response : responses) {
      std::vector<int32_t> &begins = all.emplace_back();
      for (size_t at = 0; at < response.size();) {
        begins.push_back(static_cast<int32_t>(at));
        size_t end = response.size();
        for (uint32_t i = 0; i < how.n_step_separators; ++i) {
          const size_t found = response.find(detail::view(how.step_separators[i]), at + 1);
          if (found != response.npos) end = std::min(end, found + how.step_separators[i].size);
        }
        at = end;
      }
    }
    table.int_lists("step_start", all).int_lists("step_text", all);
  }
  static int32_t rollout(void *ctx, int64_t model, const hone_table *prompts, const hone_sampling *how, hone_table *out, hone_error *err) {
    return detail::guard(err, [&] {
      StageHost &host = self(ctx);
      ++host.rollouts;
      const TableView view(*prompts);
      std::vector<int64_t> prompt_row, truncated, ended;
      std::vector<std::string> response, added;
      std::vector<std::vector<float>> logprobs;
      for (uint64_t row = 0; row < view.rows(); ++row)
        for (uint32_t i = 0; i < how->num_generations; ++i) {
          std::string begun;
          if (view.has("ids"))
            for (const int32_t id : view.int_list("ids", row)) begun += static_cast<char>(id);
          prompt_row.push_back(static_cast<int64_t>(row));
          const std::string whole = std::string(view.text("prompt", row)) + begun;
          std::string text = host.respond(model, whole, i);
          const size_t most = view.has("max_completion_length") ? static_cast<size_t>(view.ints("max_completion_length")[row]) : how->max_completion_length;
          ended.push_back(cut(text, *how, most));
          response.push_back(begun + text);
          if (ended.back() == HONE_ENDED && host.cut_off && host.cut_off(response.back())) ended.back() = HONE_ENDED_BY_LENGTH;
          truncated.push_back(ended.back() == HONE_ENDED_BY_LENGTH);
          const float likelihood = host.likelihood ? static_cast<float>(host.likelihood(model, whole, text)) : 0.0f;
          logprobs.emplace_back(text.size(), likelihood);
          if (ended.back() == HONE_ENDED && view.has("ids")) {
            if (text.size() < most) {
              text += '\0';
              logprobs.back().push_back(likelihood);
            } else {
              ended.back() = HONE_ENDED_BY_LENGTH;
              truncated.back() = 1;
            }
          }
          added.push_back(std::move(text));
        }
      Table table;
      table.ints("prompt_row", prompt_row).texts("response", response).int_lists("ids", bytes_of(added));
      table.float_lists("logprobs", logprobs).ints("truncated", truncated).ints("ended", ended);
      if (how->n_step_separators > 0) add_steps(response, *how, table);
      table.ints("reused", std::vector<int64_t>(response.size())).ints("computed", std::vector<int64_t>(response.size()));
      if (model >= 1000) table.ints("policy_version", std::vector<int64_t>(response.size(), 1 + host.at(model).steps + host.at(model).restarts));
      *out = host.give("rollout", std::move(table));
    });
  }
  // Why the text ends where it does now.
  static int64_t cut(std::string &text, const hone_sampling &how, size_t most) {
    size_t end = text.size();
    for (uint32_t i = 0; i < how.n_stop; ++i)
      if (const size_t at = text.find(detail::view(how.stop[i])); at != text.npos) end = std::min(end, at + how.stop[i].size);
    const bool stopped = std::any_of(how.stop, how.stop + how.n_stop, [&](const hone_str &stop) {
      return std::string_view(text).substr(0, end).ends_with(detail::view(stop));
    });
    const bool too_long = end > most;
    text.resize(std::min(end, most));
    return too_long ? HONE_ENDED_BY_LENGTH : stopped ? HONE_ENDED_BY_STOP_TEXT : HONE_ENDED;
  }
  static int32_t values(void *ctx, int64_t model, const hone_table *rows, hone_table *out, hone_error *err) {
    return detail::guard(err, [&] {
      StageHost &host = self(ctx);
      if (!host.value) throw Error("the model has no value head");
      const TableView view(*rows);
      std::vector<double> value;
      for (uint64_t row = 0; row < view.rows(); ++row) {
        const auto ids = view.int_list("ids", row);
        value.push_back(host.value(model, view.text("prompt", row), std::string(ids.begin(), ids.end())));
      }
      Table table;
      table.floats("value", std::move(value)).ints("reused", std::vector<int64_t>(view.rows()));
      table.ints("computed", std::vector<int64_t>(view.rows()));
      *out = host.give("values", std::move(table));
    });
  }
  static int32_t score(void *ctx, int64_t, const hone_table *rows, uint32_t, hone_table *out, hone_error *err) {
    return detail::guard(err, [&] {
      StageHost &host = self(ctx);
      const TableView view(*rows);
      std::vector<double> reward;
      for (uint64_t row = 0; row < view.rows(); ++row) reward.push_back(host.judge(view.text("prompt", row), view.text("response", row)));
      Table table;
      table.floats("reward", std::move(reward));
      *out = host.give("score", std::move(table));
    });
  }
  static int32_t call(void *ctx, int64_t, const hone_table *rows, uint8_t *keep, hone_error *err) {
    return detail::guard(err, [&] {
      const TableView view(*rows);
      for (uint64_t row = 0; row < view.rows(); ++row) keep[row] = self(ctx).keep(view, row);
    });
  }
  static int32_t emit(void *ctx, const hone_table *rows, hone_error *err) {
    return detail::guard(err, [&] {
      const TableView view(*rows);
      for (uint64_t row = 0; row < view.rows(); ++row) self(ctx).emitted.append(view, row);
    });
  }
  static int32_t result(void *ctx, hone_str name, const hone_table *one_row, hone_error *err) {
    return detail::guard(err, [&] {
      Table table;
      table.append(TableView(*one_row), 0);
      self(ctx).results.emplace_back(std::string(detail::view(name)), std::move(table));
    });
  }
  static int32_t labels(void *ctx, int64_t, hone_table *out, hone_error *err) {
    return detail::guard(err, [&] {
      std::vector<std::string> label, domain;
      for (const auto &[of, names] : self(ctx).reward_labels)
        for (const std::string &name : names) label.push_back(name), domain.push_back(of);
      Table table;
      table.texts("label", label).texts("domain", domain);
      *out = self(ctx).give("labels", std::move(table));
    });
  }
  static hone_str model_name(void *, int64_t) { return detail::str("model"); }
  static void progress(void *, uint64_t, uint64_t) {}
  static int32_t logprobs(void *ctx, int64_t, const hone_table *rows, float, hone_table *out, hone_error *err) {
    return detail::guard(err, [&] {
      const TableView view(*rows);
      std::vector<std::vector<float>> values;
      for (uint64_t row = 0; row < view.rows(); ++row) values.emplace_back(view.int_list("ids", row).size());
      Table table;
      table.float_lists("logprobs", values);
      *out = self(ctx).give("logprobs", std::move(table));
    });
  }
  static int32_t trainer(void *ctx, int64_t model, hone_str objective, hone_str settings, int64_t optimizer, const hone_training *how,
                         int64_t *trained, hone_error *err) {
    return detail::guard(err, [&] {
      StageHost &host = self(ctx);
      host.trained.push_back({model, optimizer, std::string(detail::view(objective)), std::string(detail::view(settings)),
                              how ? detail::known(*how) : hone_training{sizeof(hone_training), 1, 1, 0, 0}});
      *trained = 999 + static_cast<int64_t>(host.trained.size());
    });
  }
  static int32_t train_step(void *ctx, int64_t trained, const hone_table *rows, hone_table *out, hone_error *err) {
    return detail::guard(err, [&] {
      StageHost &host = self(ctx);
      ++host.at(trained).steps;
      const TableView view(*rows);
      if (host.learn) host.learn(trained, view);
      double tokens = 0;
      for (uint64_t row = 0; row < view.rows(); ++row)
        tokens += static_cast<double>(view.has("ids")        ? view.int_list("ids", row).size()
                                      : view.has("response") ? view.text("response", row).size() + 1
                                                             : view.text("text", row).size());
      Table table;
      table.floats("loss", {0}).floats("grad_norm", {0}).floats("learning_rate_factor", {1});
      table.floats("tokens", {tokens}).floats("rows", {static_cast<double>(view.rows())});
      *out = host.give("train_step", std::move(table));
    });
  }
  static int32_t restart(void *ctx, int64_t trained, hone_error *err) {
    return detail::guard(err, [&] { ++self(ctx).at(trained).restarts; });
  }

  // Not the host's numbers, but as it promises: the same arguments give the same bits.
  static void random(void *, uint32_t stage, uint32_t step, uint32_t row, uint32_t token, uint32_t out[4]) {
    uint64_t h = 0;
    for (const uint32_t key : {stage, step, row, token}) h = mixed(h + key);
    for (int i = 0; i < 4; ++i) out[i] = static_cast<uint32_t>((h = mixed(h)) >> 32);
  }
  static uint64_t mixed(uint64_t h) {  // SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)
    h += 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
  }

  hone_stage_host host_{};
  hone_metrics metrics_{};
  hone_random random_{};
  std::map<std::string, Table> given_;
};

// One step of a stage; whether there is another.
inline bool step(const Component &stage) {
  int32_t again = HONE_DONE;
  hone_error err{};
  detail::check(stage.methods<hone_stage>().step(stage.self(), &again, &err), err);
  return again == HONE_AGAIN;
}
// All of them, at most `most`; how many there were.
inline uint32_t run(const Component &stage, uint32_t most = 10000) {
  for (uint32_t steps = 1; steps <= most; ++steps)
    if (!step(stage)) return steps;
  throw Error("the stage is not done after " + std::to_string(most) + " steps");
}
// What it takes to go on in another component, made with the same settings.
inline std::string save(const Component &stage) {
  std::string saved;
  hone_error err{};
  const auto write = [](void *to, hone_str text) { static_cast<std::string *>(to)->append(detail::view(text)); };
  detail::check(stage.methods<hone_stage>().save(stage.self(), write, &saved, &err), err);
  return saved;
}
inline void load(const Component &stage, const std::string &saved) {
  hone_error err{};
  detail::check(stage.methods<hone_stage>().load(stage.self(), detail::str(saved), &err), err);
}

}  // namespace testing
}  // namespace hone
