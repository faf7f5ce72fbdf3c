// adapter_files.cpp -- see adapter_files.h. What PEFT can say and hone cannot do is refused by its key.
#include "core/model/adapter_files.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/json_file.h"
#include "core/model/layout.h"
#include "core/model/model_description.h"
#include "core/model/opened_model.h"
#include "core/model/safetensors.h"
#include "core/model/weight_pieces.h"
#include "core/text/json_member.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char *kConfig = "adapter_config.json", *kTensors = "adapter_model.safetensors",
                     *kBase = "adapter_base.json";
constexpr const char *kPrefix = "base_model.model.", *kValueHead = "score";

// Of those that train: a base's are in its own files.
std::vector<WeightPiece> adapter_pieces(const std::vector<ParameterInfo> &parameters) {
  std::vector<WeightPiece> pieces;
  for (const ParameterInfo &parameter : parameters)
    for (uint32_t i = 0; parameter.trained && i < piece_count(parameter); ++i) {
      pieces.push_back(piece_of(parameter, i));
      pieces.back().name.insert(0, kPrefix);
    }
  return pieces;
}

// Modules as PEFT names them: by their last words where those mean the same targets, else in full.
json target_modules(const Weights &adapted) {
  const Architecture &architecture = adapted.architecture();
  std::set<std::string> words, modules;
  for (const uint32_t i : adapted.lora_targets()) {
    const ParameterInfo &target = architecture.parameters()[i];
    const std::string module = module_name(target);
    words.insert(last_word(module));
    for (uint32_t e = 0; e < piece_count(target); ++e) modules.insert(expert_name(module, e));
  }
  LoraSettings named;
  named.target_modules = {words.begin(), words.end()};
  const bool same = lora_targets(architecture, named, "adapter") == adapted.lora_targets();
  return same ? json(words) : json(modules);
}

