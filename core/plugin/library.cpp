// library.cpp -- Boost.DLL opens, this file distrusts: every pointer, size and table is checked before it is used.
#include "core/plugin/library.h"

#include <cstring>
#include <vector>  // Boost 1.74 uses it without including it

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

#include <cmath>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/plugin/elf.h"
#include "hone/draft/model.h"
#include "hone/draft/stage.h"
#include "hone/ext/objective.h"
#include "hone/ext/optimizer.h"
#include "hone/ext/reward.h"

namespace hone {
namespace {

constexpr const char *kSymbol = "hone_plugin_abi1";
constexpr uint32_t kHuge = 1u << 16;  // no struct of ours will ever be that large

std::string host_abi() { return std::to_string(HONE_ABI_MAJOR) + "." + std::to_string(HONE_ABI_MINOR); }

const std::vector<Kind> &kinds() {
  static const std::vector<Kind> all = {
      {HONE_REWARD, "reward", offsetof(hone_reward, score) + sizeof(void *), {offsetof(hone_reward, score)}},
      {HONE_OBJECTIVE, "stage", offsetof(hone_objective, loss) + sizeof(void *),
       {offsetof(hone_objective, source), offsetof(hone_objective, needs), offsetof(hone_objective, loss)}},
      {HONE_OPTIMIZER, "optimizer", offsetof(hone_optimizer, update) + sizeof(void *),
       {offsetof(hone_optimizer, n_states), offsetof(hone_optimizer, update)}},
      {HONE_STAGE, "stage", offsetof(hone_stage, load) + sizeof(void *),
       {offsetof(hone_stage, step), offsetof(hone_stage, save), offsetof(hone_stage, load)}},
      {HONE_MODEL, "model", offsetof(hone_model, end_step) + sizeof(void *),
       {offsetof(hone_model, model_types), offsetof(hone_model, architectures), offsetof(hone_model, info),
        offsetof(hone_model, parameters), offsetof(hone_model, forward)}}};
  return all;
}

// Checks one library; every sentence begins with the file.
class Reader {
 public:
  explicit Reader(const std::filesystem::path &path) : file_(path.string()), path_(path) {}

  OpenedLibrary read(const hone_plugin *theirs) {
    if (!theirs) fail("its " + std::string(kSymbol) + " lies nowhere");
    const auto plugin = known(theirs, offsetof(hone_plugin, n_components) + sizeof(uint32_t), "hone_plugin");
    if (plugin.min_minor > HONE_ABI_MINOR)
      fail("needs host ABI " + std::to_string(HONE_ABI_MAJOR) + "." + std::to_string(plugin.min_minor) + ", and this host speaks " +
           host_abi() + "; update hone, or build the plugin against an older SDK");
    plugin_id_ = text(plugin.id, "the plugin's id", 200);
    plugin_version_ = text(plugin.version, "the plugin's version", 200);
    if (plugin.n_components == 0) fail("has no components");
    if (plugin.n_components > 1000) fail("claims " + std::to_string(plugin.n_components) + " components; at most 1000 are read");
    if (!plugin.components) fail("has a null list of components");
    OpenedLibrary out;
    std::set<std::pair<std::string, std::string>> names;
    std::vector<std::string> unknown;
    for (uint32_t i = 0; i < plugin.n_components; ++i) {
      if (!plugin.components[i]) fail("component " + std::to_string(i) + " is null");
      OpenedComponent component = read(*plugin.components[i], unknown);
      if (component.info.room.empty()) continue;
      if (!names.insert({component.info.room, component.info.name}).second)
        fail("has two components named " + component.info.room + "/" + component.info.name);
      out.components.push_back(std::move(component));
    }
    if (out.components.empty())
      fail("has no component of a kind that this host knows: it has " + join(unknown, ", ") + ", and this host (ABI " + host_abi() +
           ") knows " + join(known_kinds(), ", ") + "; update hone, or build the plugin against this host's SDK");
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string &what) const { throw Failure(file_ + ": " + what); }
  [[noreturn]] void fail_at(const std::string &what) const { fail(where_ + " " + what); }

