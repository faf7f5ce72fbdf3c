// registry.h -- which components exist (found by probing libraries in child processes) and how to open them.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <memory>
#include <string>
#include <vector>

#include "hone/abi.h"

namespace hone {

// One row of a component's settings table (hone_param), in values.
struct Setting {
  std::string name, help;
  int32_t type = HONE_STRING;  // HONE_BOOL, ...
  double min = 0, max = 0;     // of numbers
  std::vector<std::string> choices;
  bool required = false;
  std::string fallback;        // JSON text; "null" for handles and required settings
};
const char *type_name(int32_t type);  // "bool", "int", "float", "string", "list", "table", "model", "reward", "data", "function", "optimizer"

struct ComponentInfo {
  std::string kind;       // the ABI's: "hone.reward/1"
  std::string room;       // the user's word: "model", "optimizer", "reward", "stage" (objectives are stages)
  std::string name, help;
  std::vector<Setting> settings;
  std::filesystem::path library;
  std::string plugin_id, plugin_version;
  std::vector<std::string> model_types;  // of a model: config.json's "model_type" values that it serves
  std::vector<std::string> type_defaults;  // of a model: for each of them what leaving a key out means, JSON; or empty
  std::vector<std::string> null_settings;  // of a model: settings whose 0, "" or {} is null in config.json
};

struct Refusal {
  std::filesystem::path library;
  std::string sentence;  // with the file, both versions and the remedy
};

// Folders searched, in order: --plugins, $HONE_PLUGIN_PATH (colon-separated), beside the program (../lib/hone relative to
// bin/) or, when there is no such folder, /usr/local/lib/hone. Each is searched with its subfolders models/ optimizers/ rewards/ stages/.
std::vector<std::filesystem::path> plugin_folders(const std::vector<std::filesystem::path> &from_command_line);

class Registry {
 public:
  // Probes every *.so of the folders in a child process each (results cached by path, size and mtime in
  // $XDG_CACHE_HOME/hone). Damaged or foreign libraries become refusals. Of components of one room and name all are listed,
  // and none can be required.
  static Registry scan(const std::vector<std::filesystem::path> &folders);

  const std::vector<ComponentInfo> &components() const { return components_; }
  const std::vector<Refusal> &refusals() const { return refusals_; }
  const ComponentInfo *find(const std::string &room, const std::string &name) const;  // null: none
  // Why nothing can be used by this name: 'two plugins offer ...', with their files; "" when at most one offers it.
  std::string clash(const std::string &room, const std::string &name) const;
  // Like find, but UsageError for a clash, and when there is none: 'no reward "mth"; did you mean "math"? (folders searched: ...; grpo.so was refused: ...)'
  const ComponentInfo &require(const std::string &room, const std::string &name) const;
  const ComponentInfo *model_for_type(const std::string &model_type) const;

  std::vector<ComponentInfo> components_;
  std::vector<Refusal> refusals_;
  std::vector<std::filesystem::path> folders_;
};

// Looks at one library in a child process (this program started anew with `--probe FILE`), with a deadline.
// Fills components or refusal.
void probe_library(const std::filesystem::path &, std::vector<ComponentInfo> &components, std::vector<Refusal> &refusals);
// The child's side. A program whose Registry scans must call it from main() for the arguments `--probe FILE`; does not return.
int run_probe(const std::string &file);

// Opens the library in this process (never unloaded) and returns its component; Failure when it is not there.
// The copy is this host's view: fields the plugin does not know are null.
const hone_component &load_component(const ComponentInfo &);
// The component's methods, copied over zeroes to this host's size: known_part for kinds. T begins with struct_size.
template <class T> T known_methods(const hone_component &component);

// Checks `given` (a JSON object) against the table: unknown names (with the nearest), wrong types, ranges, choices, missing
// required ones. `where` begins each sentence ("r1.lua:12: stage grpo"). Returns the object with defaults filled in.
// Handles are accepted as any JSON object with a "$..." key, lists and tables of such, or null. Numbers' limits: min and max
// both 0 means no limits. UsageError for the first thing wrong.
nlohmann::json check_settings(const std::vector<Setting> &, const nlohmann::json &given, const std::string &where);

// One living instance of a component: created from checked settings, destroyed with this object. [main]
class Instance {
 public:
  // Takes from the object what is in the component's table; missing ones get their defaults. A handle is an object whose one
  // value is the index that host services take ({"$model": 3}), or null: -1.
  Instance(const ComponentInfo &, const hone_host &, const nlohmann::json &checked_settings);
  ~Instance();
  Instance(const Instance &) = delete;
  void *self() const { return self_; }
  const hone_component &component() const { return *component_; }

 private:
  const hone_component *component_;
  void *self_ = nullptr;
};

// Turns a failed call's error into a Failure naming the component: 'reward math: ...'. Does nothing for HONE_OK.
void check_call(int32_t code, const hone_error &, const std::string &component);

}  // namespace hone

#include <algorithm>
#include <cstring>
template <class T> T hone::known_methods(const hone_component &component) {
  T ours{};
  uint32_t size;
  std::memcpy(&size, component.methods, sizeof size);
  std::memcpy(&ours, component.methods, std::min<size_t>(sizeof ours, size));
  ours.struct_size = sizeof ours;
  return ours;
}
