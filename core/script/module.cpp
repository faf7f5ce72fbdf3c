// module.cpp -- the functions of the module `hone` as scripts call them.
#include <algorithm>
#include <map>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/script/builder.h"
#include "core/script/lua_json.h"
#include "core/script/sandbox.h"

namespace hone {
using nlohmann::json;
namespace fs = std::filesystem;
namespace {

std::string text_at(lua_State *L, int index) {
  size_t size;
  const char *data = lua_tolstring(L, index, &size);
  return std::string(data, size);
}

// Takes `name` out of a copy of the table at index, which then lies on top; false when it was not given. The value is left below.
bool take_text(lua_State *L, int index, const char *name, const std::string &what, std::string &out) {
  lua_newtable(L);
  bool found = false;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) == LUA_TSTRING && text_at(L, -2) == name) {
      if (lua_type(L, -1) != LUA_TSTRING)
        throw UsageError(what + ": " + name + " must be a text, got " + Builder::of(L).describe(L, -1));
      out = text_at(L, -1);
      found = true;
      lua_pop(L, 1);
      continue;
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  return found;
}

int push_maker(lua_State *L, Maker maker) {
  Builder &builder = Builder::of(L);
  builder.makers.push_back(std::move(maker));
  Builder::push(L, {Handle::maker, static_cast<int>(builder.makers.size()) - 1});
  return 1;
}

// The model that a text names: a component, else a directory or GGUF file.
Maker model_maker(lua_State *L, const std::string &name) {
  Builder &builder = Builder::of(L);
  Maker maker{"model", name, "", LuaHost::of(L).place(L)};
  if (builder.registry.find("model", name)) return maker;
  maker.path = builder.find_path(name);
  if (!maker.path.empty()) {
    std::error_code ignored;
    const bool folder = fs::is_directory(maker.path, ignored);
    const auto holds = [&](const char *file) { return fs::exists(fs::path(maker.path) / file, ignored); };
    if (folder && !holds("config.json") && !holds("adapter_config.json"))
      throw UsageError("hone.model \"" + name + "\": the directory " + maker.path +
                       " has no config.json, so it is no model, and no adapter_config.json, so it is no adapter");
    if (!folder && fs::path(maker.path).extension() != ".gguf")
      throw UsageError("hone.model \"" + name + "\": " + maker.path + " is neither a model directory nor a .gguf file");
    return maker;
  }
  if (name.empty() || name.find('/') != std::string::npos || fs::path(name).extension() == ".gguf")
    throw UsageError("hone.model \"" + name + "\": no such directory or GGUF file");
  try {
    builder.registry.require("model", name);
  } catch (const Failure &problem) {
    throw UsageError("hone.model \"" + name + "\": there is no such directory, and " + problem.what());
  }
  return maker;
}

int model(lua_State *L) {
  Builder &builder = Builder::of(L);
  builder.must_be_open("hone.model");
  if (lua_type(L, 1) == LUA_TSTRING) return push_maker(L, model_maker(L, text_at(L, 1)));
  if (!lua_istable(L, 1)) throw UsageError("hone.model takes a component's name or a model directory, got " + builder.describe(L, 1));
  std::string name;
  if (!take_text(L, 1, "component", "hone.model", name))
    throw UsageError("hone.model { ... } needs component = \"name\"; or write hone.model \"name\" { ... }");
  builder.registry.require("model", name);
  Builder::push(L, builder.make(L, {"model", name, "", LuaHost::of(L).place(L)}, lua_gettop(L)));
  return 1;
}

int by_name(lua_State *L, const char *room) {
  Builder &builder = Builder::of(L);
  builder.must_be_open(std::string("hone.") + room);
  if (lua_type(L, 1) != LUA_TSTRING)
    throw UsageError(std::string("hone.") + room + " takes a name, as in hone." + room + " \"name\" { ... }, got " + builder.describe(L, 1));
  const std::string name = text_at(L, 1);
  builder.registry.require(room, name);
  return push_maker(L, {room, name, "", LuaHost::of(L).place(L)});
}

int optimizer(lua_State *L) { return by_name(L, "optimizer"); }
int stage(lua_State *L) { return by_name(L, "stage"); }

// { label = ..., score = function, weight = ... }
int lua_reward(lua_State *L) {
  Builder &builder = Builder::of(L);
  std::optional<std::string> label;
  double weight = 1;
  int function = 0;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    const std::string name = lua_type(L, -2) == LUA_TSTRING ? text_at(L, -2) : "";
    if (name == "label" && lua_type(L, -1) == LUA_TSTRING) {
      label = text_at(L, -1);
    } else if (name == "weight" && lua_type(L, -1) == LUA_TNUMBER) {
      weight = to_json(L, -1, "weight").get<double>();
    } else if (name == "score" && lua_isfunction(L, -1)) {
      lua_pushvalue(L, -1);
      lua_insert(L, 2);  // keeps the key on top for lua_next
      function = 2;
    } else if (name == "label" || name == "weight" || name == "score") {
      throw UsageError("hone.reward: " + name + " must be a " + (name == "score" ? "function" : name == "weight" ? "number" : "text") +
                       ", got " + builder.describe(L, -1));
    } else {
      const std::string near = nearest_name(name, {"label", "weight", "score", "component"});
      throw UsageError("hone.reward has no setting \"" + (name.empty() ? describe_value(L, -2) : name) + "\"" +
                       (near.empty() ? "; a Lua function's are label, weight and score" : "; did you mean \"" + near + "\"?"));
    }
    lua_pop(L, 1);
  }
  if (!function) throw UsageError("hone.reward { ... } needs score = function(row) ... end; or write hone.reward \"name\" { ... }");
  Builder::push(L, {Handle::reward, builder.make_lua_reward(L, function, label, weight)});
  return 1;
}