// PEFT's settings that change what an adapter computes.
void refuse_what_is_not_done(const json &config, const fs::path &path) {
  const auto refuse = [&](const char *key, const char *wanted) {
    throw Failure(path.string() + ": \"" + key + "\" is " + json_shown(config.at(key)) +
                  ", which hone does not do; it must be " + wanted);
  };
  if (config.value("peft_type", json()) != "LORA")
    throw Failure(path.string() + ": \"peft_type\" is " + json_shown(config.value("peft_type", json())) +
                  "; only \"LORA\" is done");
  for (const char *key : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"})
    if (config.contains(key) && config[key] != false && !config[key].is_null()) refuse(key, "false");
  for (const char *key :
       {"rank_pattern", "alpha_pattern", "layer_replication", "target_parameters", "trainable_token_indices"})
    if (config.contains(key) && !config[key].is_null() && !config[key].empty()) refuse(key, "empty");
  if (config.contains("bias") && config["bias"] != "none") refuse("bias", "\"none\"");
  // PiSSA, OLoRA, CorDA and LoftQ give the base other numbers before they train; activated LoRA acts from certain
  // tokens.
  if (const json start = config.value("init_lora_weights", json());
      !start.is_null() && !start.is_boolean() && start != "gaussian" && start != "eva" && start != "orthogonal")
    refuse("init_lora_weights",
           "true, false, null, \"gaussian\", \"eva\" or \"orthogonal\", which leave the base as it is");
  if (config.contains("alora_invocation_tokens") && !config["alora_invocation_tokens"].is_null())
    refuse("alora_invocation_tokens", "null");
  if (config.contains("modules_to_save") && !config["modules_to_save"].is_null() &&
      !config["modules_to_save"].empty() && config["modules_to_save"] != json::array({kValueHead}))
    refuse("modules_to_save", "null or [\"score\"]");
}

LoraSettings settings_of(const json &config, const fs::path &path) {
  refuse_what_is_not_done(config, path);
  LoraSettings settings;
  const json rank = config.value("r", json()), alpha = config.value("lora_alpha", json()),
             rslora = config.value("use_rslora", json(false));
  if (!rank.is_number_integer() || rank.get<int64_t>() < 1 || rank.get<int64_t>() > 65536)
    throw Failure(path.string() + ": \"r\" must be an integer from 1 to 65536, but it is " + json_shown(rank));
  if (!alpha.is_number() || !(std::fabs(alpha.get<double>()) <= 1e6))
    throw Failure(path.string() + ": \"lora_alpha\" must be a number, but it is " + json_shown(alpha));
  if (!rslora.is_boolean())
    throw Failure(path.string() + ": \"use_rslora\" must be true or false, but it is " + json_shown(rslora));
  settings.rank = rank.get<uint32_t>();
  settings.alpha = alpha.get<double>();
  settings.rslora = rslora.get<bool>();
  return settings;
}

// What the file has matrices for; the tensors decide, since target_modules may be a pattern of Python's.
std::vector<uint32_t> targets_in(const Safetensors &file, const Architecture &architecture, const fs::path &path) {
  std::vector<uint32_t> targets;
  for (const uint32_t i : lora_candidates(architecture)) {
    const std::string module = expert_name(module_name(architecture.parameters()[i]), 0);
    if (file.tensors().contains(kPrefix + module + ".lora_A.weight")) targets.push_back(i);
  }
  if (targets.empty())
    throw Failure(path.string() + ": has no matrix of an adapter for model " + architecture.component() +
                  " (such as \"" + kPrefix +
                  module_name(architecture.parameters()[lora_candidates(architecture).at(0)]) + ".lora_A.weight\")");
  return targets;
}

// An adapter's files, all checked but the numbers themselves: before there is memory for any weights.
struct OpenedAdapter {
  LoraSettings settings;
  Safetensors file;
  std::vector<uint32_t> targets;
  bool value_head;

  OpenedAdapter(const fs::path &directory, const Architecture &base)
      : settings(settings_of(read_json_object(directory / kConfig), directory / kConfig)),
        file(directory / kTensors),
        targets(targets_in(file, base, directory / kTensors)),
        value_head(file.tensors().contains(std::string(kPrefix) + kValueHead + ".weight")) {
    std::vector<ParameterInfo> parameters;
    for (const uint32_t i : targets) {
      parameters.push_back(lora_a(base.parameters()[i], settings.rank));
      parameters.push_back(lora_b(base.parameters()[i], settings.rank));
    }
    if (value_head) {
      parameters.emplace_back();
      parameters.back().name = std::string(kValueHead) + ".weight";
      parameters.back().dims = {1, base.info().hidden_size};
    }
    check(adapter_pieces(parameters));
  }

 private:
  void check(const std::vector<WeightPiece> &pieces) const {
    const std::string path = file.path().string();
    std::set<std::string> wanted;
    for (const WeightPiece &piece : pieces) {
      wanted.insert(piece.name);
      if (!file.tensors().contains(piece.name)) throw Failure(path + ": lacks the tensor \"" + piece.name + "\"");
      if (const TensorView &view = file.require(piece.name); view.shape != piece.shape)
        throw Failure(path + ": tensor \"" + piece.name + "\" has shape " + shape_text(view.shape) +
                      ", but the base model and \"r\" make it " + shape_text(piece.shape));
      file.read_floats(piece.name, 0, 0, nullptr);  // its type
    }
    for (const auto &[name, view] : file.tensors())
      if (!wanted.contains(name))
        throw Failure(path + ": has the tensor \"" + name + "\", for which the base model has no place");
  }
};

void read_pieces(Weights &adapted, const Safetensors &file) {
  const fs::path path = file.path();
  std::vector<float> values;
  hone_stream stream = Pool::serial_stream();
  for (const WeightPiece &piece : adapter_pieces(adapted.parameters())) {
    values.resize(piece.size);
    file.read_floats(piece.name, values.data(), piece.size);
    const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
    if (bad != values.end())
      throw Failure(path.string() + ": tensor \"" + piece.name + "\" is not finite at number " +
                    std::to_string(bad - values.begin()) + "; was its training broken off by an overflow?");
    kernels().copy_in(&stream, adapted.data() + piece.offset, values.data(), piece.size * sizeof(float));
  }
  kernels().synchronize(&stream);
}

}  // namespace

void check_adapter(const fs::path &directory, const Architecture &base) { OpenedAdapter(directory, base); }

bool is_adapter_directory(const fs::path &directory) {
  return fs::exists(directory / kConfig) && !fs::exists(directory / "model.safetensors") &&
         !fs::exists(directory / "model.safetensors.index.json");
}

void save_adapter(const fs::path &directory, const Weights &adapted, const Tokenizer &tokenizer,
                  const AdapterBase &base) {
  if (!adapted.base()) throw Failure("these weights have no adapter to save");
  const LoraSettings &lora = adapted.lora();
  hone_stream stream = Pool::serial_stream();
  std::vector<float> values(adapted.total_size());
  kernels().copy_out(&stream, values.data(), adapted.data(), values.size() * sizeof(float));
  kernels().synchronize(&stream);
  std::vector<TensorToWrite> tensors;
  const std::vector<WeightPiece> pieces = adapter_pieces(adapted.parameters());
  for (const WeightPiece &piece : pieces)
    tensors.push_back({piece.name, "F32", piece.shape, values.data() + piece.offset, piece.size * sizeof(float)});
  write_safetensors(directory / kTensors, tensors, {{"format", "pt"}});
  const fs::path where = base.path.is_absolute() ? base.path : (directory / base.path).lexically_normal();
  json config = {
      {"peft_type", "LORA"},
      {"task_type", adapted.has_value_head() ? "SEQ_CLS" : "CAUSAL_LM"},
      {"base_model_name_or_path", fs::absolute(where).string()},
      {"r", lora.rank},
      {"lora_alpha", lora.alpha == std::floor(lora.alpha) ? json(static_cast<int64_t>(lora.alpha)) : json(lora.alpha)},
      {"use_rslora", lora.rslora},
      {"target_modules", target_modules(adapted)},
      {"modules_to_save", adapted.has_value_head() ? json::array({kValueHead}) : json()},
      {"lora_dropout", 0.0},
      {"bias", "none"},
      {"fan_in_fan_out", false},
      {"inference_mode", true},
      {"init_lora_weights", true}};
  write_file_atomically(directory / kConfig, config.dump(2) + "\n");
  write_file_atomically(directory / kBase,
                        json({{"path", base.path.string()}, {"checksum", base.checksum}}).dump(1) + "\n");
  save_description(directory, adapted.architecture(), tokenizer);
}

