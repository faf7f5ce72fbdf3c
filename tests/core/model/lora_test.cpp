// lora_test.cpp -- adapters: which matrices, their first values, their files, merging, and what is refused.
#include "core/model/lora.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>

#include "core/base/file.h"
#include "core/model/adapter_files.h"
#include "core/model/merge_lora.h"
#include "core/model/opened_model.h"
#include "core/model/safetensors.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void expect_refusal(const std::function<void()> &call, const std::vector<std::string> &words) {
  const std::string sentence = refusal_of(call);
  for (const std::string &word : words)
    EXPECT_NE(sentence.find(word), std::string::npos) << "no \"" << word << "\" in: " << sentence;
}

Registry registry() { return registry_of({"llama", "deepseek_moe"}); }

LoraSettings settings(uint32_t rank = 3, std::vector<std::string> modules = {"all-linear"}) {
  LoraSettings out;
  out.rank = rank, out.alpha = 7, out.target_modules = std::move(modules);
  return out;
}

// An adapter in which no number is zero.
std::unique_ptr<Weights> adapted(std::shared_ptr<const Weights> base, const LoraSettings &lora = settings(),
                                 bool value_head = false) {
  const std::vector<uint32_t> targets = lora_targets(base->architecture(), lora, "test");
  auto weights = Weights::adapted(std::move(base), lora, targets, 5, value_head);
  const std::vector<float> noise = random_floats(weights->total_size(), 17);
  for (const ParameterInfo &parameter : weights->parameters())
    if (parameter.trained)
      for (uint64_t i = 0; i < parameter.size; ++i)
        weights->data()[parameter.offset + i] += 0.1f * noise[parameter.offset + i];
  weights->changed();
  weights->prepare(pool());
  return weights;
}

std::shared_ptr<const Weights> base(const char *plugin = "llama", bool value_head = false) {
  return random_weights(architecture(plugin, std::string(plugin) == "llama" ? llama_config() : deepseek_config()), 3,
                        value_head);
}

std::vector<std::string> modules(const Architecture &architecture, std::vector<std::string> names) {
  std::vector<std::string> out;
  for (const uint32_t i : lora_targets(architecture, settings(3, std::move(names)), "test"))
    out.push_back(module_name(architecture.parameters()[i]));
  return out;
}

TEST(LoraTargets, AreNamedByTheirLastWordsOrInFull) {
  const auto llama = architecture("llama", llama_config());
  EXPECT_EQ(modules(*llama, {"q_proj", "v_proj"}),
            (std::vector<std::string>{"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj",
                                      "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"}));
  EXPECT_EQ(modules(*llama, {"model.layers.1.mlp.down_proj"}),
            std::vector<std::string>{"model.layers.1.mlp.down_proj"});
  EXPECT_EQ(modules(*llama, {"1.mlp.down_proj"}), std::vector<std::string>{"model.layers.1.mlp.down_proj"});
  EXPECT_EQ(modules(*llama, {"all-linear"}).size(), 14u)
      << "seven matrices in each of two layers, without table and head";
  // Experts' matrices, the router, and the dense ones.
  const auto routed = modules(*architecture("deepseek_moe", deepseek_config()), {"all-linear"});
  for (const char *there : {"model.layers.1.mlp.experts.{}.gate_proj", "model.layers.1.mlp.gate",
                            "model.layers.0.mlp.down_proj", "model.layers.2.self_attn.kv_b_proj"})
    EXPECT_NE(std::find(routed.begin(), routed.end(), there), routed.end()) << there;
}

TEST(LoraTargets, ThatAreNotThereAreRefusedWithWhatIs) {
  const auto llama = architecture("llama", llama_config());
  expect_refusal(
      [&] {
        modules(*llama, {"q_proj", "roj"});
      },
      {"test: lora", "\"roj\"", "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj", "all-linear"});
  expect_refusal([&] { modules(*llama, {"lm_head"}); }, {"\"lm_head\", the head"});
  expect_refusal([&] { modules(*llama, {"embed_tokens"}); }, {"no such matrix"});
  expect_refusal([&] { modules(*llama, {"norm"}); }, {"no such matrix"});
}

