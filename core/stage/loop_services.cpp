// loop_services.cpp -- see loop_services.h. No exception leaves a service: it becomes the caller's hone_error, and an
// interruption is kept to be thrown again once the plugin has returned.
#include "core/stage/loop_services.h"

#include <cstdio>
#include <cstring>

#include "core/base/failure.h"
#include "core/stage/conversations.h"
#include "core/stage/loop_handles.h"
#include "core/stage/train_rows.h"
#include "core/text/response_steps.h"

namespace hone {
using nlohmann::json;

struct LoopServices {
  static LoopStage &self(void *ctx) { return *static_cast<LoopStage *>(ctx); }

  template <class Body>
  static int32_t guard(void *ctx, hone_error *err, Body &&body) noexcept {
    auto fail = [err](int32_t code, const char *text) {
      err->code = code;
      std::snprintf(err->text, sizeof err->text, "%s", text);
      return code;
    };
    // The step is dropped: a stage that takes no notice gets no further.
    if (self(ctx).interruption_) return fail(HONE_FAILED, "interrupted");
    if (!self(ctx).fatal_.empty()) return fail(HONE_FAILED, self(ctx).fatal_.c_str());
    try {
      body();
      return HONE_OK;
    } catch (const Interrupted &interruption) {
      self(ctx).interruption_ = interruption.signal;
      return fail(HONE_FAILED, "interrupted");
    } catch (const std::bad_alloc &) {
      return fail(HONE_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception &error) {
      return fail(HONE_FAILED, error.what());
    }
  }

  // The host's columns and, beside them, the data row's own, which cross as JSON in "columns".
  static json whole_row(const TableReader &reader, uint64_t i) {
    json row = reader.row(i);
    if (row.contains("columns") && row["columns"].is_string()) {
      const json columns = json::parse(row["columns"].get<std::string>(), nullptr, false);
      row.erase("columns");
      if (columns.is_object())
        for (const auto &[name, value] : columns.items()) row.emplace(name, value);
    }
    return row;
  }

  static const hone_table &give(LoopStage &stage, const char *service, OwnedTable table) {
    return (stage.given_[service] = std::move(table)).abi();
  }

  static int32_t data(void *ctx, int64_t handle, hone_table *out, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      std::vector<std::string> prompt, answer, columns, domain;
      std::shared_ptr<const Tokenizer> writer;  // of conversations; looked for when there is one
      for (const Domain &part : load_domains(stage.context_, stage.handle_values_.at(static_cast<size_t>(handle))))
        for (const DataRow &row : part.rows) {
          if (is_conversation(row) && !writer) writer = writing_tokenizer(stage.context_.pipeline, stage.node_);
          if (is_conversation(row) && !writer) throw Failure(row.where + ": messages: the stage has no model whose chat template could write them; give \"prompt\"");
          prompt.push_back(is_conversation(row) ? prompt_text(*writer, row) : row_text(row, "prompt"));
          answer.push_back(row_text_or(row, "answer", ""));
          columns.push_back(row.columns.dump());
          domain.push_back(row.domain);
        }
      OwnedTable table(prompt.size());
      table.texts("prompt", std::move(prompt));
      table.texts("answer", std::move(answer));
      table.texts("columns", std::move(columns));
      table.texts("domain", std::move(domain));
      *out = give(stage, "data", std::move(table));
    });
  }

  static void add_steps(const Tokenizer &tokenizer, const std::vector<std::string> &separators, const std::vector<SampledRow> &sampled,
                        OwnedTable &table) {
    std::vector<std::vector<int32_t>> start, text;
    for (const SampledRow &row : sampled) {
      const ResponseSteps steps = response_steps(tokenizer, row.ids, separators);
      start.emplace_back(steps.start.begin(), steps.start.end());
      text.emplace_back(steps.text.begin(), steps.text.end());
    }
    table.int_lists("step_start", start);
    table.int_lists("step_text", text);
  }

  // 0: the sampling's.
  static uint32_t own_length(const TableReader &prompts, uint64_t i, const std::string &where) {
    if (!prompts.has("max_completion_length")) return 0;
    const int64_t length = prompts.integer("max_completion_length", i);
    if (length < 1 || length > UINT32_MAX)
      throw Failure(where + ": prompt " + std::to_string(i) + ": \"max_completion_length\" is " + std::to_string(length) + "; it must be 1 or more");
    return static_cast<uint32_t>(length);
  }

