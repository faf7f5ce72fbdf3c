// nodes.cpp -- makes the pipeline's models, optimizers, rewards, stages and data from what a script says of them.
#include <limits>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/plugin/settings.h"
#include "core/script/builder.h"
#include "hone/ext/objective.h"

namespace hone {
using nlohmann::json;
namespace fs = std::filesystem;
namespace {

Setting own(const char *name, int32_t type, const char *fallback, const char *help) {
  Setting setting;
  setting.name = name;
  setting.help = help;
  setting.type = type;
  setting.fallback = fallback;
  setting.min = type == HONE_INT ? 0 : std::numeric_limits<double>::lowest();
  setting.max = type == HONE_INT ? 0x1p53 : std::numeric_limits<double>::max();
  return setting;
}

std::string in_quotes(const std::string &text) { return "\"" + text + "\""; }

// Labels become names of folders and of metrics.
void check_label(const std::string &label, const std::string &where) {
  bool good = label.size() <= 64;
  for (char c : label) good = good && (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.');
  if (label == "." || label == "..") good = false;
  if (!good) throw UsageError(where + ": label " + in_quotes(label) + " must be at most 64 letters, digits, _, - or .");
}

bool names_field(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  const bool there = lua_rawget(L, table) != LUA_TNIL;
  lua_pop(L, 1);
  return there;
}

std::vector<std::string> words_of(const json &list, const std::string &where) {
  std::vector<std::string> words;
  std::set<std::string> seen;
  for (const json &word : list) {
    const std::string number = std::to_string(words.size() + 1);
    if (!word.is_string() || word.get_ref<const std::string &>().empty())
      throw UsageError(where + ": words[" + number + "] must be a text that is not empty, got " + word.dump());
    words.push_back(word.get<std::string>());
    if (!seen.insert(words.back()).second) throw UsageError(where + ": words[" + number + "] " + in_quotes(words.back()) + " is there twice");
  }
  return words;
}

// A loop trains when it was given an optimizer; what it trains is a copy of its setting `model`.
void check_trained_loop(const ComponentInfo &component, const StageNode &stage) {
  std::vector<std::string> optimizers;
  bool has_optimizer = false, has_model = false;
  for (const Setting &setting : component.settings) {
    const bool given = !stage.settings.at(setting.name).is_null();
    if (setting.type == HONE_OPTIMIZER_HANDLE) optimizers.push_back(in_quotes(setting.name)), has_optimizer = has_optimizer || given;
    if (setting.type == HONE_MODEL_HANDLE && setting.name == "model") has_model = given;
  }
  const std::string what = "stage " + in_quotes(component.name) + " trains no model: ";
  if (!has_optimizer) throw UsageError(what + "it was not given " + join(optimizers, " or "));
  if (!has_model) throw UsageError(what + "it was not given \"model\", a copy of which would be trained");
}

}  // namespace

Builder::Builder(const Registry &registry, const ScriptHost &host, const ScriptArguments &arguments, const fs::path &script,
                 std::map<std::string, std::string> &texts)
    : registry(registry), host(host), arguments(arguments), script(script), texts(texts) {
  pipeline.name = script.stem().string();
  pipeline.base_folder = arguments.base_folder.empty() ? fs::absolute(script).parent_path().string() : fs::absolute(arguments.base_folder).string();
}

const std::string &Builder::text_of(const fs::path &file) {
  const auto known = texts.find(file.string());
  return known != texts.end() ? known->second : texts.emplace(file.string(), read_file(file)).first->second;
}

void Builder::must_be_open(const std::string &what) const {
  if (finished) throw UsageError(what + " can only be used while the script is read, not in a function that is called later");
}

std::string Builder::find_path(const std::string &path) const {
  std::error_code ignored;
  if (path.empty() || path.find('\0') != std::string::npos) return "";
  const fs::path beside = fs::path(pipeline.base_folder) / path;
  if (fs::exists(beside, ignored)) return beside.lexically_normal().string();
  if (fs::exists(path, ignored)) return fs::absolute(path).lexically_normal().string();
  return "";
}

std::vector<Setting> Builder::merged(const ComponentInfo &component, std::vector<Setting> own_settings) const {
  std::vector<Setting> all = component.settings;
  std::set<std::string> names;
  for (const Setting &setting : all) names.insert(setting.name);
  const auto add = [&](const std::vector<Setting> &more) {
    for (const Setting &setting : more)
      if (names.insert(setting.name).second) all.push_back(setting);
  };
  add(common_settings(host.settings, component));
  add(own_settings);
  return all;
}

int Builder::make_model(lua_State *L, const Maker &maker, int settings) {
  ModelNode node;
  node.place = maker.place;
  const std::string what = "model " + in_quotes(maker.component), where = maker.place.text() + ": " + what;
  if (!maker.path.empty()) {
    const json given = checked(L, settings, {own("name", HONE_STRING, "\"\"", "what tables call the model")}, what, maker.place);
    node.source = ModelNode::directory;
    node.path = maker.path;
    node.name = given.at("name").get<std::string>();
    if (node.name.empty()) {
      const fs::path path = fs::path(maker.path).has_filename() ? fs::path(maker.path) : fs::path(maker.path).parent_path();
      node.name = path.filename().string();
    }
  } else {
    const ComponentInfo &component = registry.require("model", maker.component);
    std::vector<Setting> table = merged(component, {own("name", HONE_STRING, "\"\"", "what tables call the model"),
                                                    own("words", HONE_LIST, "[]", "the vocabulary, in id order: words that white space divides"),
                                                    own("tokenizer", HONE_STRING, "\"\"", "a tokenizer.json, instead of words"),
                                                    own("seed", HONE_INT, "0", "of the first weights, with the pipeline's")});
    // Words say how many there are.
    bool count_words = false;
    if (settings && names_field(L, settings, "words") && !names_field(L, settings, "vocab_size"))
      for (Setting &setting : table)
        if (setting.name == "vocab_size") {
          setting.required = false;
          count_words = true;
        }
    json given = checked(L, settings, table, what, maker.place);
    const auto take = [&](const char *name) {
      json value = std::move(given[name]);
      given.erase(name);
      return value;
    };
    node.component = component.name;
    node.name = take("name").get<std::string>();
    if (node.name.empty()) node.name = component.name;
    node.words = words_of(take("words"), where);
    const std::string tokenizer = take("tokenizer").get<std::string>();
    node.seed = take("seed").get<uint64_t>();
    if (node.words.empty() == tokenizer.empty())
      throw UsageError(where + (tokenizer.empty() ? " is new and needs a vocabulary: words = { ... } or tokenizer = \"tokenizer.json\""
                                                  : " has both words and a tokenizer; leave one out"));
    if (!tokenizer.empty()) {
      node.tokenizer = find_path(tokenizer);
      if (node.tokenizer.empty()) throw UsageError(where + ": tokenizer " + in_quotes(tokenizer) + ": no such file in " + pipeline.base_folder);
    }
    if (count_words) given["vocab_size"] = node.words.size();
    node.config = std::move(given);
  }
  pipeline.models.push_back(std::move(node));
  return static_cast<int>(pipeline.models.size()) - 1;
}

int Builder::make_optimizer(lua_State *L, const Maker &maker, int settings) {
  const ComponentInfo &component = registry.require("optimizer", maker.component);
  const json given = checked(L, settings, merged(component, {}), "optimizer " + in_quotes(maker.component), maker.place);
  OptimizerNode node;
  node.component = component.name;
  node.place = maker.place;
  node.settings = node.host_settings = json::object();
  for (const auto &[name, value] : given.items()) {
    bool of_component = false;
    for (const Setting &setting : component.settings) of_component = of_component || setting.name == name;
    (of_component ? node.settings : node.host_settings)[name] = value;
  }
  pipeline.optimizers.push_back(std::move(node));
  return static_cast<int>(pipeline.optimizers.size()) - 1;
}

int Builder::make_reward(lua_State *L, const Maker &maker, int settings) {
  const ComponentInfo &component = registry.require("reward", maker.component);
  const std::string what = "reward " + in_quotes(maker.component);
  json given = checked(L, settings,
                       merged(component, {own("label", HONE_STRING, "\"\"", "its name in metrics: rewards/<label>/mean"),
                                          own("weight", HONE_FLOAT, "1", "of its score in the sum")}),
                       what, maker.place);
  RewardNode node;
  node.component = component.name;
  node.place = maker.place;
  node.label = given["label"].get<std::string>();
  if (node.label.empty()) node.label = component.name;
  check_label(node.label, maker.place.text() + ": " + what);
  node.weight = given["weight"].get<double>();
  given.erase("label");
  given.erase("weight");
  node.settings = std::move(given);
  pipeline.rewards.push_back(std::move(node));
  return static_cast<int>(pipeline.rewards.size()) - 1;
}

int Builder::make_lua_reward(lua_State *L, int function, std::optional<std::string> label, double weight) {
  RewardNode node;
  node.component = "lua";
  node.place = LuaHost::of(L).function_place(L, function);
  node.settings = json::object();
  node.function = add_function(L, function);
  node.label = label ? *label : "function_" + node.function.substr(node.function.find('#') + 1);
  check_label(node.label, "hone.reward");
  node.weight = weight;
  pipeline.rewards.push_back(std::move(node));
  return static_cast<int>(pipeline.rewards.size()) - 1;
}

int Builder::make_stage(lua_State *L, const Maker &maker, int settings) {
  const ComponentInfo &component = registry.require("stage", maker.component);
  const std::string what = "stage " + in_quotes(maker.component);
  StageNode node;
  node.component = component.name;
  node.place = maker.place;
  node.settings = checked(L, settings,
                          merged(component, {own("label", HONE_STRING, "\"\"", "what the run directory and tables call the stage")}), what,
                          maker.place, &node.written);
  if (const auto label = node.settings.find("label"); label != node.settings.end() && label->is_string()) node.label = label->get<std::string>();
  check_label(node.label, maker.place.text() + ": " + what);
  pipeline.stages.push_back(std::move(node));
  return static_cast<int>(pipeline.stages.size()) - 1;
}

Handle Builder::make(lua_State *L, const Maker &maker, int settings) {
  must_be_open("hone." + maker.room);
  if (maker.room == "model") return {Handle::model, make_model(L, maker, settings)};
  if (maker.room == "optimizer") return {Handle::optimizer, make_optimizer(L, maker, settings)};
  if (maker.room == "reward") return {Handle::reward, make_reward(L, maker, settings)};
  return {Handle::stage, make_stage(L, maker, settings)};
}

int Builder::add_file(lua_State *L, const std::string &path) {
  must_be_open("hone.data");
  DataNode node;
  node.place = LuaHost::of(L).place(L);
  node.path = find_path(path);
  if (node.path.empty()) throw UsageError("data file " + in_quotes(path) + ": no such file in " + pipeline.base_folder);
  if (!fs::is_regular_file(node.path)) throw UsageError("data " + in_quotes(path) + " is not a file of JSON lines");
  node.label = fs::path(path).stem().string();
  pipeline.data.push_back(std::move(node));
  return static_cast<int>(pipeline.data.size()) - 1;
}

int Builder::stage_model(lua_State *L, int stage) {
  must_be_open("stage.model");
  for (size_t i = 0; i < pipeline.models.size(); ++i)
    if (pipeline.models[i].source == ModelNode::stage_output && pipeline.models[i].stage == stage) return static_cast<int>(i);
  const StageNode &from = pipeline.stages.at(stage);
  const ComponentInfo &component = registry.require("stage", from.component);
  if (!trains(component)) throw UsageError("stage " + in_quotes(from.component) + " trains no model; what it makes is its .data");
  if (component.kind != HONE_OBJECTIVE) check_trained_loop(component, from);
  ModelNode node;
  node.source = ModelNode::stage_output;
  node.stage = stage;
  node.name = from.label.empty() ? from.component : from.label;
  node.place = LuaHost::of(L).place(L);
  pipeline.models.push_back(std::move(node));
  return static_cast<int>(pipeline.models.size()) - 1;
}

int Builder::stage_data(lua_State *L, int stage) {
  must_be_open("stage.data");
  for (size_t i = 0; i < pipeline.data.size(); ++i)
    if (pipeline.data[i].source == DataNode::stage_output && pipeline.data[i].stage == stage) return static_cast<int>(i);
  const StageNode &from = pipeline.stages.at(stage);
  const ComponentInfo &component = registry.require("stage", from.component);
  if (component.kind == HONE_OBJECTIVE)
    throw UsageError("stage " + in_quotes(from.component) + " makes no data; what it makes is its .model");
  DataNode node;
  node.source = DataNode::stage_output;
  node.stage = stage;
  node.label = from.label.empty() ? from.component : from.label;
  node.place = LuaHost::of(L).place(L);
  pipeline.data.push_back(std::move(node));
  return static_cast<int>(pipeline.data.size()) - 1;
}

std::string Builder::add_function(lua_State *L, int index) {
  lua_pushvalue(L, index);
  functions.push_back(luaL_ref(L, LUA_REGISTRYINDEX));
  return "function#" + std::to_string(functions.size());
}

}  // namespace hone
