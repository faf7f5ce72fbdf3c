// verbs.cpp -- `hone plugins` and `hone describe`: what there is, and what it takes.
#include "core/plugin/verbs.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/plugin/settings.h"

namespace hone {

using nlohmann::json;

namespace {

constexpr const char *kRooms[] = {"model", "optimizer", "reward", "stage"};

// Text in lines of at most `width`, cut at spaces, later lines indented.
std::string wrapped(const std::string &text, size_t indent, size_t width = 112) {
  std::string out, line;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (!line.empty() && indent + line.size() + 1 + word.size() > width) {
      out += line + "\n" + std::string(indent, ' ');
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    begin = end + 1;
  }
  return out + line;
}

json setting_json(const Setting &s) {
  json out = {{"name", s.name}, {"help", s.help}, {"type", type_name(s.type)}, {"required", s.required}, {"allowed", allowed_values(s)}};
  out["default"] = json::parse(s.fallback.empty() ? "null" : s.fallback, nullptr, false);
  if (!s.choices.empty()) out["choices"] = s.choices;
  return out;
}

json component_json(const ComponentInfo &c) {
  json out = {{"room", c.room},       {"name", c.name},         {"kind", c.kind},
              {"help", c.help},       {"library", c.library.string()}, {"plugin", c.plugin_id},
              {"version", c.plugin_version}};
  if (!c.model_types.empty()) out["model_types"] = c.model_types;
  return out;
}

void print_settings(const std::vector<Setting> &settings, std::ostream &out) {
  size_t longest = 0;
  for (const Setting &s : settings) longest = std::max(longest, s.name.size());
  for (const Setting &s : settings) {
    const std::string start = "  " + s.name + std::string(longest - s.name.size() + 2, ' ');
    std::string line = allowed_values(s) + (s.required ? ", required" : s.fallback == "null" ? "" : ", default " + s.fallback);
    if (!s.help.empty()) line += ": " + s.help;
    out << start << wrapped(line, start.size()) << "\n";
  }
}

const ComponentInfo &component_called(const Registry &registry, const std::string &what) {
  const size_t slash = what.find('/');
  if (slash != what.npos) {
    std::string room = what.substr(0, slash);
    if (room == "objective") room = "stage";
    if (std::find(std::begin(kRooms), std::end(kRooms), room) == std::end(kRooms))
      throw UsageError("\"" + what + "\": there is no kind \"" + room + "\"; give model, optimizer, reward or stage, as in reward/math");
    return registry.require(room, what.substr(slash + 1));
  }
  std::vector<const ComponentInfo *> found;
  std::vector<std::string> names;
  for (const ComponentInfo &component : registry.components()) {
    names.push_back(component.name);
    if (component.name == what) found.push_back(&component);
  }
  if (found.size() == 1) return *found[0];
  if (found.size() > 1 && found[0]->room == found[1]->room) return registry.require(found[0]->room, what);  // says which files clash
  if (found.size() > 1) throw UsageError("\"" + what + "\" is both " + found[0]->room + "/" + what + " and " + found[1]->room + "/" + what);
  const std::string nearest = nearest_name(what, names);
  throw UsageError("nothing is called \"" + what + "\"" + (nearest.empty() ? "; `hone plugins` lists what there is" : "; did you mean \"" + nearest + "\"?"));
}

}  // namespace

// One sentence for each name that more than one plugin offers. sorted: by room and name.
static std::vector<std::string> clashes(const std::vector<const ComponentInfo *> &sorted, const Registry &registry) {
  std::vector<std::string> out;
  for (const ComponentInfo *component : sorted)
    if (const std::string clash = registry.clash(component->room, component->name); !clash.empty() && (out.empty() || out.back() != clash))
      out.push_back(clash);
  return out;
}

int list_plugins(const Registry &registry, bool as_json, std::ostream &out) {
  std::vector<const ComponentInfo *> sorted;
  for (const ComponentInfo &component : registry.components()) sorted.push_back(&component);
  std::sort(sorted.begin(), sorted.end(), [](const ComponentInfo *a, const ComponentInfo *b) {
    return std::tie(a->room, a->name) < std::tie(b->room, b->name);
  });
  if (as_json) {
    json all = {{"components", json::array()}, {"refused", json::array()}};
    for (const ComponentInfo *component : sorted) all["components"].push_back(component_json(*component));
    all["clashes"] = clashes(sorted, registry);
    for (const Refusal &refusal : registry.refusals())
      all["refused"].push_back({{"library", refusal.library.string()}, {"why", refusal.sentence}});
    out << all.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
    return 0;
  }
  size_t longest = 0;
  for (const ComponentInfo *component : sorted) longest = std::max(longest, component->room.size() + component->name.size());
  for (const ComponentInfo *component : sorted) {
    const std::string start = component->room + "/" + component->name + std::string(longest + 3 - component->room.size() - component->name.size() - 1, ' ');
    out << start << wrapped(component->help, start.size()) << "\n";
  }
  if (sorted.empty()) {
    std::vector<std::string> folders;
    for (const auto &folder : registry.folders_) folders.push_back(folder.string());
    out << "no plugins (folders searched: " << join(folders, ", ") << ")\n";
  }
  for (const std::string &clash : clashes(sorted, registry)) out << "clash: " << clash << "\n";
  for (const Refusal &refusal : registry.refusals()) out << "refused: " << refusal.sentence << "\n";
  return 0;
}

int describe_component(const Registry &registry, const std::string &what, const std::map<std::string, std::vector<Setting>> &common,
                       bool as_json, std::ostream &out) {
  const ComponentInfo &component = component_called(registry, what);
  const std::vector<Setting> of_the_host = common_settings(common, component);
  if (as_json) {
    json all = component_json(component);
    all["settings"] = all["common_settings"] = json::array();
    for (const Setting &setting : component.settings) all["settings"].push_back(setting_json(setting));
    for (const Setting &setting : of_the_host) all["common_settings"].push_back(setting_json(setting));
    out << all.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
    return 0;
  }
  out << component.room << "/" << component.name << "  " << component.help << "\n";
  out << "of " << component.plugin_id << " " << component.plugin_version << ", " << component.library.string() << "\n";
  if (!component.model_types.empty()) out << "serves model_type " << join(component.model_types, ", ") << "\n";
  out << (component.settings.empty() ? "\nno settings of its own\n" : "\nsettings\n");
  print_settings(component.settings, out);
  if (!of_the_host.empty()) {
    out << "\nsettings that the host gives it (" << component.kind << ")\n";
    print_settings(of_the_host, out);
  }
  return 0;
}

}  // namespace hone
