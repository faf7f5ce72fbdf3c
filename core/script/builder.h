// builder.h -- what one script has made so far: the pipeline under construction, and the handles through which Lua names it.
#pragma once

#include <lua.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/script/lua_host.h"
#include "core/script/options.h"
#include "core/script/script.h"

namespace hone {

// A handle in Lua is a userdata with this content.
struct Handle {
  enum Kind { model, optimizer, reward, data, stage, pipeline, maker } kind;
  int index;  // into the pipeline's list, or the builder's makers
};

// hone.model "name", hone.stage "name" ...: waits for its table of settings. Used as it is, it stands for one without any.
struct Maker {
  std::string room, component;
  std::string path;  // of a model that lies in a directory: its table may only name it
  Place place;
};

class Builder {
 public:
  // texts: of the Lua files read so far, by path; a file in it is not read again.
  Builder(const Registry &, const ScriptHost &, const ScriptArguments &, const std::filesystem::path &script,
          std::map<std::string, std::string> &texts);
  static Builder &of(lua_State *L) { return *static_cast<Builder *>(LuaHost::of(L).owner); }

  const std::string &text_of(const std::filesystem::path &);  // of a Lua file

  // Failure when the script has returned already. what: "hone.stage".
  void must_be_open(const std::string &what) const;

  // Handles.
  static void install_handles(lua_State *);
  static void push(lua_State *, Handle);
  static const Handle *handle_at(lua_State *, int index);  // null: another value
  std::string describe(lua_State *, int index) const;       // "a model", 'the text "x"'
  const char *kind_name(const Handle &) const;              // "a model"

  // What the functions of the module make; the table of settings is at `settings` (0: none given). Failure when it is wrong.
  int make_model(lua_State *, const Maker &, int settings);
  int make_optimizer(lua_State *, const Maker &, int settings);
  int make_reward(lua_State *, const Maker &, int settings);
  int make_stage(lua_State *, const Maker &, int settings);
  Handle make(lua_State *, const Maker &, int settings);
  int make_lua_reward(lua_State *, int function, std::optional<std::string> label, double weight);
  int add_file(lua_State *, const std::string &path);
  int stage_model(lua_State *, int stage);
  int stage_data(lua_State *, int stage);
  std::string add_function(lua_State *, int index);  // -> "function#N"

  // A setting's value in the form of pipeline.h.
  nlohmann::json model_value(lua_State *, int index, const std::string &name);
  nlohmann::json optimizer_value(lua_State *, int index, const std::string &name);
  nlohmann::json reward_value(lua_State *, int index, const std::string &name);
  nlohmann::json data_value(lua_State *, int index, const std::string &name);
  nlohmann::json function_value(lua_State *, int index, const std::string &name);
  nlohmann::json plain_value(lua_State *, int index, const std::string &name, const nlohmann::json &empty = nlohmann::json::array());

  // The table at `settings`, checked against `table`, with defaults. `what`: 'stage "grpo"'. written: gets the names that the script gave.
  nlohmann::json checked(lua_State *, int settings, const std::vector<Setting> &table, const std::string &what, const Place &,
                         std::vector<std::string> *written = nullptr);

  // A path as a script writes it: from the script's folder, else from the current one. "" when it is in neither.
  std::string find_path(const std::string &path) const;

  const Registry &registry;
  const ScriptHost &host;
  const ScriptArguments &arguments;
  std::filesystem::path script;
  std::map<std::string, std::string> &texts;
  Pipeline pipeline;
  std::vector<Maker> makers;
  std::vector<int> functions;  // references in Lua's registry; function#1 first
  OptionValues option_values;
  bool has_options = false, has_pipeline = false;
  bool finished = false;  // the script has returned: its functions may be called, but nothing more is made

 private:
  nlohmann::json one_reward(lua_State *, int index, const std::string &name);
  nlohmann::json reward_list(lua_State *, int index, const std::string &name);
  int one_data(lua_State *, int index, const std::string &name, int level = 0);
  std::vector<Setting> merged(const ComponentInfo &, std::vector<Setting> own) const;
};

// Pushes the module table that `require "hone"` gives.
void push_module(lua_State *);
// `require` for "hone" and for files beside the script; puts it into the globals.
void install_require(lua_State *);

}  // namespace hone