  static int32_t rollout(void *ctx, int64_t model, const hone_table *prompts, const hone_sampling *how, hone_table *out, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      stage.context_.stop_if_interrupted();
      hone_sampling sampling{};
      std::memcpy(&sampling, how, std::min<size_t>(sizeof sampling, how->struct_size));
      const LoopStage::ModelInUse loaded = stage.model(model);
      const TableReader reader(*prompts, stage.where_);
      const uint32_t n = std::max(1u, sampling.num_generations);
      std::vector<SampleRequest> requests;
      std::vector<std::vector<int32_t>> begun;  // what of each response there is already
      for (uint64_t i = 0; i < reader.rows(); ++i) {
        begun.push_back(reader.has("ids") ? reader.int_list("ids", i) : std::vector<int32_t>());
        uint32_t begin = 0;
        requests.push_back({response_sequence(*loaded.tokenizer, *loaded.weights, reader.text("prompt", i), begun[i],
                                              stage.where_ + ": prompt " + std::to_string(i), begin), n, static_cast<uint32_t>(i) * n,
                            own_length(reader, i, stage.where_)});
      }
      SampleSettings settings;
      settings.temperature = sampling.temperature;
      settings.top_p = sampling.top_p;
      settings.min_p = sampling.min_p;
      settings.top_k = sampling.top_k;
      settings.max_tokens = sampling.max_completion_length;
      for (uint32_t i = 0; i < sampling.n_stop; ++i) settings.stop_strings.emplace_back(sampling.stop[i].data, sampling.stop[i].size);
      settings.stop_ids = loaded.tokenizer->stop_ids();
      settings.seed = stage.context_.pipeline.seed;
      settings.stage = stage.number_;
      settings.step = sampling.step;
      std::vector<std::string> separators;
      for (uint32_t i = 0; i < sampling.n_step_separators && sampling.step_separators; ++i)
        separators.emplace_back(sampling.step_separators[i].data, sampling.step_separators[i].size);
      for (const std::string &text : separators)
        if (text.empty()) throw Failure(stage.where_ + ": a text of step_separators is empty; leave it out");
      if (!separators.empty() && reader.has("ids"))
        throw Failure(stage.where_ + ": a response that has begun is not cut into steps; leave out step_separators, or the column \"ids\"");
      settings.keep_prefixes = reader.has("ids");
      stage.trainers_.discard_values();
      const auto sampled = stage.sampler_->generate(*loaded.weights, loaded.tokenizer, requests, settings, {},
                                                    [&] { return stage.context_.interrupted(); });
      stage.context_.stop_if_interrupted();
      std::vector<int64_t> prompt_row, truncated, ended, computed, reused;
      std::vector<std::string> response;
      std::vector<std::vector<int32_t>> ids;
      std::vector<std::vector<float>> logprobs;
      for (size_t i = 0; i < sampled.size(); ++i) {
        ended.push_back(static_cast<int64_t>(sampled[i].end));  // RowEnd is HONE_ENDED...
        reused.push_back(sampled[i].reused);
        computed.push_back(static_cast<int64_t>(requests[i / n].prompt.size() + sampled[i].ids.size() - 1 - sampled[i].reused));
        prompt_row.push_back(static_cast<int64_t>(i / n));
        truncated.push_back(sampled[i].truncated);
        std::vector<int32_t> &whole = begun[i / n];
        whole.insert(whole.end(), sampled[i].ids.begin(), sampled[i].ids.end());
        response.push_back(response_text(*loaded.tokenizer, whole));
        whole.resize(whole.size() - sampled[i].ids.size());
        ids.push_back(sampled[i].ids);
        logprobs.push_back(sampled[i].logp);
        stage.place_.tokens += sampled[i].ids.size();
      }
      OwnedTable table(sampled.size());
      table.ints("prompt_row", std::move(prompt_row));
      table.texts("response", std::move(response));
      table.int_lists("ids", ids);
      table.float_lists("logprobs", logprobs);
      table.ints("truncated", std::move(truncated));
      if (!separators.empty()) add_steps(*loaded.tokenizer, separators, sampled, table);
      table.ints("ended", std::move(ended));
      table.ints("computed", std::move(computed));
      table.ints("reused", std::move(reused));
      if (stage.trainers_.has(model))
        table.ints("policy_version", std::vector<int64_t>(sampled.size(), static_cast<int64_t>(stage.trainers_.version(model))));
      *out = give(stage, "rollout", std::move(table));
    });
  }

  static int32_t score(void *ctx, int64_t rewards, const hone_table *rows, uint32_t step, hone_table *out, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      stage.context_.stop_if_interrupted();
      const TableReader reader(*rows, stage.where_);
      std::vector<RowToScore> to_score(reader.rows());
      for (uint64_t i = 0; i < reader.rows(); ++i) {
        RowToScore &row = to_score[i];
        row.row.prompt = reader.text("prompt", i);
        row.row.text = reader.text("response", i);
        if (reader.has("answer")) row.row.answer = reader.text("answer", i);
        row.row.columns = reader.has("columns") ? reader.text("columns", i) : "{}";
        if (reader.has("domain")) row.domain = reader.text("domain", i);
        if (reader.has("ids")) row.row.ids = reader.int_list("ids", i);
        if (reader.has("truncated")) row.row.truncated = reader.integer("truncated", i) != 0;
      }
      // A step may score several times (the responses of several models): each call has its number in the key.
      const std::string key = "step " + std::to_string(step) + " call " + std::to_string(stage.score_calls_++) + " handle " + std::to_string(rewards);
      const ScoredRows scored = stage.rewards(rewards).score(*stage.journal_, key, to_score);
      OwnedTable table(reader.rows());
      table.floats("reward", {scored.reward.begin(), scored.reward.end()});
      for (const auto &[label, values] : scored.parts) table.floats(label, {values.begin(), values.end()});
      *out = give(stage, "score", std::move(table));
    });
  }

  static int32_t call(void *ctx, int64_t function, const hone_table *rows, uint8_t *keep, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      const TableReader reader(*rows, stage.where_);
      const json &handle = stage.handle_values_.at(static_cast<size_t>(function));
      const std::string path = handle.at("$function");
      stage.context_.script.renew();  // as after a resume
      for (uint64_t i = 0; i < reader.rows(); ++i) {
        const json row = whole_row(reader, i);
        const json answer = stage.context_.script.call(path, row, {stage.context_.pipeline.seed, (uint64_t{stage.number_} << 40) + (uint64_t{stage.place_.step} << 20) + i});
        keep[i] = !(answer.is_null() || (answer.is_boolean() && !answer.get<bool>()));
      }
    });
  }

  static int32_t emit(void *ctx, const hone_table *rows, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      const TableReader reader(*rows, stage.where_);
      std::string lines;
      for (uint64_t i = 0; i < reader.rows(); ++i) {
        const json row = whole_row(reader, i);
        lines += row.dump() + "\n";
      }
      stage.data_.append(lines);
    });
  }

  static int32_t result(void *ctx, hone_str name, const hone_table *one_row, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      const TableReader reader(*one_row, stage.where_);
      if (reader.rows() != 1) throw Failure(stage.where_ + ": a result has " + std::to_string(reader.rows()) + " rows, not one");
      json row = {{"name", std::string(name.data, name.size)}, {"stage", stage.folder_name_}};
      const json columns = reader.row(0);
      for (const auto &[column, value] : columns.items()) row[column] = value;
      stage.results_.push_back(row);
    });
  }

  static int32_t logprobs(void *ctx, int64_t model, const hone_table *rows, float temperature, hone_table *out, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      stage.context_.stop_if_interrupted();
      const LoopStage::ModelInUse loaded = stage.model(model);
      const TableReader reader(*rows, stage.where_);
      std::vector<std::vector<int32_t>> sequences;
      std::vector<uint32_t> begin(reader.rows());
      for (uint64_t i = 0; i < reader.rows(); ++i)
        sequences.push_back(response_sequence(*loaded.tokenizer, *loaded.weights, reader.text("prompt", i), reader.int_list("ids", i),
                                              stage.where_ + ": row " + std::to_string(i), begin[i]));
      const auto scored = score_tokens(stage.context_.kernels, stage.context_.pool, *loaded.weights, sequences, begin, temperature);
      std::vector<std::vector<float>> values;
      for (const ScoredTokens &one : scored) values.push_back(one.logp);
      OwnedTable table(reader.rows());
      table.float_lists("logprobs", values);
      *out = give(stage, "logprobs", std::move(table));
    });
  }

  static int32_t values(void *ctx, int64_t model, const hone_table *rows, hone_table *out, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      stage.context_.stop_if_interrupted();
      const LoopStage::ModelInUse loaded = stage.model(model, LoopStage::valued);
      const TableReader reader(*rows, stage.where_);
      if (!loaded.weights->has_value_head())
        throw Failure(stage.where_ + ": the model \"" + name_of(stage, model) + "\" has no value head, so it says no values; give one that stage prm or reward_model trained");
      std::vector<std::vector<int32_t>> sequences;
      for (uint64_t i = 0; i < reader.rows(); ++i) {
        uint32_t begin = 0;
        sequences.push_back(response_sequence(*loaded.tokenizer, *loaded.weights, reader.text("prompt", i), reader.int_list("ids", i),
                                              stage.where_ + ": row " + std::to_string(i), begin));
      }
      stage.trainers_.discard_values();
      const auto valued = stage.valuer_->values(*loaded.weights, sequences, true, [&] { return stage.context_.interrupted(); });
      stage.context_.stop_if_interrupted();
      std::vector<double> value;
      std::vector<int64_t> computed, reused;
      for (size_t i = 0; i < valued.size(); ++i) {
        value.push_back(valued[i].value);
        reused.push_back(valued[i].reused);
        computed.push_back(static_cast<int64_t>(sequences[i].size()) - valued[i].reused);
      }
      OwnedTable table(reader.rows());
      table.floats("value", std::move(value));
      table.ints("computed", std::move(computed));
      table.ints("reused", std::move(reused));
      *out = give(stage, "values", std::move(table));
    });
  }

  static int32_t labels(void *ctx, int64_t rewards, hone_table *out, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      *out = give(stage, "labels", reward_labels(stage.context_.pipeline, stage.handle_values_.at(static_cast<size_t>(rewards))));
    });
  }

  static std::string name_of(const LoopStage &stage, int64_t model) {
    try {
      return stage.trainers_.has(model) ? stage_label(stage.context_.pipeline, stage.index_)
                                        : hone::model_name(stage.context_.pipeline, static_cast<int>(model));
    } catch (const std::exception &) {
      return "model " + std::to_string(model);
    }
  }

  static hone_str model_name(void *ctx, int64_t model) {
    LoopStage &stage = self(ctx);
    stage.name_ = name_of(stage, model);
    return {stage.name_.data(), stage.name_.size()};
  }

  static int32_t trainer(void *ctx, int64_t model, hone_str objective, hone_str settings, int64_t optimizer, const hone_training *how,
                         int64_t *trained, hone_error *err) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      if (stage.past_first_step_)
        throw Failure(stage.where_ + ": asks for a trainer too late; it must do so in start() or in the first step() of each process");
      *trained = stage.trainers_.add(trainer_request(stage.context_.registry, stage.context_.pipeline, stage.node_, stage.where_,
                                                     stage.trainers_.count() == 0, model, objective, settings, optimizer, how));
    });
  }

  // Runs what changes the weights of a trained model. If it fails nobody knows what the weights are worth, so the run ends.
  template <class Body>
  static int32_t change(void *ctx, hone_error *err, Body &&body) {
    return guard(ctx, err, [&] {
      LoopStage &stage = self(ctx);
      stage.context_.stop_if_interrupted();
      stage.finish_this_step();
      stage.forget_prefixes();
      try {
        body(stage);
      } catch (const std::bad_alloc &) {
        stage.fatal_ = stage.where_ + ": out of memory while training";
        throw;
      } catch (const std::exception &failure) {
        stage.fatal_ = failure.what();
        throw;
      }
    });
  }

  static int32_t train_step(void *ctx, int64_t trained, const hone_table *rows, hone_table *out, hone_error *err) {
    return change(ctx, err, [&](LoopStage &stage) {
      uint64_t tokens = 0;
      *out = give(stage, "train_step", stage.trainers_.step(trained, *rows, tokens));
      stage.place_.tokens += tokens;
    });
  }

  static int32_t restart(void *ctx, int64_t trained, hone_error *err) {
    return change(ctx, err, [&](LoopStage &stage) { stage.trainers_.restart(trained); });
  }

  static void progress(void *ctx, uint64_t done, uint64_t total) {
    LoopStage &stage = self(ctx);
    if (!stage.progress_ || stage.progress_total_ != total) {
      stage.progress_ = std::make_unique<Progress>(stage.folder_name_, total);
      stage.progress_total_ = total;
    }
    stage.progress_->update(done);
  }
};

hone_stage_host loop_services(LoopStage &stage) {
  hone_stage_host services{};
  services.struct_size = sizeof services;
  services.ctx = &stage;
  services.data = LoopServices::data;
  services.rollout = LoopServices::rollout;
  services.score = LoopServices::score;
  services.call = LoopServices::call;
  services.emit = LoopServices::emit;
  services.result = LoopServices::result;
  services.model_name = LoopServices::model_name;
  services.progress = LoopServices::progress;
  services.logprobs = LoopServices::logprobs;
  services.trainer = LoopServices::trainer;
  services.train_step = LoopServices::train_step;
  services.restart = LoopServices::restart;
  services.labels = LoopServices::labels;
  services.values = LoopServices::values;
  return services;
}

}  // namespace hone
