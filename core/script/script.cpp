// script.cpp -- see script.h.
#include "core/script/script.h"

#include <charconv>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/script/builder.h"
#include "core/script/lua_host.h"
#include "core/script/lua_json.h"
#include "core/script/sandbox.h"

namespace hone {
namespace fs = std::filesystem;
namespace {

class LuaScript final : public Script {
 public:
  LuaScript(const fs::path &path, const Registry &registry, const HostSettings &host_settings, const ScriptArguments &arguments)
      : arguments_(arguments), host_(arguments_.memory_limit), builder_(registry, host_settings, arguments_, path) {
    host_.owner = &builder_;
    builder_.option_values = read_option_values(path, arguments_);
    if (!builder_.option_values.toml_file.empty()) host_.add_source(builder_.option_values.toml_file);
    const std::string name = path.filename().string(), text = read_file(path);
    builder_.pipeline.sources.push_back(fs::absolute(path).lexically_normal().string());
    builder_.pipeline.source_names.push_back(name);
    host_.run(
        [&](lua_State *L) {
          install_sandbox(L, arguments_.trust);
          Builder::install_handles(L);
          install_require(L);
          make_globals_strict(L);
          host_.load_text(L, text, name);
          lua_call(L, 0, 1);
          const Handle *returned = Builder::handle_at(L, -1);
          if (!returned || returned->kind != Handle::pipeline)
            throw UsageError(name + " must end with return hone.pipeline { ... }; it returned " + builder_.describe(L, -1));
        },
        arguments_.instruction_limit, {0, 0});
    if (!builder_.has_options) refuse_values_without_options(builder_.option_values, name);
    builder_.finished = true;
  }

  const Pipeline &pipeline() const override { return builder_.pipeline; }

  nlohmann::json call(const std::string &path, const nlohmann::json &argument, std::pair<uint64_t, uint64_t> key) override {
    const size_t number = number_of(path);
    nlohmann::json result;
    host_.run(
        [&](lua_State *L) {
          lua_rawgeti(L, LUA_REGISTRYINDEX, builder_.functions[number - 1]);
          push_json(L, argument);
          lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
          lua_getfield(L, -1, LUA_MATHLIBNAME);
          lua_getfield(L, -1, "random");
          lua_replace(L, -3);
          lua_pop(L, 1);
          lua_call(L, 2, 1);
          result = to_json(L, -1, "the result of " + path);
        },
        arguments_.call_instruction_limit, key);
    return result;
  }

 private:
  size_t number_of(const std::string &path) const {
    const std::string prefix = "function#";
    size_t number = 0;
    if (path.compare(0, prefix.size(), prefix) == 0) {
      const auto [stop, error] = std::from_chars(path.data() + prefix.size(), path.data() + path.size(), number);
      if (error != std::errc() || stop != path.data() + path.size()) number = 0;
    }
    if (number < 1 || number > builder_.functions.size())
      throw Failure(builder_.pipeline.name + ".lua has no " + path + "; it hands " + std::to_string(builder_.functions.size()) +
                    " functions to hone, so this is not the script (or not the options) that the path was made with");
    return number;
  }

  const ScriptArguments arguments_;
  LuaHost host_;
  Builder builder_;
};

}  // namespace

std::unique_ptr<Script> Script::load(const fs::path &path, const Registry &registry, const HostSettings &host_settings,
                                     const ScriptArguments &arguments) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) throw UsageError("script " + path.string() + ": no such file");
  if (!fs::is_regular_file(path, ignored)) throw UsageError("script " + path.string() + " is not a file");
  try {
    return std::make_unique<LuaScript>(path, registry, host_settings, arguments);
  } catch (const UsageError &) {
    throw;
  } catch (const Failure &problem) {
    throw UsageError(problem.what());
  }
}

}  // namespace hone
