// probe.cpp -- the first look at a library happens in a child: opening runs its constructors, and its tables may lie.
#include "core/plugin/probe.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/plugin/child.h"
#include "core/plugin/library.h"

namespace hone {

using nlohmann::json;

namespace {

json limit_json(double limit) { return std::isfinite(limit) ? json(limit) : json(limit < 0 ? "-inf" : "inf"); }
double limit_from(const json &j) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return j.is_number() ? j.get<double>() : j.get<std::string>() == "inf" ? kInfinity : -kInfinity;
}

json component_json(const ComponentInfo &info) {
  json settings = json::array();
  for (const Setting &s : info.settings)
    settings.push_back({{"name", s.name},
                        {"help", s.help},
                        {"type", s.type},
                        {"min", limit_json(s.min)},
                        {"max", limit_json(s.max)},
                        {"choices", s.choices},
                        {"required", s.required},
                        {"fallback", s.fallback}});
  return {{"kind", info.kind},           {"room", info.room},
          {"name", info.name},           {"help", info.help},
          {"settings", settings},        {"plugin_id", info.plugin_id},
          {"plugin_version", info.plugin_version}, {"model_types", info.model_types},
          {"type_defaults", info.type_defaults}, {"null_settings", info.null_settings}};
}

ComponentInfo component_from(const json &j, const std::filesystem::path &library) {
  ComponentInfo info;
  info.kind = j.at("kind"), info.room = j.at("room"), info.name = j.at("name"), info.help = j.at("help");
  info.plugin_id = j.at("plugin_id"), info.plugin_version = j.at("plugin_version");
  info.model_types = j.at("model_types").get<std::vector<std::string>>();
  info.type_defaults = j.at("type_defaults").get<std::vector<std::string>>();
  info.null_settings = j.at("null_settings").get<std::vector<std::string>>();
  info.library = library;
  for (const json &s : j.at("settings")) {
    Setting setting;
    setting.name = s.at("name"), setting.help = s.at("help"), setting.type = s.at("type");
    setting.min = limit_from(s.at("min")), setting.max = limit_from(s.at("max"));
    setting.choices = s.at("choices").get<std::vector<std::string>>();
    setting.required = s.at("required"), setting.fallback = s.at("fallback");
    info.settings.push_back(std::move(setting));
  }
  return info;
}

// What a child said, into the lists; false when it is not what a child says.
bool take(const json &said, const std::filesystem::path &library, std::vector<ComponentInfo> &components,
          std::vector<Refusal> &refusals) {
  try {
    if (said.contains("refused")) {
      refusals.push_back({library, said.at("refused")});
      return true;
    }
    std::vector<ComponentInfo> found;
    for (const json &component : said.at("components")) found.push_back(component_from(component, library));
    components.insert(components.end(), found.begin(), found.end());
    return true;
  } catch (const json::exception &) {
    return false;
  }
}

std::string last_line(const std::string &text) {
  const size_t end = text.find_last_not_of(" \r\n");
  if (end == text.npos) return "";
  const size_t begin = text.rfind('\n', end);
  std::string line = text.substr(begin == text.npos ? 0 : begin + 1, end - (begin == text.npos ? 0 : begin + 1) + 1);
  if (line.size() > 200) line = line.substr(0, 200) + "...";
  return with_replaced_invalid_utf8(line);
}

// The program's own size and time stand for its version: a rebuilt host looks again.
std::string stamp(const std::filesystem::path &file) {
  struct stat s;
  if (::stat(file.c_str(), &s) != 0) return "";
  return std::to_string(s.st_size) + "/" + std::to_string(s.st_mtim.tv_sec) + "." + std::to_string(s.st_mtim.tv_nsec);
}

}  // namespace

struct ProbeCache::State {
  std::filesystem::path file;
  std::string host;
  json entries = json::object();
  bool changed = false;
  mutable std::mutex mutex;
  std::string key(const std::filesystem::path &library) const { return library.string() + "|" + host; }
};

