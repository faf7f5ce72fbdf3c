// registry.cpp -- the folders, what was found in them, and sentences for what was not.
#include "core/plugin/registry.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <set>
#include <thread>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/plugin/probe.h"

namespace hone {

namespace fs = std::filesystem;

namespace {

constexpr const char *kSubfolders[] = {"", "models", "optimizers", "rewards", "stages"};

std::vector<fs::path> libraries_of(const std::vector<fs::path> &folders) {
  std::vector<fs::path> out;
  std::set<fs::path> seen;  // one file reached by two ways is one file
  for (const fs::path &folder : folders)
    for (const char *sub : kSubfolders) {
      const fs::path inside = *sub ? folder / sub : folder;
      std::error_code error;
      std::vector<fs::path> found;
      for (fs::directory_iterator it(inside, error), end; !error && it != end; it.increment(error))
        if (it->path().extension() == ".so") found.push_back(it->path());
      std::sort(found.begin(), found.end());
      for (const fs::path &file : found) {
        const fs::path real = fs::weakly_canonical(file, error);
        if (seen.insert(error ? file : real).second) out.push_back(error ? file : real);
      }
    }
  return out;
}

}  // namespace

std::vector<fs::path> plugin_folders(const std::vector<fs::path> &from_command_line) {
  std::vector<fs::path> out;
  for (const fs::path &folder : from_command_line) {
    if (!fs::is_directory(folder)) throw UsageError("--plugins " + folder.string() + ": there is no such folder");
    out.push_back(folder);
  }
  if (const char *path = std::getenv("HONE_PLUGIN_PATH")) {
    const std::string all = path;
    for (size_t begin = 0; begin <= all.size();) {
      const size_t end = std::min(all.find(':', begin), all.size());
      if (end > begin) out.emplace_back(all.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path beside = program.parent_path().parent_path() / "lib" / "hone";
  // A program in its build folder must not meet the installed plugins of the same names.
  if (!error && fs::is_directory(beside)) out.push_back(beside);
  else out.emplace_back("/usr/local/lib/hone");
  return out;
}

Registry Registry::scan(const std::vector<fs::path> &folders) {
  Registry registry;
  registry.folders_ = folders;
  const std::vector<fs::path> libraries = libraries_of(folders);
  struct Look {
    std::vector<ComponentInfo> components;
    std::vector<Refusal> refusals;
    std::exception_ptr failed;
  };
  std::vector<Look> looks(libraries.size());
  {
    ProbeCache cache;
    std::vector<size_t> unknown;
    for (size_t i = 0; i < libraries.size(); ++i)
      if (!cache.find(libraries[i], looks[i].components, looks[i].refusals)) unknown.push_back(i);
    std::atomic<size_t> next{0};
    const auto look = [&] {
      for (size_t k; (k = next++) < unknown.size();) {
        Look &mine = looks[unknown[k]];
        try {
          probe_library(libraries[unknown[k]], mine.components, mine.refusals, &cache);
        } catch (...) {
          mine.failed = std::current_exception();
        }
      }
    };
    std::vector<std::thread> others;
    for (size_t i = 1; i < std::min<size_t>(unknown.size(), 4); ++i) others.emplace_back(look);
    look();
    for (std::thread &other : others) other.join();
  }
  for (Look &look : looks) {
    if (look.failed) std::rethrow_exception(look.failed);
    for (ComponentInfo &component : look.components) {
      registry.components_.push_back(std::move(component));
    }
    for (Refusal &refusal : look.refusals) registry.refusals_.push_back(std::move(refusal));
  }
  return registry;
}

const ComponentInfo *Registry::find(const std::string &room, const std::string &name) const {
  for (const ComponentInfo &component : components_)
    if (component.room == room && component.name == name) return &component;
  return nullptr;
}

std::string Registry::clash(const std::string &room, const std::string &name) const {
  std::vector<std::string> libraries;
  for (const ComponentInfo &component : components_)
    if (component.room == room && component.name == name) libraries.push_back(component.library.string());
  if (libraries.size() < 2) return "";
  return std::to_string(libraries.size()) + " plugins offer the " + room + " \"" + name + "\": " + join(libraries, ", ") +
         "; take all but one of them away, or give yours another name";
}

const ComponentInfo &Registry::require(const std::string &room, const std::string &name) const {
  if (const std::string two = clash(room, name); !two.empty()) throw UsageError(two);
  if (const ComponentInfo *component = find(room, name)) return *component;
  std::string sentence = "no " + room + " \"" + name + "\"";
  std::vector<std::string> names;
  for (const ComponentInfo &component : components_) {
    if (component.room == room) names.push_back(component.name);
    else if (component.name == name) sentence += "; \"" + name + "\" is a " + component.room;
  }
  if (const std::string nearest = nearest_name(name, names); !nearest.empty()) sentence += "; did you mean \"" + nearest + "\"?";
  else if (!names.empty()) std::sort(names.begin(), names.end()), sentence += "; there are " + join(names, ", ");
  std::vector<std::string> folders;
  for (const fs::path &folder : folders_) folders.push_back(folder.string());
  sentence += " (folders searched: " + (folders.empty() ? "none" : join(folders, ", "));
  for (const Refusal &refusal : refusals_) sentence += "; refused: " + refusal.sentence;
  throw UsageError(sentence + ")");
}

const ComponentInfo *Registry::model_for_type(const std::string &model_type) const {
  for (const ComponentInfo &component : components_)
    if (component.room == "model" &&
        std::find(component.model_types.begin(), component.model_types.end(), model_type) != component.model_types.end())
      return &component;
  return nullptr;
}

}  // namespace hone
