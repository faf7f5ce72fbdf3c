// handles.cpp -- the values that hone.model, hone.stage and their like return: what scripts can read of them and call.
#include <algorithm>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/script/builder.h"
#include "core/script/lua_json.h"

namespace hone {
namespace {

constexpr char kHandle[] = "hone handle";

// Of a model on disk.
int model_fact(lua_State *L, const Builder &builder, const std::string &path, const std::string &field) {
  const std::vector<std::string> names = {"tokenizer", "chat_template"};
  if (std::find(names.begin(), names.end(), field) == names.end()) {
    const std::string near = nearest_name(field, names);
    throw UsageError("the model " + path + " has no \"" + field + "\"" +
                     (near.empty() ? "; it has " + join(names, " and ") : "; did you mean \"" + near + "\"?"));
  }
  const ModelFacts facts = builder.host.model_facts(path);
  if (field == "tokenizer") lua_pushstring(L, facts.tokenizer.c_str());
  else lua_pushboolean(L, facts.chat_template);
  return 1;
}

int handle_index(lua_State *L) {
  Builder &builder = Builder::of(L);
  const Handle handle = *Builder::handle_at(L, 1);
  const std::string field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
  if (handle.kind == Handle::stage) {
    if (field == "model") {
      Builder::push(L, {Handle::model, builder.stage_model(L, handle.index)});
      return 1;
    }
    if (field == "data") {
      Builder::push(L, {Handle::data, builder.stage_data(L, handle.index)});
      return 1;
    }
    if (field == "label") {
      const StageNode &stage = builder.pipeline.stages.at(handle.index);
      lua_pushstring(L, (stage.label.empty() ? stage.component : stage.label).c_str());
      return 1;
    }
    const std::string near = nearest_name(field, {"model", "data", "label"});
    throw UsageError("a stage has no \"" + field + "\"" + (near.empty() ? "; it has model, data and label" : "; did you mean \"" + near + "\"?"));
  }
  if (handle.kind == Handle::maker) {
    const Maker &maker = builder.makers.at(handle.index);
    if (!maker.path.empty()) return model_fact(L, builder, maker.path, field);
    throw UsageError(maker.room + " \"" + maker.component + "\" was not given its settings before ." + field + "; write hone." +
                     maker.room + " \"" + maker.component + "\" { ... }");
  }
  if (handle.kind == Handle::model)
    if (const ModelNode &node = builder.pipeline.models.at(handle.index); node.source == ModelNode::directory)
      return model_fact(L, builder, node.path, field);
  throw UsageError(std::string(builder.kind_name(handle)) + " has no \"" + field + "\"");
}

int handle_new_index(lua_State *L) {
  throw UsageError(std::string(Builder::of(L).kind_name(*Builder::handle_at(L, 1))) + " cannot be changed after it was made");
}

int handle_call(lua_State *L) {
  Builder &builder = Builder::of(L);
  const Handle handle = *Builder::handle_at(L, 1);
  if (handle.kind != Handle::maker) throw UsageError(std::string(builder.kind_name(handle)) + " has its settings already and cannot be called");
  const Maker maker = builder.makers.at(handle.index);
  if (!lua_istable(L, 2))
    throw UsageError(maker.room + " \"" + maker.component + "\" takes a table of settings, got " + builder.describe(L, 2));
  Builder::push(L, builder.make(L, maker, 2));
  return 1;
}

int handle_text(lua_State *L) {
  lua_pushstring(L, Builder::of(L).kind_name(*Builder::handle_at(L, 1)));
  return 1;
}

}  // namespace

void Builder::install_handles(lua_State *L) {
  luaL_newmetatable(L, kHandle);
  static const luaL_Reg methods[] = {{"__index", guarded<handle_index>},
                                     {"__newindex", guarded<handle_new_index>},
                                     {"__call", guarded<handle_call>},
                                     {"__tostring", guarded<handle_text>},
                                     {nullptr, nullptr}};
  luaL_setfuncs(L, methods, 0);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void Builder::push(lua_State *L, Handle handle) {
  *static_cast<Handle *>(lua_newuserdatauv(L, sizeof(Handle), 0)) = handle;
  luaL_setmetatable(L, kHandle);
}

const Handle *Builder::handle_at(lua_State *L, int index) { return static_cast<const Handle *>(luaL_testudata(L, index, kHandle)); }

const char *Builder::kind_name(const Handle &handle) const {
  if (handle.kind == Handle::maker) {
    const std::string &room = makers.at(handle.index).room;
    return room == "model" ? "a model" : room == "optimizer" ? "an optimizer" : room == "reward" ? "a reward" : "a stage";
  }
  static const char *const names[] = {"a model", "an optimizer", "a reward", "data", "a stage", "a pipeline"};
  return names[handle.kind];
}

std::string Builder::describe(lua_State *L, int index) const {
  const Handle *handle = handle_at(L, index);
  return handle ? kind_name(*handle) : describe_value(L, index);
}

}  // namespace hone