  template <class T>
  T known(const T *theirs, size_t least, const std::string &what) const {
    uint32_t size;
    std::memcpy(&size, theirs, sizeof size);
    if (size < least || size > kHuge)
      fail((where_.empty() ? "its " : where_ + ": its ") + what + " says it is " + std::to_string(size) + " bytes long; at least " +
           std::to_string(least) + " are needed (set struct_size to sizeof)");
    T ours{};
    std::memcpy(&ours, theirs, std::min<size_t>(size, sizeof ours));
    ours.struct_size = sizeof ours;
    return ours;
  }

  std::string text(const char *theirs, const std::string &what, size_t most) const {
    const std::string where = where_.empty() ? "" : where_ + ": ";
    if (!theirs) fail(where + what + " is null");
    const size_t size = strnlen(theirs, most + 1);
    if (size > most) fail(where + what + " is longer than " + std::to_string(most) + " bytes");
    std::string out(theirs, size);
    if (invalid_utf8(out) != std::string::npos) fail(where + what + " is not UTF-8");
    return out;
  }

  std::string name(const char *theirs, const std::string &what) const {
    std::string out = text(theirs, what, 64);
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
    if (out.empty() || !std::all_of(out.begin(), out.end(), fits))
      fail((where_.empty() ? "" : where_ + ": ") + what + " is \"" + out + "\"; use letters, digits and _ only");
    return out;
  }

  OpenedComponent read(const hone_component &theirs, std::vector<std::string> &unknown) {
    where_.clear();
    OpenedComponent out;
    out.abi = known(&theirs, offsetof(hone_component, get) + sizeof(void *), "hone_component");
    const hone_component &c = out.abi;
    ComponentInfo &info = out.info;
    info.kind = text(c.kind, "a component's kind", 200);
    info.name = name(c.name, "the name of a component of kind " + info.kind);
    where_ = info.kind + " " + info.name;
    const Kind *kind = find_kind(info.kind);
    if (!kind) {
      unknown.push_back(where_);
      return out;
    }
    info.room = kind->room;
    info.help = text(c.help, "its help", 4096);
    info.library = path_;
    info.plugin_id = plugin_id_;
    info.plugin_version = plugin_version_;
    if (!c.create || !c.destroy) fail_at(std::string("has a null ") + (c.create ? "destroy" : "create"));
    read_methods(*kind, c.methods, info);
    read_params(c, info);
    return out;
  }

  void read_methods(const Kind &kind, const void *methods, ComponentInfo &info) {
    if (!methods) fail_at("has null methods");
    uint32_t size;
    std::memcpy(&size, methods, sizeof size);
    if (size < kind.least_methods || size > kHuge)
      fail_at("has methods that say they are " + std::to_string(size) + " bytes long; at least " + std::to_string(kind.least_methods) +
              " are needed (set struct_size to sizeof)");
    for (const size_t offset : kind.required) {
      const void *pointer;
      std::memcpy(&pointer, static_cast<const char *>(methods) + offset, sizeof pointer);
      if (!pointer) fail_at("lacks the method at byte " + std::to_string(offset) + " of its methods, which may not be null");
    }
    if (info.kind == HONE_REWARD) {
      const uint32_t size = static_cast<const hone_reward *>(methods)->response_size;
      const size_t least = offsetof(hone_response, n_steps) + sizeof(uint32_t);
      if (size < least || size > kHuge || size % alignof(hone_response) != 0)
        fail_at("says that a hone_response is " + std::to_string(size) + " bytes long; set response_size to sizeof(hone_response)");
    }
    if (info.kind == HONE_MODEL) {
      const auto &model = *static_cast<const hone_model *>(methods);
      for (size_t i = 0; model.model_types[i]; ++i) {
        if (i == 1000) fail_at("has a list of model_types without a null at its end");
        info.model_types.push_back(text(model.model_types[i], "one of its model_types", 200));
        text(model.architectures[i], "the architecture of model_type " + info.model_types.back(), 200);
      }
      if (info.model_types.empty()) fail_at("serves no model_type");
      const auto list = [&](size_t field, const char *what, size_t longest, size_t most) {
        std::vector<std::string> out;
        const char *const *texts = nullptr;
        if (size >= field + sizeof texts) std::memcpy(&texts, static_cast<const char *>(methods) + field, sizeof texts);
        for (size_t i = 0; texts && i < most && texts[i]; ++i) out.push_back(text(texts[i], what, longest));
        return out;
      };
      info.null_settings = list(offsetof(hone_model, null_settings), "one of its null_settings", 200, 1000);
      info.type_defaults = list(offsetof(hone_model, type_defaults), "the defaults of one of its model_types", 8000, info.model_types.size());
      if (!info.type_defaults.empty() && info.type_defaults.size() != info.model_types.size())
        fail_at("has defaults for " + std::to_string(info.type_defaults.size()) + " of its " + std::to_string(info.model_types.size()) + " model_types");
      for (const std::string &defaults : info.type_defaults)
        if (!nlohmann::json::parse(defaults, nullptr, false).is_object()) fail_at("has defaults of a model_type that are no JSON object: " + defaults);
    }
  }