int reward(lua_State *L) {
  Builder &builder = Builder::of(L);
  builder.must_be_open("hone.reward");
  lua_settop(L, 1);
  if (lua_isfunction(L, 1)) {
    Builder::push(L, {Handle::reward, builder.make_lua_reward(L, 1, std::nullopt, 1)});
    return 1;
  }
  if (!lua_istable(L, 1)) return by_name(L, "reward");
  std::string name;
  if (take_text(L, 1, "component", "hone.reward", name)) {
    Builder::push(L, builder.make(L, {"reward", name, "", LuaHost::of(L).place(L)}, lua_gettop(L)));
    return 1;
  }
  lua_settop(L, 1);
  return lua_reward(L);
}

int data(lua_State *L) {
  Builder &builder = Builder::of(L);
  builder.must_be_open("hone.data");
  if (lua_type(L, 1) != LUA_TSTRING) throw UsageError("hone.data takes a file's name, got " + builder.describe(L, 1));
  Builder::push(L, {Handle::data, builder.add_file(L, text_at(L, 1))});
  return 1;
}

Setting setting(const char *name, int32_t type, const char *fallback, double min = 0, double max = 0) {
  Setting out;
  out.name = name;
  out.type = type;
  out.fallback = fallback;
  out.min = min;
  out.max = max;
  return out;
}

// Without a seed of their own, two sets of rows must not draw the same numbers: test rows would be training rows.
uint64_t rows_seed(const Builder &builder, const json &given) {
  const auto seed = given.at("seed").get<int64_t>();
  return seed < 0 ? 1000 + builder.pipeline.data.size() : static_cast<uint64_t>(seed);
}

int push_rows(lua_State *L, DataNode node, const json &given) {
  Builder &builder = Builder::of(L);
  node.seed = rows_seed(builder, given);
  node.label = given.at("label").get<std::string>();
  if (node.label.empty()) node.label = "rows";
  builder.pipeline.data.push_back(std::move(node));
  Builder::push(L, {Handle::data, static_cast<int>(builder.pipeline.data.size()) - 1});
  return 1;
}

