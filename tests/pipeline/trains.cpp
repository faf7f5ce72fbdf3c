// trains.cpp -- a stage for the tests: drives any objective by train_step(), in the ways that stages may, and in some that they
// must not.
#include <hone/json.hpp>
#include <hone/stage.hpp>

#include <optional>

namespace {

class Trains final : public hone::Stage {
 public:
  hone::ModelHandle model;
  hone::DataHandle prompts;
  hone::RewardHandle rewards;
  hone::OptimizerHandle optimizer;
  hone::JsonTable objective_settings;
  std::string objective = "sft", rows = "online", asks = "start", second;
  uint32_t steps = 3, batch_size = 4, num_generations = 4, trainings = 1, lingers = 0;
  float temperature = 1, sampling_temperature = 0;
  bool versions = false, forgives = false, forgets = false, restarts = false;

  static auto params() {
    using T = Trains;
    return hone::params(
        hone::param("model", &T::model, "to train", {.required = true}), hone::param("prompts", &T::prompts, "rows", {.required = true}),
        hone::param("rewards", &T::rewards, "of online rows"), hone::param("optimizer", &T::optimizer, "how"),
        hone::param("objective", &T::objective, "what"), hone::param("objective_settings", &T::objective_settings, "its own settings"),
        hone::param("rows", &T::rows, "sampled here, or those of the data", {.choices = {"online", "data", "pairs"}}),
        hone::param("asks", &T::asks, "when it asks for trainers", {.choices = {"start", "first", "late", "never"}}),
        hone::param("second", &T::second, "objective of a second trainer; empty: none"),
        hone::param("steps", &T::steps, "steps"), hone::param("batch_size", &T::batch_size, "prompts, rows or pairs of a step"),
        hone::param("num_generations", &T::num_generations, "responses to each"),
        hone::param("temperature", &T::temperature, "of the trainer", {.min = 0}),
        hone::param("sampling_temperature", &T::sampling_temperature, "of sampling; 0: the trainer's", {.min = 0}),
        hone::param("trainings", &T::trainings, "train steps with the same rows"),
        hone::param("versions", &T::versions, "say which weights sampled the rows"),
        hone::param("lingers", &T::lingers, "rollouts after training, in the same step"),
        hone::param("restarts", &T::restarts, "begins anew before the last step"),
        hone::param("forgives", &T::forgives, "takes no notice of a failed train step"),
        hone::param("forgets", &T::forgets, "asks for no second trainer after a resume"));
  }

  void start(const hone::Services &services) {
    host_ = hone::StageHost(services);
    metrics_ = hone::Metrics(services);
    if (asks == "start") ask();
  }

  bool step() override {
    if (asks == (step_ == begun_at_ ? "first" : "late") && step_ - begun_at_ < 2) ask();
    if (asks == "never" || (asks == "late" && step_ == begun_at_)) return ++step_ < steps;
    const uint32_t number = ++step_;
    if (restarts && number == steps) host_.restart(trained_);
    hone::Table table = rows == "online" ? sampled(number) : given(number);
    for (uint32_t i = 0; i < trainings; ++i) try {
        const hone::TableView measured = host_.train_step(trained_, table.view());
        for (const std::string &name : measured.names()) metrics_.put(name, measured.floats(name)[0]);
      } catch (const hone::Error &) {
        if (!forgives) throw;
        return number < steps;
      }
    if (other_) metrics_.put("other_loss", host_.train_step(*other_, table.view()).floats("loss")[0]);
    hone::Table done;
    done.ints("done", {number}).texts("prompt", {"1"});
    host_.emit(done.view());
    for (uint32_t i = 0; i < lingers; ++i) sample(number);
    return number < steps;
  }
  std::string save() const override { return std::to_string(step_); }
  void load(std::string_view saved) override { step_ = begun_at_ = static_cast<uint32_t>(std::stoul(std::string(saved))); }

 private:
  void ask() {
    const hone::Training how{.temperature = temperature, .num_iterations = 1, .steps = steps};
    trained_ = host_.trainer(model, objective, optimizer, objective_settings.text, how);
    if (!second.empty() && !(forgets && begun_at_ > 0)) other_ = host_.trainer(model, second, optimizer);
  }

  hone::Table batch(uint32_t number) const {
    const hone::TableView all = host_.data(prompts);
    hone::Table table;
    for (uint64_t i = 0; i < batch_size; ++i) table.append(all, ((number - 1) * uint64_t{batch_size} + i) % all.rows());
    return table;
  }

  hone::TableView sample(uint32_t number) const {
    hone::Table asked = batch(number);
    return host_.rollout(trained_, asked.view(),
                         {.num_generations = num_generations, .max_completion_length = 16,
                          .temperature = sampling_temperature > 0 ? sampling_temperature : temperature, .step = number});
  }

  hone::Table sampled(uint32_t number) const {
    hone::Table asked = batch(number), table;
    const hone::TableView prompts = asked.view(), responses = sample(number);
    std::vector<std::string> text;
    std::vector<std::vector<int32_t>> ids;
    std::vector<std::vector<float>> logprobs;
    for (uint64_t i = 0; i < responses.rows(); ++i) {
      table.append(prompts, static_cast<uint64_t>(responses.ints("prompt_row")[i]));
      text.emplace_back(responses.text("response", i));
      const auto some = responses.int_list("ids", i);
      const auto recorded = responses.float_list("logprobs", i);
      ids.emplace_back(some.begin(), some.end());
      logprobs.emplace_back(recorded.begin(), recorded.end());
    }
    const auto group = responses.ints("prompt_row"), truncated = responses.ints("truncated"), version = responses.ints("policy_version");
    table.texts("response", text).int_lists("ids", ids).float_lists("logprobs", logprobs);
    table.ints("group", {group.begin(), group.end()}).ints("truncated", {truncated.begin(), truncated.end()});
    if (versions) table.ints("policy_version", {version.begin(), version.end()});
    if (rewards) {
      const auto reward = host_.score(rewards, table.view(), number).floats("reward");
      table.floats("reward", {reward.begin(), reward.end()});
    }
    return table;
  }

  // The data's own columns, as text: {prompt, response}, or {prompt, chosen, rejected}.
  hone::Table given(uint32_t number) const {
    hone::Table asked = batch(number);
    const hone::TableView view = asked.view();
    std::vector<std::string> prompt, response;
    std::vector<int64_t> group, chosen;
    for (uint64_t i = 0; i < view.rows(); ++i) {
      const hone::Json row = hone::Json::parse(view.text("columns", i));
      const auto columns = rows == "pairs" ? std::vector<const char *>{"chosen", "rejected"} : std::vector<const char *>{"response"};
      for (const char *column : columns) {
        prompt.emplace_back(view.text("prompt", i));
        response.push_back(row[column].as_string());
        group.push_back(static_cast<int64_t>(i));
        chosen.push_back(column[0] == 'c');
      }
    }
    hone::Table table;
    table.texts("prompt", prompt).texts("response", response);
    if (rows == "pairs") table.ints("group", group).ints("chosen", chosen);
    return table;
  }

  hone::StageHost host_;
  hone::Metrics metrics_;
  hone::TrainedModel trained_;
  std::optional<hone::TrainedModel> other_;
  uint32_t step_ = 0, begun_at_ = 0;
};

}  // namespace

HONE_PLUGIN("org.hone.tests.trains", "1.0.0", hone::component<Trains>("trains", "trains by train_step"));