std::unique_ptr<Weights> load_adapter(const fs::path &directory, std::shared_ptr<const Weights> base,
                                      uint64_t base_checksum) {
  if (fs::exists(directory / kBase)) {
    const json recorded = read_json_object(directory / kBase).value("checksum", json());
    if (!recorded.is_number_unsigned())
      throw Failure((directory / kBase).string() + ": \"checksum\" is " + json_shown(recorded) +
                    ", not a number; is the file damaged?");
    if (recorded.get<uint64_t>() != base_checksum)
      throw Failure(directory.string() + ": its base model has changed since this adapter was trained (checksum " +
                    std::to_string(base_checksum) + ", was " + recorded.dump() + "); bring back the model that " +
                    kBase + " names");
  }
  OpenedAdapter opened(directory, base->architecture());
  std::set<std::string> words;
  for (const uint32_t i : opened.targets) words.insert(last_word(module_name(base->architecture().parameters()[i])));
  opened.settings.target_modules = {words.begin(), words.end()};
  auto adapted = Weights::adapted(std::move(base), opened.settings, opened.targets, 0, opened.value_head);
  read_pieces(*adapted, opened.file);
  adapted->changed();
  return adapted;
}

fs::path adapter_base_path(const fs::path &directory) {
  const bool own = fs::exists(directory / kBase);
  const fs::path file = directory / (own ? kBase : kConfig);
  const char *key = own ? "path" : "base_model_name_or_path";
  const json named = read_json_object(file).value(key, json());
  if (!named.is_string() || named.get_ref<const std::string &>().empty())
    throw Failure(file.string() + ": \"" + key + "\" is " + json_shown(named) + "; it must name the base model");
  fs::path path = named.get<std::string>();
  if (path.is_relative() && (own || fs::exists(directory / path)))
    path = (fs::absolute(directory) / path).lexically_normal();
  if (!fs::exists(path))
    throw Failure(file.string() + ": the base model of this adapter, " + path.string() +
                  ", is not there; put it there, or change \"" + key + "\"");
  if (is_adapter_directory(path))
    throw Failure(directory.string() + ": its base model, " + path.string() +
                  ", is an adapter itself; merge that one first");
  return path;
}

void refuse_another_base(const fs::path &directory, const Registry &registry, const Architecture &base) {
  const fs::path file = directory / "config.json";
  if (!fs::exists(file)) return;
  const ModelDescription own = describe_model(directory, registry, false);
  const auto refuse = [&](const std::string &key, const std::string &value, const std::string &of_base) {
    throw Failure(file.string() + ": " + key + " is " + value + ", but " + of_base + " in the adapter's base model, " +
                  adapter_base_path(directory).string() + "; an adapter is of its base's shape");
  };
  if (own.component->name != base.component()) refuse("the model plugin", own.component->name, base.component());
  const char *depths = base.methods().depths_setting;
  for (const auto &[key, value] : base.config().items()) {
    const json ours = own.settings.value(key, json());
    if (ours == value) continue;
    if (depths && key == depths && base.info().depths == 0 &&
        ours == describe_model(adapter_base_path(directory), registry, false).settings.value(key, json()))
      continue;
    refuse(key, json_shown(ours), json_shown(value));
  }
}

LoadedModel load_adapted_model(const fs::path &directory, const Registry &registry, const Host &host, uint32_t dtype,
                               const EachTensor &each) {
  const fs::path base = adapter_base_path(directory);
  LoadedModel model = load_model(base, registry, host, dtype, each);
  refuse_another_base(directory, registry, *model.architecture);
  const std::shared_ptr<const Weights> weights = std::move(model.weights);
  model.weights = load_adapter(directory, weights, weights->checksum());
  if (fs::exists(directory / "tokenizer.json")) model.tokenizer = Tokenizer::from_file(directory / "tokenizer.json");
  check_token_count(directory, *model.tokenizer, *model.architecture);
  return model;
}

}  // namespace hone