// { from = data, map = function(row) ... end }: other rows, changed or left out.
int mapped_rows(lua_State *L) {
  Builder &builder = Builder::of(L);
  std::vector<Setting> table = {setting("from", HONE_DATA_HANDLE, "null"), setting("map", HONE_FUNCTION_HANDLE, "null"),
                                setting("skip", HONE_INT, "0", 0, 0x1p53), setting("take", HONE_INT, "0", 0, 0x1p53),
                                setting("seed", HONE_INT, "-1", -1, 0x1p53), setting("label", HONE_STRING, "\"\"")};
  table[0].required = table[1].required = true;
  DataNode node;
  node.source = DataNode::mapped;
  node.place = LuaHost::of(L).place(L);
  const json given = builder.checked(L, 1, table, "hone.rows", node.place);
  const auto from = given.at("from").find("$data");
  if (from == given.at("from").end()) throw UsageError("hone.rows: from must be one file or one list of rows, not one for each domain");
  node.parts = {from->get<int>()};
  node.function = given.at("map").at("$function").get<std::string>();
  node.skip = given.at("skip").get<uint64_t>();
  node.take = given.at("take").get<uint64_t>();
  return push_rows(L, std::move(node), given);
}

int rows(lua_State *L) {
  Builder &builder = Builder::of(L);
  builder.must_be_open("hone.rows");
  if (!lua_istable(L, 1))
    throw UsageError("hone.rows takes { count = N, make = function(i) ... end } or { from = data, map = function(row) ... end }, got " +
                     builder.describe(L, 1));
  for (const char *name : {"from", "map"}) {
    lua_pushstring(L, name);
    const bool given = lua_rawget(L, 1) != LUA_TNIL;
    lua_pop(L, 1);
    if (given) return mapped_rows(L);
  }
  std::vector<Setting> table = {setting("count", HONE_INT, "1", 1, 1e9), setting("seed", HONE_INT, "-1", -1, 0x1p53),
                                setting("make", HONE_FUNCTION_HANDLE, "null"), setting("label", HONE_STRING, "\"\"")};
  table[0].required = table[2].required = true;
  DataNode node;
  node.source = DataNode::generated;
  node.place = LuaHost::of(L).place(L);
  const json given = builder.checked(L, 1, table, "hone.rows", node.place);
  node.count = given.at("count").get<uint64_t>();
  node.function = given.at("make").at("$function").get<std::string>();
  return push_rows(L, std::move(node), given);
}

// One entry of hone.options, on top of the stack: { default, "help", min =, max =, choices = }.
OptionRule read_rule(lua_State *L, const std::string &name) {
  const std::string what = "option \"" + name + "\"";
  const int entry = lua_gettop(L);
  if (!lua_istable(L, entry)) throw UsageError(what + " must be { default, \"help\" }, got " + Builder::of(L).describe(L, entry));
  OptionRule rule;
  rule.option.name = name;
  rule.option.from = "script";
  lua_rawgeti(L, entry, 1);
  rule.option.fallback = to_json(L, -1, what);
  if (rule.option.fallback.is_null()) throw UsageError(what + " has no default; write { default, \"help\" }");
  rule.option.value = rule.option.fallback;
  lua_rawgeti(L, entry, 2);
  if (lua_type(L, -1) != LUA_TSTRING) throw UsageError(what + " has no help; write { default, \"what it is for\" }");
  rule.option.help = to_json(L, -1, what + "'s help").get<std::string>();
  lua_pop(L, 2);
  rule.min = -1e308, rule.max = 1e308;
  lua_pushnil(L);
  while (lua_next(L, entry)) {
    if (lua_type(L, -2) == LUA_TSTRING) {
      const std::string field = text_at(L, -2);
      if ((field == "min" || field == "max") && lua_type(L, -1) == LUA_TNUMBER && rule.option.fallback.is_number()) {
        (field == "min" ? rule.min : rule.max) = lua_tonumber(L, -1);
        rule.has_range = true;
      } else if (field == "choices" && lua_istable(L, -1) && rule.option.fallback.is_string()) {
        for (const json &choice : to_json(L, -1, what + "'s choices")) {
          if (!choice.is_string()) throw UsageError(what + ": choices must be texts");
          rule.choices.push_back(choice.get<std::string>());
        }
      } else {
        throw UsageError(what + " has \"" + field + "\"; beside default and help there are min and max of a number, and choices of a text");
      }
    } else if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) > 2) {
      throw UsageError(what + " has more than a default and a help; write { default, \"help\" }");
    }
    lua_pop(L, 1);
  }
  return rule;
}

