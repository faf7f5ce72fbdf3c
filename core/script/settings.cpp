// settings.cpp -- from a table of settings in Lua to checked JSON: handles by the kinds that the component declares.
#include <algorithm>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/script/builder.h"
#include "core/script/lua_json.h"

namespace hone {
using nlohmann::json;
namespace {

// Calls visit(name) for each entry of the table at index, sorted by name, with the value on top of the stack. Names must be texts.
template <class Visit>
void each_named(lua_State *L, int index, const std::string &what, Visit visit) {
  index = lua_absindex(L, index);
  std::vector<std::string> names;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      throw UsageError(what + " has a value without a name, " + describe_value(L, -1) + "; write name = value");
    names.push_back(lua_tostring(L, -1));
  }
  std::sort(names.begin(), names.end());
  for (const std::string &name : names) {
    lua_pushlstring(L, name.data(), name.size());
    lua_rawget(L, index);
    visit(name);
    lua_pop(L, 1);
  }
}

bool is_list(lua_State *L, int index) {
  const bool list = lua_rawgeti(L, index, 1) != LUA_TNIL;
  lua_pop(L, 1);
  return list;
}

bool is_empty(lua_State *L, int index) {
  lua_pushnil(L);
  if (!lua_next(L, index)) return true;
  lua_pop(L, 2);
  return false;
}

}  // namespace

json Builder::model_value(lua_State *L, int index, const std::string &name) {
  const Handle *handle = handle_at(L, index);
  if (handle && handle->kind == Handle::model) return {{"$model", handle->index}};
  if (handle && handle->kind == Handle::maker && makers.at(handle->index).room == "model")
    return {{"$model", make_model(L, Maker(makers.at(handle->index)), 0)}};
  std::string hint;
  if (handle && handle->kind == Handle::stage) hint = "; write .model after it";
  if (lua_type(L, index) == LUA_TSTRING) hint = "; write hone.model " + describe_value(L, index).substr(9);
  throw UsageError(name + " must be a model, got " + describe(L, index) + hint);
}

json Builder::optimizer_value(lua_State *L, int index, const std::string &name) {
  const Handle *handle = handle_at(L, index);
  if (handle && handle->kind == Handle::optimizer) return {{"$optimizer", handle->index}};
  if (handle && handle->kind == Handle::maker && makers.at(handle->index).room == "optimizer")
    return {{"$optimizer", make_optimizer(L, Maker(makers.at(handle->index)), 0)}};
  const bool text = lua_type(L, index) == LUA_TSTRING;
  throw UsageError(name + " must be an optimizer, got " + describe(L, index) +
                   (text ? "; write hone.optimizer " + describe_value(L, index).substr(9) + " { ... }" : ""));
}

json Builder::function_value(lua_State *L, int index, const std::string &name) {
  if (!lua_isfunction(L, index)) throw UsageError(name + " must be a function, got " + describe(L, index));
  return {{"$function", add_function(L, index)}};
}

json Builder::one_reward(lua_State *L, int index, const std::string &name) {
  const Handle *handle = handle_at(L, index);
  if (handle && handle->kind == Handle::reward) return {{"$reward", handle->index}};
  if (handle && handle->kind == Handle::maker && makers.at(handle->index).room == "reward")
    return {{"$reward", make_reward(L, Maker(makers.at(handle->index)), 0)}};
  if (lua_isfunction(L, index)) return {{"$reward", make_lua_reward(L, index, std::nullopt, 1)}};
  const bool text = lua_type(L, index) == LUA_TSTRING;
  throw UsageError(name + " must be a reward or a function, got " + describe(L, index) +
                   (text ? "; write hone.reward " + describe_value(L, index).substr(9) + " {}" : ""));
}

json Builder::reward_list(lua_State *L, int index, const std::string &name) {
  json list = json::array();
  if (!lua_istable(L, index)) {
    list.push_back(one_reward(L, index, name));
    return list;
  }
  const lua_Integer n = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_Integer i = 1; i <= n; ++i) {
    const std::string here = name + "[" + std::to_string(i) + "]";
    lua_rawgeti(L, index, i);
    if (lua_isnil(L, -1)) throw UsageError(here + " is nil; is a name misspelt?");
    list.push_back(one_reward(L, lua_gettop(L), here));
    lua_pop(L, 1);
  }
  if (list.empty()) throw UsageError(name + " is an empty table; leave it out, or name at least one reward");
  for (size_t i = 0; i < list.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      const std::string &label = pipeline.rewards.at(list[i]["$reward"].get<int>()).label;
      if (label == pipeline.rewards.at(list[j]["$reward"].get<int>()).label)
        throw UsageError(name + " has two rewards called \"" + label + "\"; give one of them another label");
    }
  return list;
}

json Builder::reward_value(lua_State *L, int index, const std::string &name) {
  index = lua_absindex(L, index);
  if (!lua_istable(L, index)) return one_reward(L, index, name);
  if (is_empty(L, index) || is_list(L, index)) return reward_list(L, index, name);
  json domains = json::object();
  each_named(L, index, name, [&](const std::string &domain) {
    domains[domain] = reward_list(L, lua_gettop(L), name + "." + domain);
  });
  return domains;
}