  void read_params(const hone_component &c, ComponentInfo &info) {
    if (c.n_params == 0) return;
    if (c.n_params > 4096) fail_at("claims " + std::to_string(c.n_params) + " settings; at most 4096 are read");
    if (!c.params) fail_at("has a null table of settings");
    const size_t least = offsetof(hone_param, reserved) + sizeof(uint32_t);
    if (c.param_size < least || c.param_size > kHuge || c.param_size % alignof(hone_param) != 0)
      fail_at("says that a setting is " + std::to_string(c.param_size) + " bytes long; set param_size to sizeof(hone_param)");
    std::set<std::string> names;
    const std::string component = where_;
    for (uint32_t i = 0; i < c.n_params; ++i) {
      hone_param p{};
      std::memcpy(&p, reinterpret_cast<const char *>(c.params) + size_t{i} * c.param_size, std::min<size_t>(c.param_size, sizeof p));
      where_ = component;
      const std::string its_name = name(p.name, "the name of setting " + std::to_string(i));
      if (!names.insert(its_name).second) fail_at("has two settings named " + its_name);
      where_ = component + ": setting " + its_name;
      info.settings.push_back(read_param(p, its_name));
    }
    where_ = component;
  }

  Setting read_param(const hone_param &p, const std::string &its_name) {
    Setting s;
    s.name = its_name;
    s.help = text(p.help, "its help", 4096);
    s.type = p.fallback.type;
    s.required = (p.flags & HONE_REQUIRED) != 0;
    s.min = p.min, s.max = p.max;
    for (size_t i = 0; p.choices && p.choices[i]; ++i) {
      if (i == 1000) fail_at("has a list of choices without a null at its end");
      s.choices.push_back(text(p.choices[i], "a choice", 1000));
    }
    nlohmann::json fallback;
    switch (s.type) {
      case HONE_BOOL:
        if (p.fallback.as.i != 0 && p.fallback.as.i != 1) fail_at("is a bool whose default is neither 0 nor 1");
        fallback = p.fallback.as.i == 1;
        break;
      case HONE_INT: fallback = p.fallback.as.i; break;
      case HONE_FLOAT: fallback = p.fallback.as.f; break;
      case HONE_STRING:
      case HONE_LIST:
      case HONE_TABLE: {
        const hone_str &value = p.fallback.as.s;
        if (s.required && !value.data) break;
        if (value.size > (1u << 20) || (value.size && !value.data)) fail_at("has a default that is no text");
        const std::string given = value.size ? std::string(value.data, value.size) : std::string();
        if (invalid_utf8(given) != std::string::npos) fail_at("has a default that is not UTF-8");
        if (s.type == HONE_STRING) {
          fallback = given;
        } else {
          fallback = nlohmann::json::parse(given, nullptr, false);
          if (!(s.type == HONE_LIST ? fallback.is_array() : fallback.is_object()))
            fail_at(std::string("has a default that is no JSON ") + (s.type == HONE_LIST ? "list" : "table") + ": " + given);
        }
        break;
      }
      case HONE_MODEL_HANDLE:
      case HONE_REWARD_HANDLE:
      case HONE_DATA_HANDLE:
      case HONE_FUNCTION_HANDLE:
      case HONE_OPTIMIZER_HANDLE: break;
      default: fail_at("has the type " + std::to_string(s.type) + ", which this host (ABI " + host_abi() + ") does not know");
    }
    if (s.type == HONE_INT || s.type == HONE_FLOAT) {
      if (std::isnan(s.min) || std::isnan(s.max) || s.min > s.max)
        fail_at("has the limits " + number_text(s.min) + " and " + number_text(s.max) + ", between which nothing lies");
      if (s.type == HONE_FLOAT && !s.required && !std::isfinite(p.fallback.as.f)) fail_at("has a default that is no finite number");
    }
    if (s.required) {
      s.fallback = "null";
      return s;
    }
    s.fallback = fallback.dump();
    try {
      check_settings({s}, nlohmann::json::object({{s.name, fallback}}), "default");
    } catch (const Failure &error) {
      fail_at("has a default that is not allowed (" + std::string(error.what()) + ")");
    }
    return s;
  }