int unknown_option(lua_State *L) {
  std::vector<std::string> names;
  for (const Option &option : Builder::of(L).pipeline.options) names.push_back(option.name);
  const std::string name = lua_type(L, 2) == LUA_TSTRING ? text_at(L, 2) : describe_value(L, 2), near = nearest_name(name, names);
  throw UsageError("there is no option \"" + name + "\"" + (near.empty() ? "; declare it in hone.options" : "; did you mean \"" + near + "\"?"));
}

int options(lua_State *L) {
  Builder &builder = Builder::of(L);
  builder.must_be_open("hone.options");
  if (!lua_istable(L, 1)) throw UsageError("hone.options takes a table { name = { default, \"help\" } }, got " + builder.describe(L, 1));
  if (builder.has_options) throw UsageError("hone.options may be called once; put all options into one table");
  std::map<std::string, OptionRule> rules;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) throw UsageError("hone.options has a value without a name; write name = { default, \"help\" }");
    const std::string name = text_at(L, -2);
    if (name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != std::string::npos)
      throw UsageError("option \"" + name + "\" must be named with letters, digits and _");
    rules[name] = read_rule(L, name);
    lua_pop(L, 1);
  }
  std::vector<OptionRule> list;
  for (auto &[name, rule] : rules) {
    list.push_back(std::move(rule));
  }
  builder.has_options = true;
  builder.pipeline.options = resolve_options(std::move(list), builder.option_values);
  lua_newtable(L);
  for (const Option &option : builder.pipeline.options) {
    push_json(L, option.value);
    lua_setfield(L, -2, option.name.c_str());
  }
  protect_table(L, guarded<unknown_option>, guarded<unknown_option>);
  return 1;
}

int stage_in_pipeline(lua_State *L, const std::string &what) {
  Builder &builder = Builder::of(L);
  const int at = lua_gettop(L);
  const Handle *handle = Builder::handle_at(L, at);
  if (handle && handle->kind == Handle::stage) return handle->index;
  if (handle && handle->kind == Handle::maker && builder.makers.at(handle->index).room == "stage")
    return builder.make_stage(L, Maker(builder.makers.at(handle->index)), 0);
  throw UsageError(what + " must be a stage, got " + builder.describe(L, at));
}

int pipeline(lua_State *L) {
  Builder &builder = Builder::of(L);
  builder.must_be_open("hone.pipeline");
  if (!lua_istable(L, 1)) throw UsageError("hone.pipeline takes { stages..., report = stage, seed = n }, got " + builder.describe(L, 1));
  if (builder.has_pipeline) throw UsageError("hone.pipeline may be called once; a script is one pipeline");
  Pipeline &made = builder.pipeline;
  lua_Integer last = 0;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    if (lua_isinteger(L, -2)) {
      last = std::max(last, lua_tointeger(L, -2));
    } else {
      const std::string name = lua_type(L, -2) == LUA_TSTRING ? text_at(L, -2) : describe_value(L, -2);
      if (name == "report") {
        made.report = stage_in_pipeline(L, "hone.pipeline: report");
      } else if (name == "seed") {
        const json seed = to_json(L, -1, "hone.pipeline: seed", [](lua_State *, int, json &) { return false; });
        if (!seed.is_number_integer() || seed.get<int64_t>() < 0)
          throw UsageError("hone.pipeline: seed must be an int that is not negative, got " + builder.describe(L, -1));
        made.seed = seed.get<uint64_t>();
      } else {
        const std::string near = nearest_name(name, {"report", "seed"});
        throw UsageError("hone.pipeline has no \"" + name + "\"" + (near.empty() ? "; beside stages it takes report and seed" : "; did you mean \"" + near + "\"?"));
      }
    }
    lua_pop(L, 1);
  }
  if (last > 10000) throw UsageError("hone.pipeline has more than 10,000 stages");
  for (lua_Integer i = 1; i <= last; ++i) {
    const std::string what = "hone.pipeline: value " + std::to_string(i);
    if (lua_rawgeti(L, 1, i) == LUA_TNIL) throw UsageError(what + " is nil; is a name misspelt, or a stage left out?");
    made.order.push_back(stage_in_pipeline(L, what));
    lua_pop(L, 1);
  }
  if (made.report >= 0) made.order.push_back(made.report);
  if (made.order.empty()) throw UsageError("hone.pipeline has no stages");
  check_order(made);
  builder.has_pipeline = true;
  Builder::push(L, {Handle::pipeline, 0});
  return 1;
}

