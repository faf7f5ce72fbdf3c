// require.cpp -- `require`: the module hone, and Lua files beside the script, each read once; nothing outside of their folders.
#include <algorithm>

#include "core/base/failure.h"
#include "core/script/builder.h"
#include "core/script/lua_json.h"

namespace hone {
namespace fs = std::filesystem;
namespace {

constexpr char kLoaded[] = "hone modules";

// "tiny.corpus" -> "tiny/corpus.lua"; UsageError for names that could lead elsewhere.
std::string file_of(const std::string &module) {
  std::string file;
  bool empty = true;
  for (char c : module) {
    const bool word = std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
    if (!word && (c != '.' || empty))
      throw UsageError("require \"" + module + "\": a module is named by words and dots, as in \"tiny.corpus\" for tiny/corpus.lua beside the script");
    file += word ? c : '/';
    empty = !word;
  }
  if (empty) throw UsageError("require \"" + module + "\": the name must end with a word");
  return file + ".lua";
}

bool lies_within(const fs::path &file, const fs::path &folder) {
  const auto [stop, rest] = std::mismatch(folder.begin(), folder.end(), file.begin(), file.end());
  return stop == folder.end();
}

// The script's folder, then its parent when that is called scripts.
fs::path find_file(const Builder &builder, const std::string &module, const std::string &file) {
  const fs::path folder = fs::canonical(fs::absolute(builder.script).parent_path());
  std::vector<fs::path> folders = {folder};
  if (folder.parent_path().filename() == "scripts") folders.push_back(folder.parent_path());
  std::string searched;
  for (const fs::path &base : folders) {
    const fs::path candidate = base / file;
    searched += (searched.empty() ? "" : " or ") + candidate.string();
    std::error_code missing;
    const fs::path real = fs::canonical(candidate, missing);
    if (missing || !fs::is_regular_file(real, missing)) continue;
    if (!lies_within(real, base))
      throw UsageError("require \"" + module + "\": " + candidate.string() + " leads to " + real.string() + ", outside of the script's folder");
    return candidate;
  }
  throw UsageError("require \"" + module + "\": there is no " + searched);
}

int require(lua_State *L) {
  Builder &builder = Builder::of(L);
  if (lua_type(L, 1) != LUA_TSTRING) throw UsageError("require takes a module's name, got " + builder.describe(L, 1));
  const std::string module = lua_tostring(L, 1);
  lua_settop(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, kLoaded);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, 2) != LUA_TNIL) {
    if (lua_islightuserdata(L, -1)) throw UsageError("require \"" + module + "\": the module requires itself, directly or through others");
    return 1;
  }
  lua_settop(L, 2);
  builder.must_be_open("require of a new module");
  const std::string file = file_of(module);
  const fs::path path = find_file(builder, module, file);
  builder.pipeline.sources.push_back(path.string());
  builder.pipeline.source_names.push_back(file);
  const std::string &text = builder.text_of(path);
  lua_pushvalue(L, 1);
  lua_pushlightuserdata(L, nullptr);  // while it is being read
  lua_rawset(L, 2);
  LuaHost::of(L).load_text(L, text, file);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
  }
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -2);
  lua_rawset(L, 2);
  return 1;
}

}  // namespace

void install_require(lua_State *L) {
  lua_newtable(L);
  push_module(L);
  lua_setfield(L, -2, "hone");
  lua_setfield(L, LUA_REGISTRYINDEX, kLoaded);
  lua_pushcfunction(L, guarded<require>);
  lua_setglobal(L, "require");
}

}  // namespace hone