  const std::string file_;
  const std::filesystem::path &path_;
  std::string plugin_id_, plugin_version_, where_;
};

}  // namespace

const Kind *find_kind(const std::string &id) {
  for (const Kind &kind : kinds())
    if (kind.id == id) return &kind;
  return nullptr;
}

std::vector<std::string> known_kinds() {
  std::vector<std::string> out;
  for (const Kind &kind : kinds()) out.push_back(kind.id);
  return out;
}

std::string abi_refusal(const std::filesystem::path &path) {
  std::string other;
  for (const ElfSymbol &symbol : defined_symbols(path)) {
    if (symbol.name == kSymbol) return "";
    if (symbol.name.starts_with("hone_plugin_abi")) other = symbol.name.substr(std::strlen("hone_plugin_abi"));
  }
  if (!other.empty())
    return path.string() + ": is a plugin for ABI " + other + ", and this host speaks ABI " + host_abi() +
           "; get a build of it for ABI " + std::to_string(HONE_ABI_MAJOR) + ", or a hone that speaks ABI " + other;
  return path.string() + ": is not a plugin for ABI " + host_abi() + ": it does not export " + kSymbol +
         "; if it should be one, end its source with HONE_PLUGIN(...) and build it with hone_add_plugin()";
}

const OpenedLibrary &open_library(const std::filesystem::path &path) {
  // Neither is ever destroyed: a plugin's thread_locals, device contexts and exception types outlive the last call into it.
  static auto *mutex = new std::mutex;
  static auto *opened = new std::map<std::filesystem::path, OpenedLibrary>;
  static auto *libraries = new std::deque<boost::dll::shared_library>;
  const std::filesystem::path key = std::filesystem::weakly_canonical(path);
  std::lock_guard lock(*mutex);
  if (const auto found = opened->find(key); found != opened->end()) return found->second;
  if (const std::string refusal = abi_refusal(path); !refusal.empty()) throw Failure(refusal);
  namespace dll = boost::dll;
  try {
    dll::shared_library library(key, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
    const hone_plugin *plugin = &library.get<const hone_plugin>(kSymbol);
    libraries->push_back(std::move(library));
    return opened->emplace(key, Reader(path).read(plugin)).first->second;
  } catch (const Failure &) {
    throw;
  } catch (const std::exception &error) {
    // The loader's own words, without those of the library around it.
    std::string what = error.what();
    if (const size_t begin = what.find("dlerror system message: "); begin != std::string::npos) {
      what = what.substr(begin + std::strlen("dlerror system message: "));
      what = what.substr(0, what.rfind("): "));
      if (what.rfind(key.string() + ": ", 0) == 0) what = what.substr(key.string().size() + 2);
    }
    throw Failure(path.string() + ": cannot be opened: " + what);
  }
}

}  // namespace hone