// "0.1" -> {0, 1}; false when it is not a version.
bool read_version(const std::string &text, int (&parts)[3]) {
  parts[0] = parts[1] = parts[2] = 0;
  int part = 0, digits = 0;
  for (char c : text) {
    if (c == '.') {
      if (digits == 0 || ++part > 2) return false;
      digits = 0;
    } else if (c >= '0' && c <= '9' && ++digits <= 6) {
      parts[part] = parts[part] * 10 + (c - '0');
    } else {
      return false;
    }
  }
  return digits > 0;
}

int requires_version(lua_State *L) {
  int wanted[3], have[3];
  if (lua_type(L, 1) != LUA_TSTRING || !read_version(text_at(L, 1), wanted))
    throw UsageError("hone.requires takes a version such as \"0.1\", got " + Builder::of(L).describe(L, 1));
  read_version(HONE_VERSION, have);
  const bool newer = std::lexicographical_compare(have, have + 3, wanted, wanted + 3);
  if (newer || have[0] != wanted[0])
    throw UsageError("this script needs hone " + text_at(L, 1) + ", but this is hone " HONE_VERSION "; " +
                     (newer ? "install a newer one" : "change the script for this version"));
  return 0;
}

// JSON text as the value that a row of a file would be.
int json_value(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) throw UsageError("hone.json takes a text, got " + Builder::of(L).describe(L, 1));
  const std::string text = text_at(L, 1);
  refuse_deep_json(text, "hone.json");
  json value;
  try {
    value = json::parse(text);
  } catch (const json::exception &error) {
    throw UsageError("hone.json: not JSON: " + json_reason(error.what()));
  }
  push_json(L, value);
  return 1;
}

int unknown_function(lua_State *L) {
  const std::string name = lua_type(L, 2) == LUA_TSTRING ? text_at(L, 2) : describe_value(L, 2);
  const std::string near = nearest_name(name, {"data", "json", "model", "optimizer", "options", "pipeline", "requires", "reward", "rows", "stage", "version"});
  throw UsageError("hone has no \"" + name + "\"" + (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
}

int no_writing(lua_State *) { throw UsageError("the module hone cannot be changed"); }

}  // namespace

void push_module(lua_State *L) {
  static const luaL_Reg functions[] = {{"model", guarded<model>},         {"optimizer", guarded<optimizer>},
                                       {"reward", guarded<reward>},       {"stage", guarded<stage>},
                                       {"data", guarded<data>},           {"rows", guarded<rows>},
                                       {"options", guarded<options>},     {"pipeline", guarded<pipeline>},
                                       {"requires", guarded<requires_version>}, {"json", guarded<json_value>},
                                       {nullptr, nullptr}};
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pushliteral(L, HONE_VERSION);
  lua_setfield(L, -2, "version");
  protect_table(L, guarded<unknown_function>, guarded<no_writing>);
}

}  // namespace hone