TEST(LoraSettings, AreCheckedByName) {
  const auto read = [](const char *text) { return lora_settings(json::parse(text), "s.lua:3: stage sft"); };
  const LoraSettings given = read(R"({"rank": 8, "alpha": 4, "target_modules": ["q_proj"], "rslora": true})");
  EXPECT_FLOAT_EQ(given.scaling(), 4 / std::sqrt(8.0f));
  EXPECT_EQ(given.target_modules, std::vector<std::string>{"q_proj"});
  const LoraSettings usual = read(R"({"rank": 8})");
  EXPECT_FLOAT_EQ(usual.scaling(), 2);
  EXPECT_EQ(usual.target_modules, std::vector<std::string>{"all-linear"});
  const std::pair<const char *, std::vector<std::string>> wrong[] = {
      {"{}", {"s.lua:3: stage sft: lora needs a rank"}},
      {"[8]", {"lora must be a table", "[8]"}},
      {R"({"rank": 0})", {"rank must be an integer from 1", "got 0"}},
      {R"({"rank": 1.5})", {"rank must be an integer", "got 1.5"}},
      {R"({"rank": 8, "alhpa": 1})", {"no setting \"alhpa\"", "did you mean \"alpha\""}},
      {R"({"rank": 8, "alpha": 0})", {"alpha must be a number above 0", "got 0"}},
      {R"({"rank": 8, "rslora": 1})", {"rslora must be true or false", "got 1"}},
      {R"({"rank": 8, "target_modules": []})", {"target_modules must be", "got []"}},
      {R"({"rank": 8, "target_modules": ["q_proj", 3]})", {"target_modules must be", "3"}},
      {R"({"rank": 8, "target_modules": ["q_proj", "all-linear"]})", {"stands alone"}}};
  for (const auto &[text, words] : wrong) expect_refusal([&, text = text] { read(text); }, words);
}

TEST(AdaptedWeights, ShareTheirBaseAndBeginWithoutAnyChange) {
  const auto below = base("deepseek_moe");
  const uint64_t checksum = below->checksum();
  const auto targets = lora_targets(below->architecture(), settings(), "test");
  const auto a = Weights::adapted(below, settings(), targets, 1),
             again = Weights::adapted(below, settings(), targets, 1),
             other = Weights::adapted(below, settings(), targets, 2);
  EXPECT_EQ(a->checksum(), again->checksum());
  EXPECT_NE(a->checksum(), other->checksum());
  EXPECT_EQ(a->total_size(), a->trained_size());
  EXPECT_EQ(a->model_size(), below->total_size() + a->total_size());
  const Weights &seen = *a;
  uint64_t numbers = 0;
  double square = 0;
  uint64_t n = 0;
  for (uint32_t i = 0; i < seen.parameters().size(); ++i) {
    const ParameterInfo &parameter = seen.parameters()[i];
    if (i < below->architecture().parameters().size()) {
      EXPECT_FALSE(parameter.trained);
      EXPECT_EQ(seen.parameter(i), below->parameter(i)) << "a second copy of " << parameter.name;
      EXPECT_NE(refusal_of([&] { a->parameter(i); }), "");
      continue;
    }
    numbers += parameter.size;
    const double bound = 1 / std::sqrt(static_cast<double>(parameter.dims.back()));
    for (uint64_t k = 0; k < parameter.size; ++k) {
      const float x = seen.parameter(i)[k];
      if (parameter.name.ends_with("lora_B.weight")) {
        EXPECT_EQ(x, 0.0f);
        continue;
      }
      EXPECT_LE(std::abs(x), bound);
      square += x * x / bound / bound;
      ++n;
    }
  }
  EXPECT_NEAR(square / static_cast<double>(n), 1.0 / 3, 0.02) << "uniform in +-bound";
  EXPECT_EQ(numbers, lora_size(below->architecture(), targets, 3));
  EXPECT_EQ(below->checksum(), checksum);
}

TEST(AdaptedWeights, CloneAndGrowAValueHead) {
  const auto below = base();
  const auto weights = adapted(below);
  const auto copy = weights->clone();
  EXPECT_EQ(copy->checksum(), weights->checksum());
  copy->add_value_head();
  EXPECT_EQ(copy->parameters().back().name, "score.weight");
  EXPECT_EQ(copy->value_head()[3], 0.0f);
  for (uint32_t i = 0; i < weights->parameters().size(); ++i)
    EXPECT_EQ(std::memcmp(std::as_const(*copy).parameter(i), std::as_const(*weights).parameter(i),
                          weights->parameters()[i].size * sizeof(float)),
              0);
  // A head that base has is trained further.
  const auto judge = base("llama", true);
  const auto on_judge =
      Weights::adapted(judge, settings(), lora_targets(judge->architecture(), settings(), "test"), 1, true);
  EXPECT_NE(on_judge->value_head(), judge->value_head());
  EXPECT_EQ(std::memcmp(on_judge->value_head(), judge->value_head(), 24 * sizeof(float)), 0);
}