ProbeCache::ProbeCache() : state_(std::make_unique<State>()) {
  std::error_code error;
  const char *base = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (base && *base == '/') state_->file = std::filesystem::path(base) / "hone" / "probes.json";
  else if (home && *home == '/') state_->file = std::filesystem::path(home) / ".cache" / "hone" / "probes.json";
  else return;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  state_->host = std::string(HONE_VERSION) + "|" + stamp(self);
  if (const char *other = std::getenv("HONE_PROBE_PROGRAM"); other && *other) state_->host += "|" + stamp(other);
  try {
    if (!std::filesystem::exists(state_->file, error)) return;
    state_->entries = json::parse(read_file(state_->file), nullptr, false);
    if (!state_->entries.is_object()) state_->entries = json::object();
  } catch (const std::exception &) {  // unreadable: everything is looked at anew
  }
}

ProbeCache::~ProbeCache() {
  if (!state_->changed || state_->file.empty()) return;
  try {
    json kept = json::object();
    std::error_code error;
    for (const auto &[key, entry] : state_->entries.items())
      if (kept.size() < 2000 && std::filesystem::exists(key.substr(0, key.find('|')), error)) kept[key] = entry;
    std::filesystem::create_directories(state_->file.parent_path(), error);
    write_file_atomically(state_->file, kept.dump());
  } catch (const std::exception &) {  // a cache that cannot be written costs time only
  }
}

bool ProbeCache::find(const std::filesystem::path &library, std::vector<ComponentInfo> &components,
                      std::vector<Refusal> &refusals) const {
  std::lock_guard lock(state_->mutex);
  const auto found = state_->entries.find(state_->key(library));
  if (found == state_->entries.end() || !found->is_object()) return false;
  const auto when = found->find("file"), said = found->find("said");
  if (when == found->end() || said == found->end() || *when != stamp(library)) return false;
  return take(*said, library, components, refusals);
}

void ProbeCache::keep(const std::filesystem::path &library, const json &said) {
  std::lock_guard lock(state_->mutex);
  state_->entries[state_->key(library)] = {{"file", stamp(library)}, {"said", said}};
  state_->changed = true;
}

int run_probe(const std::string &file) {
  const int data = begin_child();
  json said;
  try {
    write_all(data, "opening\n");
    const OpenedLibrary &library = open_library(file);
    said["components"] = json::array();
    for (const OpenedComponent &component : library.components) said["components"].push_back(component_json(component.info));
  } catch (const std::exception &refused) {
    said = {{"refused", refused.what()}};
  }
  write_all(data, said.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  end_child(0);
}

void probe_library(const std::filesystem::path &library, std::vector<ComponentInfo> &components, std::vector<Refusal> &refusals,
                   ProbeCache *cache) {
  if (cache && cache->find(library, components, refusals)) return;
  // Symbols are read here: a file that is no plugin costs no child.
  try {
    if (const std::string refusal = abi_refusal(library); !refusal.empty()) return refusals.push_back({library, refusal}), void();
  } catch (const Failure &refused) {
    return refusals.push_back({library, refused.what()}), void();
  }
  const ChildResult child = run_child({"--probe", library.string()}, kProbeDeadline);
  if (!child.started)
    throw Failure("cannot start this program anew to look at " + library.string() +
                  "; too many processes, or the program's main() does not know --probe");
  if (child.ended_well() && child.output.starts_with("opening\n")) {
    const json said = json::parse(child.output.substr(std::strlen("opening\n")), nullptr, false);
    if (said.is_object() && take(said, library, components, refusals)) {
      if (cache) cache->keep(library, said);
      return;
    }
  }
  const std::string message = last_line(child.errors);
  refusals.push_back({library, library.string() + ": " + child.how_it_ended(kProbeDeadline) + " while it was being opened" +
                                   (message.empty() ? "" : ", saying \"" + message + "\"") +
                                   "; it is left out, nothing of it can be used"});
}

void probe_library(const std::filesystem::path &library, std::vector<ComponentInfo> &components, std::vector<Refusal> &refusals) {
  probe_library(library, components, refusals, nullptr);
}

}  // namespace hone
