// script.cpp -- see script.h.
#include "core/script/script.h"

#include <charconv>

#include "core/base/failure.h"
#include "core/script/builder.h"
#include "core/script/lua_host.h"
#include "core/script/lua_json.h"
#include "core/script/sandbox.h"

namespace hone {
namespace fs = std::filesystem;
namespace {

// One run of the script: a Lua state and what it made.
struct Loaded {
  Loaded(const fs::path &path, const Registry &registry, const ScriptHost &script_host, const ScriptArguments &arguments,
         const OptionValues &option_values, std::map<std::string, std::string> &texts)
      : host(arguments.memory_limit), builder(registry, script_host, arguments, path, texts) {
    host.owner = &builder;
    builder.option_values = option_values;
    if (!option_values.toml_file.empty()) host.add_source(option_values.toml_file);
    const std::string name = path.filename().string();
    const std::string &text = builder.text_of(path);
    builder.pipeline.sources.push_back(fs::absolute(path).lexically_normal().string());
    builder.pipeline.source_names.push_back(name);
    host.run(
        [&](lua_State *L) {
          install_sandbox(L, arguments.trust);
          Builder::install_handles(L);
          install_require(L);
          make_globals_strict(L);
          host.load_text(L, text, name);
          lua_call(L, 0, 1);
          const Handle *returned = Builder::handle_at(L, -1);
          if (!returned || returned->kind != Handle::pipeline)
            throw UsageError(name + " must end with return hone.pipeline { ... }; it returned " + builder.describe(L, -1));
        },
        arguments.instruction_limit, {0, 0});
    if (!builder.has_options) refuse_values_without_options(option_values, name);
    builder.finished = true;
  }

  LuaHost host;
  Builder builder;
};

class LuaScript final : public Script {
 public:
  LuaScript(const fs::path &path, const Registry &registry, const ScriptHost &host, const ScriptArguments &arguments)
      : path_(path), registry_(registry), host_{host.settings, read_once(host.model_facts)}, arguments_(arguments),
        option_values_(read_option_values(path, arguments_)), loaded_(load_again()), pipeline_(loaded_->builder.pipeline) {}

  const Pipeline &pipeline() const override { return pipeline_; }

  void renew() override {
    const std::string again = pipeline_.name + ".lua was loaded again and ";
    std::unique_ptr<Loaded> fresh;
    try {
      fresh = load_again();
    } catch (const Failure &problem) {
      throw Failure(again + "failed this time: " + problem.what());
    }
    if (const size_t now = fresh->builder.functions.size(), before = loaded_->builder.functions.size(); now != before)
      throw Failure(again + "hands " + std::to_string(now) + " functions to hone, where it handed " + std::to_string(before) +
                    " before; a script must make the same pipeline every time it is run");
    loaded_ = std::move(fresh);
  }

  nlohmann::json call(const std::string &path, const nlohmann::json &argument, std::pair<uint64_t, uint64_t> key) override {
    const size_t number = number_of(path);
    nlohmann::json result;
    loaded_->host.run(
        [&](lua_State *L) {
          lua_rawgeti(L, LUA_REGISTRYINDEX, loaded_->builder.functions[number - 1]);
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
  // A large model's tokenizer takes a while to read, and a renewed script must see what the first saw.
  static std::function<ModelFacts(const fs::path &)> read_once(std::function<ModelFacts(const fs::path &)> read) {
    return [read = std::move(read), known = std::map<fs::path, ModelFacts>()](const fs::path &path) mutable {
      const auto found = known.find(path);
      return found != known.end() ? found->second : known.emplace(path, read(path)).first->second;
    };
  }

  size_t number_of(const std::string &path) const {
    const std::string prefix = "function#";
    size_t number = 0;
    if (path.compare(0, prefix.size(), prefix) == 0) {
      const auto [stop, error] = std::from_chars(path.data() + prefix.size(), path.data() + path.size(), number);
      if (error != std::errc() || stop != path.data() + path.size()) number = 0;
    }
    const size_t count = loaded_->builder.functions.size();
    if (number < 1 || number > count)
      throw Failure(pipeline_.name + ".lua has no " + path + "; it hands " + std::to_string(count) +
                    " functions to hone, so this is not the script (or not the options) that the path was made with");
    return number;
  }

  std::unique_ptr<Loaded> load_again() {
    return std::make_unique<Loaded>(path_, registry_, host_, arguments_, option_values_, texts_);
  }

  const fs::path path_;
  const Registry &registry_;
  const ScriptHost host_;
  const ScriptArguments arguments_;
  const OptionValues option_values_;
  std::map<std::string, std::string> texts_;
  std::unique_ptr<Loaded> loaded_;
  const Pipeline pipeline_;
};

}  // namespace

std::unique_ptr<Script> Script::load(const fs::path &path, const Registry &registry, const ScriptHost &host, const ScriptArguments &arguments) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) throw UsageError("script " + path.string() + ": no such file");
  if (!fs::is_regular_file(path, ignored)) throw UsageError("script " + path.string() + " is not a file");
  try {
    return std::make_unique<LuaScript>(path, registry, host, arguments);
  } catch (const UsageError &) {
    throw;
  } catch (const Failure &problem) {
    throw UsageError(problem.what());
  }
}

}  // namespace hone