// W + scaling B A, written a second time.
void expect_merged(const Weights &from, const Weights &merged) {
  for (uint32_t i = 0; i < from.architecture().parameters().size(); ++i) {
    const ParameterInfo &parameter = from.parameters()[i];
    const auto *low = from.low_rank(i);
    double moved = 0;
    for (uint64_t at = 0; at < parameter.size; ++at) {
      double expected = from.parameter(i)[at];
      if (low) {
        const uint64_t N = parameter.dims[parameter.dims.size() - 2], K = parameter.dims.back(),
                       rank = from.lora().rank;
        const uint64_t e = at / (N * K), row = at / K % N, column = at % K;
        double sum = 0;
        for (uint64_t r = 0; r < rank; ++r)
          sum += double(from.parameter(low->b)[(e * N + row) * rank + r]) *
                 from.parameter(low->a)[(e * rank + r) * K + column];
        expected += double(7.0f / 3) * sum;
        moved = std::max(moved, std::abs(sum));
      }
      ASSERT_NEAR(merged.parameter(i)[at], expected, 1e-7 * std::abs(expected) + 1e-9) << parameter.name << " " << at;
    }
    EXPECT_EQ(moved > 1e-3, low != nullptr) << parameter.name;
  }
}

TEST(MergeLora, IsBasePlusDelta) {
  for (const char *plugin : {"llama", "deepseek_moe"}) {
    const auto weights = adapted(base(plugin), settings(), true);
    const auto merged = merge_lora_for_export(*weights, "model");
    EXPECT_EQ(merged->base(), nullptr);
    expect_merged(*weights, *merged);
    EXPECT_EQ(std::memcmp(merged->value_head(), weights->value_head(), 24 * sizeof(float)), 0);
  }
}

TEST(MergeLora, GivesTheHiddenStatesOfTheUnmergedModel) {
  for (const char *plugin : {"llama", "deepseek_moe"}) {
    const auto below = base(plugin);
    const auto weights = adapted(below);
    const auto merged = merge_lora(*weights);
    merged->prepare(pool());
    below->prepare(pool());
    const Rows rows = random_rows({20, 31}, 37, 2);
    const auto run = [&](const Weights &of) {
      Tape tape(kernels(), Pool::serial_stream());
      const float *hidden = tape.forward(of, rows.packed(), false);
      return std::vector<float>(hidden, hidden + rows.tokens() * 24);
    };
    const auto a = run(*weights), b = run(*merged), c = run(*below);
    double apart = 0, moved = 0;
    for (size_t i = 0; i < a.size(); ++i)
      apart = std::max(apart, std::abs(double(a[i]) - b[i])), moved = std::max(moved, std::abs(double(a[i]) - c[i]));
    EXPECT_LT(apart, 1e-4) << plugin;
    EXPECT_GT(moved, 0.1) << plugin;
  }
}

TEST(MergeLora, RefusesToExportWhatChangesNothing) {
  const auto below = base();
  const auto untrained =
      Weights::adapted(below, settings(), lora_targets(below->architecture(), settings(), "test"), 1);
  expect_refusal([&] { merge_lora_for_export(*untrained, "runs/x"); },
                 {"runs/x: its adapter changes no weight", "zero"});
  EXPECT_EQ(merge_lora(*untrained)->checksum(), below->checksum());
  expect_refusal([&] { merge_lora(*below); }, {"no adapter"});
}

