// verbs.h -- what `hone plugins`, `describe`, `check` and `new-plugin` do; the app parses their arguments. Each returns the
// exit code; data goes to `out`. Failure and UsageError for what cannot be done.
#pragma once

#include <filesystem>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "core/plugin/registry.h"

namespace hone {

// All components by room, and what was refused and why. 0 also when something was refused.
int list_plugins(const Registry &, bool as_json, std::ostream &out);

// `what` is ROOM/NAME ("reward/math"); a NAME alone when only one room has it. `common`: the settings that the host itself
// gives to components of a kind ("hone.objective/1").
int describe_component(const Registry &, const std::string &what, const std::map<std::string, std::vector<Setting>> &common,
                       bool as_json, std::ostream &out);

// Tries what a plugin must withstand, each part in a child process of its own. 0: it passed; 1: sentences say what did not.
int check_plugin(const std::filesystem::path &library, std::ostream &out);

// The child's side: `--check-part FILE KIND NAME PART`, called from main(); does not return.
int run_check(int argc, char **argv);

// Makes NAME/ in `folder`: the template of KIND (model, optimizer, reward, objective, stage) with the name filled in.
int new_plugin(const std::string &kind, const std::string &name, const std::filesystem::path &folder, std::ostream &out);

}  // namespace hone