// A list of lists of data is no mistake, but one that holds itself is.
constexpr int kMostLevels = 64;

int Builder::one_data(lua_State *L, int index, const std::string &name, int level) {
  if (level >= kMostLevels)
    throw UsageError(name.substr(0, name.find('[')) + " is nested more than " + std::to_string(kMostLevels) + " levels deep, or holds itself");
  luaL_checkstack(L, 8, "data that is nested deeply");
  const Handle *handle = handle_at(L, index);
  if (handle && handle->kind == Handle::data) return handle->index;
  if (lua_type(L, index) == LUA_TSTRING) {
    try {
      return add_file(L, plain_value(L, index, name).get<std::string>());
    } catch (const Failure &problem) {
      throw UsageError(name + ": " + problem.what());
    }
  }
  if (lua_istable(L, index) && !is_empty(L, index) && is_list(L, index)) {
    DataNode list;
    list.source = DataNode::list;
    list.place = LuaHost::of(L).place(L);
    const lua_Integer n = static_cast<lua_Integer>(lua_rawlen(L, index));
    for (lua_Integer i = 1; i <= n; ++i) {
      const std::string here = name + "[" + std::to_string(i) + "]";
      lua_rawgeti(L, index, i);
      if (lua_isnil(L, -1)) throw UsageError(here + " is nil; is a name misspelt?");
      list.parts.push_back(one_data(L, lua_gettop(L), here, level + 1));
      lua_pop(L, 1);
    }
    pipeline.data.push_back(std::move(list));
    return static_cast<int>(pipeline.data.size()) - 1;
  }
  const bool stage = handle && handle->kind == Handle::stage;
  throw UsageError(name + " must be data (a file's name, hone.data, hone.rows, or a stage's .data), got " + describe(L, index) +
                   (stage ? "; write .data after it" : ""));
}

json Builder::data_value(lua_State *L, int index, const std::string &name) {
  index = lua_absindex(L, index);
  if (!lua_istable(L, index) || is_empty(L, index) || is_list(L, index)) return {{"$data", one_data(L, index, name)}};
  json domains = json::object();
  each_named(L, index, name, [&](const std::string &domain) {
    domains[domain] = {{"$data", one_data(L, lua_gettop(L), name + "." + domain)}};
  });
  return domains;
}

json Builder::plain_value(lua_State *L, int index, const std::string &name, const json &empty) {
  const HandleToJson handle = [&](lua_State *, int at, json &out) {
    if (lua_isfunction(L, at)) {
      out = function_value(L, at, name);
      return true;
    }
    const Handle *found = handle_at(L, at);
    if (!found) return false;
    const std::string room = found->kind == Handle::maker ? makers.at(found->index).room : "";
    if (found->kind == Handle::model || room == "model") {
      out = model_value(L, at, name);
    } else if (found->kind == Handle::reward || room == "reward") {
      out = one_reward(L, at, name);
    } else if (found->kind == Handle::optimizer || room == "optimizer") {
      out = optimizer_value(L, at, name);
    } else if (found->kind == Handle::data) {
      out = {{"$data", found->index}};
    } else {
      throw UsageError(name + " cannot be " + kind_name(*found) + "; write .model or .data after it");
    }
    return true;
  };
  return to_json(L, index, name, handle, empty);
}

json Builder::checked(lua_State *L, int settings, const std::vector<Setting> &table, const std::string &what, const Place &place,
                      std::vector<std::string> *written) {
  const std::string where = place.text() + ": " + what;
  json given = json::object();
  const auto convert = [&](const std::string &name) {
    const Setting *setting = nullptr;
    for (const Setting &one : table)
      if (one.name == name) setting = &one;
    const int at = lua_gettop(L);
    json value;
    switch (setting ? setting->type : 0) {
      case HONE_MODEL_HANDLE: value = model_value(L, at, name); break;
      case HONE_REWARD_HANDLE: value = reward_value(L, at, name); break;
      case HONE_DATA_HANDLE: value = data_value(L, at, name); break;
      case HONE_FUNCTION_HANDLE: value = function_value(L, at, name); break;
      case HONE_OPTIMIZER_HANDLE: value = optimizer_value(L, at, name); break;
      case HONE_TABLE: value = plain_value(L, at, name, json::object()); break;
      case 0:
        value = true;  // unknown: only its name matters
        break;
      case HONE_LIST: value = plain_value(L, at, name); break;
      default:
        if (handle_at(L, at) || lua_isfunction(L, at))
          throw UsageError(name + " must be " + (setting->type == HONE_INT ? "an " : "a ") + type_name(setting->type) + ", got " + describe(L, at));
        value = plain_value(L, at, name);
    }
    given[name] = std::move(value);
    if (written) written->push_back(name);
  };
  if (settings) {
    try {
      each_named(L, settings, "its table", convert);
    } catch (const Failure &problem) {
      const std::string text = problem.what();
      throw UsageError(text.compare(0, place.file.size() + 1, place.file + ":") == 0 ? text : where + ": " + text);
    }
  }
  return check_settings(table, given, where);
}

}  // namespace hone