TEST(MergeLora, ExportsAnAdapterThatTrainedTheValueHeadAlone) {
  for (const bool had_one : {false, true}) {
    const auto below = base("llama", had_one);
    const auto trained = Weights::adapted(below, settings(), lora_targets(below->architecture(), settings(), "test"), 1,
                                          /*value_head=*/true);
    float *head = trained->parameter(static_cast<uint32_t>(trained->parameters().size()) - 1);
    for (uint32_t i = 0; i < 24; ++i) head[i] = had_one ? below->value_head()[i] : 0.0f;
    expect_refusal([&] { merge_lora_for_export(*trained, "runs/x"); }, {"runs/x: its adapter changes no weight"});
    head[5] += 0.25f;
    const auto merged = merge_lora_for_export(*trained, "runs/x");
    EXPECT_EQ(merged->value_head()[5], head[5]);
    if (!had_one) continue;
    head[5] = std::nextafter(below->value_head()[5], 2.0f);
    EXPECT_EQ(merge_lora_for_export(*trained, "runs/x")->value_head()[5], head[5]);
    expect_refusal([&] { merge_lora_for_export(*trained, "runs/x", "BF16"); }, {"runs/x: ", "less than BF16 can tell", "--dtype f32"});
  }
}

// base/ with the model, adapter/ with what was trained over it.
struct Saved : ScratchFolder {
  std::shared_ptr<const Weights> below;
  std::unique_ptr<Weights> weights;
  explicit Saved(const char *plugin = "llama", bool value_head = false, const LoraSettings &lora = settings())
      : below(base(plugin)), weights(adapted(below, lora, value_head)) {
    fs::create_directories(path / "base");
    fs::create_directories(path / "adapter");
    save_model(path / "base", *below, *word_tokenizer());
    save_adapter(path / "adapter", *weights, *word_tokenizer(), {"../base", below->checksum()});
  }
  LoadedModel load() const { return load_model(path / "adapter", registry(), host()); }
  void edit(const char *file, const json &changes) const {
    json content = json::parse(read_file(path / "adapter" / file));
    content.update(changes);
    std::ofstream(path / "adapter" / file) << content;
  }
  void rewrite(const std::function<void(std::map<std::string, std::pair<std::vector<uint64_t>, std::vector<float>>> &)>
                   &change) const {
    std::map<std::string, std::pair<std::vector<uint64_t>, std::vector<float>>> all;
    {
      const Safetensors file(path / "adapter" / "adapter_model.safetensors");
      for (const auto &[name, view] : file.tensors()) {
        all[name] = {view.shape, std::vector<float>(view.bytes / 4)};
        file.read_floats(name, all[name].second.data(), view.bytes / 4);
      }
    }
    change(all);
    std::vector<TensorToWrite> tensors;
    for (const auto &[name, tensor] : all)
      tensors.push_back({name, "F32", tensor.first, tensor.second.data(), tensor.second.size() * 4});
    write_safetensors(path / "adapter" / "adapter_model.safetensors", tensors);
  }
};

TEST(AdapterFiles, ReadBackWhatWasWritten) {
  for (const char *plugin : {"llama", "deepseek_moe"})
    for (const bool value_head : {false, true}) {
      const Saved saved(plugin, value_head);
      const LoadedModel loaded = saved.load();
      EXPECT_EQ(loaded.weights->checksum(), saved.weights->checksum());
      EXPECT_EQ(loaded.weights->has_value_head(), value_head);
      EXPECT_EQ(loaded.weights->lora_targets(), saved.weights->lora_targets());
      EXPECT_EQ(loaded.tokenizer->files(), word_tokenizer()->files());
      fs::rename(saved.path / "base", saved.path / "gone");
      expect_refusal([&] { saved.load(); }, {"adapter_base.json", (saved.path / "base").string(), "not there"});
    }
}

TEST(AdapterFiles, AreInPeftsLayout) {
  const Saved saved("deepseek_moe", false, settings(3, {"gate_proj", "o_proj"}));
  const json config = json::parse(read_file(saved.path / "adapter" / "adapter_config.json"));
  EXPECT_EQ(config["peft_type"], "LORA");
  EXPECT_EQ(config["r"], 3);
  EXPECT_EQ(config["lora_alpha"], 7);
  EXPECT_EQ(config["use_rslora"], false);
  EXPECT_EQ(config["target_modules"], json::array({"gate_proj", "o_proj"}));
  EXPECT_EQ(config["base_model_name_or_path"], (saved.path / "base").string());
  const Safetensors file(saved.path / "adapter" / "adapter_model.safetensors");
  EXPECT_EQ(file.require("base_model.model.model.layers.1.mlp.experts.7.gate_proj.lora_A.weight").shape,
            (std::vector<uint64_t>{3, 24}));
  EXPECT_EQ(file.require("base_model.model.model.layers.1.mlp.experts.7.gate_proj.lora_B.weight").shape,
            (std::vector<uint64_t>{12, 3}));
  EXPECT_EQ(file.require("base_model.model.model.layers.0.self_attn.o_proj.lora_B.weight").shape,
            (std::vector<uint64_t>{24, 3}));
  EXPECT_FALSE(file.tensors().contains("base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"));
}

// One that PEFT wrote has no file of hone's, and may lack the tokenizer and config.json.
TEST(AdapterFiles, LoadWithoutWhatOnlyHoneWrites) {
  const Saved saved;
  for (const char *name : {"adapter_base.json", "config.json", "tokenizer.json", "tokenizer_config.json"})
    fs::remove(saved.path / "adapter" / name);
  EXPECT_EQ(saved.load().weights->checksum(), saved.weights->checksum());
  saved.edit("adapter_config.json", {{"base_model_name_or_path", "someone/model"}});
  expect_refusal([&] { saved.load(); },
                 {"adapter_config.json", "someone/model", "not there", "base_model_name_or_path"});
}

// Its own config.json counts neither in loading nor in planning, so it may not tell of another model.
TEST(AdapterFiles, RefuseAConfigOrATokenizerThatIsNotTheBases) {
  const Saved saved("deepseek_moe");
  const std::string good = read_file(saved.path / "adapter" / "config.json");
  const auto planned = [&] { architecture_of(saved.path / "adapter", registry(), host()); };
  EXPECT_EQ(refusal_of(planned), "");
  const std::pair<json, std::vector<std::string>> wrong[] = {
      {{{"num_experts_per_tok", 2}}, {"num_experts_per_tok is 2", "but 3"}},
      {{{"rope_theta", 500000.0}}, {"rope_theta is 500000.0", "but 10000.0"}},
      {{{"num_nextn_predict_layers", 1}}, {"num_nextn_predict_layers is 1", "but 0"}},
      {{{"model_type", "llama"}}, {"model plugin is llama", "but deepseek_moe"}}};
  for (const auto &[change, words] : wrong) {
    saved.edit("config.json", change);
    for (const std::function<void()> &call : {std::function<void()>([&] { saved.load(); }), {planned}}) {
      expect_refusal(call, words);
      expect_refusal(call, {(saved.path / "adapter" / "config.json").string(), (saved.path / "base").string()});
    }
    std::ofstream(saved.path / "adapter" / "config.json") << good;
  }
  EXPECT_EQ(refusal_of([&] { saved.load(); }), "");
  // A copy of the base's config.json, which tells of a layer that its files lack.
  for (const char *folder : {"base", "adapter"}) {
    json config = json::parse(read_file(saved.path / folder / "config.json"));
    config["num_nextn_predict_layers"] = 1;
    std::ofstream(saved.path / folder / "config.json") << config;
  }
  EXPECT_EQ(refusal_of([&] { saved.load(); }), "");
  std::vector<std::string> words = {"<bos>", "<eos>"};
  while (words.size() < 40) words.push_back("w" + std::to_string(words.size()));
  for (const auto &[name, text] : Tokenizer::from_words(words, {"<bos>", "<eos>"}, "")->files())
    std::ofstream(saved.path / "adapter" / name) << text;
  expect_refusal([&] { saved.load(); }, {(saved.path / "adapter").string(), "40 tokens", "vocab_size", "37"});
}

TEST(AdapterFiles, RefuseAChangedBase) {
  const Saved saved;
  auto changed = saved.below->clone();
  changed->data()[100] += 1;
  save_model(saved.path / "base", *changed, *word_tokenizer());
  expect_refusal([&] { saved.load(); }, {(saved.path / "adapter").string(), "base model has changed"});
}

TEST(AdapterFiles, RefuseWhatTheyCannotMean) {
  const Saved saved;
  const json good = json::parse(read_file(saved.path / "adapter" / "adapter_config.json"));
  const std::pair<json, std::vector<std::string>> wrong[] = {
      {{{"peft_type", "IA3"}}, {"peft_type", "IA3"}},
      {{{"use_dora", true}}, {"use_dora", "true"}},
      {{{"bias", "all"}}, {"bias", "\"all\""}},
      {{{"r", 0}}, {"\"r\"", "0"}},
      {{{"r", 4}}, {"shape [3, 24]", "[4, 24]"}},
      {{{"rank_pattern", {{"q_proj", 2}}}}, {"rank_pattern"}},
      {{{"lora_alpha", "x"}}, {"lora_alpha", "\"x\""}},
      {{{"modules_to_save", {"lm_head"}}}, {"modules_to_save", "lm_head"}},
      {{{"use_rslora", 1}}, {"use_rslora"}},
      {{{"init_lora_weights", "pissa"}}, {"adapter_config.json", "init_lora_weights", "\"pissa\""}},
      {{{"init_lora_weights", "pissa_niter_4"}}, {"init_lora_weights", "\"pissa_niter_4\""}},
      {{{"init_lora_weights", "olora"}}, {"init_lora_weights", "\"olora\""}},
      {{{"init_lora_weights", "corda"}}, {"init_lora_weights", "\"corda\""}},
      {{{"init_lora_weights", "loftq"}}, {"init_lora_weights", "\"loftq\""}},
      {{{"init_lora_weights", 1}}, {"init_lora_weights", "is 1"}},
      {{{"alora_invocation_tokens", {7, 8}}}, {"alora_invocation_tokens", "[7,8]", "null"}},
      {{{"fan_in_fan_out", true}}, {"fan_in_fan_out"}}};
  const auto planned = [&] { architecture_of(saved.path / "adapter", registry(), host()); };
  for (const auto &[change, words] : wrong) {
    saved.edit("adapter_config.json", change);
    expect_refusal([&] { saved.load(); }, words);
    expect_refusal(planned, words);
    std::ofstream(saved.path / "adapter" / "adapter_config.json") << good;
  }
  for (const json start : {json(), json(false), json("gaussian"), json("eva"), json("orthogonal")}) {
    saved.edit("adapter_config.json", {{"init_lora_weights", start}, {"alora_invocation_tokens", nullptr}});
    EXPECT_EQ(refusal_of([&] { saved.load(); }), "") << start;
  }
  const std::string q = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
  saved.rewrite([&](auto &all) { all[q + "B.weight"].second[5] = NAN; });
  expect_refusal([&] { saved.load(); }, {q + "B.weight", "not finite at number 5"});
  saved.rewrite([&](auto &all) { all.erase(q + "B.weight"); });
  expect_refusal([&] { saved.load(); }, {"lacks", q + "B.weight"});
  expect_refusal(planned, {"lacks", q + "B.weight"});
  saved.rewrite([&](auto &all) { all.erase(q + "A.weight"), all[q + "B.weight"] = {{24, 3}, std::vector<float>(72)}; });
  expect_refusal([&] { saved.load(); }, {q + "B.weight", "no place"});
  expect_refusal(planned, {q + "B.weight", "no place"});
  saved.rewrite([&](auto &all) { all.clear(), all["x"] = {{1}, {1.0f}}; });
  expect_refusal([&] { saved.load(); }, {"no matrix of an adapter"});
  expect_refusal(planned, {"no matrix of an adapter"});
}

// Whatever byte is damaged: a sentence, or an adapter of another value; never another kind of exception or a crash.
TEST(AdapterFiles, AnyDamageIsASentence) {
  const Saved saved;
  std::mt19937 random(3);
  int refused = 0;
  for (const char *file : {"adapter_config.json", "adapter_base.json", "adapter_model.safetensors"}) {
    const fs::path path = saved.path / "adapter" / file;
    const std::string good = read_file(path);
    const size_t most = std::min<size_t>(good.size(), 900);  // the header of the tensors
    for (int round = 0; round < 150; ++round) {
      std::string bad = good;
      const size_t at = random() % most;
      switch (round % 4) {
        case 0:
          bad[at] = static_cast<char>(random());
          break;
        case 1:
          bad.erase(at, 1 + random() % 8);
          break;
        case 2:
          bad.insert(at, std::string(1 + random() % 3, "[{\"-9"[random() % 5]));
          break;
        default:
          bad.resize(at);
          break;
      }
      std::ofstream(path, std::ios::binary) << bad;
      const std::string sentence = refusal_of([&] { saved.load(); });
      refused += !sentence.empty();
      if (!sentence.empty()) {
        EXPECT_NE(sentence.find(saved.path.string()), std::string::npos) << sentence;
      }
    }
    std::ofstream(path, std::ios::binary) << good;
  }
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace hone::test
