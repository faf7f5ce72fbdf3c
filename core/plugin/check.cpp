// check.cpp -- `hone check`: each part runs in a child process; a crash or a hang there is a finding, not an accident.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/plugin/check_parts.h"
#include "core/plugin/child.h"
#include "core/plugin/elf.h"
#include "core/plugin/host.h"
#include "core/plugin/library.h"
#include "core/plugin/settings.h"
#include "core/plugin/verbs.h"
#include "hone/draft/model.h"
#include "hone/draft/stage.h"
#include "hone/ext/objective.h"
#include "hone/ext/optimizer.h"
#include "hone/ext/reward.h"

namespace hone {

using nlohmann::json;

namespace {

constexpr double kPartDeadline = 30;
const std::string kEnd = "\x04";  // a part that came to its end says so

// A value that the table allows.
json some_value(const Setting &s) {
  switch (s.type) {
    case HONE_BOOL: return false;
    case HONE_INT:
    case HONE_FLOAT: {
      double value = 1;
      if (!(s.min == 0 && s.max == 0)) value = std::min(std::max(value, s.min), s.max);
      return s.type == HONE_INT ? json(static_cast<int64_t>(value)) : json(value);
    }
    case HONE_STRING: return s.choices.empty() ? "x" : s.choices[0];
    case HONE_LIST: return json::array();
    case HONE_TABLE: return json::object();
    default: return {{"$handle", 0}};
  }
}

json defaults(const ComponentInfo &info) {
  json given = json::object();
  for (const Setting &s : info.settings)
    if (s.required) given[s.name] = some_value(s);
  return check_settings(info.settings, given, info.name);
}

// Creating and destroying, with all that the table allows at its edges. create() may refuse, with a sentence.
void check_create(const ComponentInfo &info, const hone_host &host, Findings &found) {
  const hone_component &component = load_component(info);
  const auto try_one = [&](const json &settings, const std::string &how) {
    found.doing("creating it " + how);
    const Values values(info.settings, settings);
    void *self = nullptr;
    Guarded<hone_error> error(1);
    const int32_t code = component.create(&host, values.data(), &self, error.data());
    if (!error.intact()) found.problem("create() writes past the hone_error that it is given");
    if (code == HONE_OK) {
      found.doing("destroying what was created " + how);
      component.destroy(self);
    } else if (const std::string wrong = wrong_with_error(code, error[0]); !wrong.empty()) {
      found.problem("create() fails " + how + ", and " + wrong);
    }
  };
  const json usual = defaults(info);
  try_one(usual, "from its default settings");
  try_one(usual, "a second time");
  for (const Setting &s : info.settings) {
    std::vector<json> edges;
    if (s.type == HONE_INT || s.type == HONE_FLOAT) {
      const bool limits = !(s.min == 0 && s.max == 0);
      for (const double edge : {s.min, s.max}) {
        // An edge that is only the type's own would ask for memory that no author meant.
        if (!limits || !std::isfinite(edge) || std::fabs(edge) > 1e6) continue;
        edges.push_back(s.type == HONE_INT ? json(static_cast<int64_t>(edge)) : json(edge));
      }
    }
    if (s.type == HONE_BOOL) edges = {true, false};
    if (s.type == HONE_STRING)
      edges = s.choices.empty() ? std::vector<json>{"", "\xE4\xB8\xAD", std::string(5000, 'x')} : std::vector<json>(s.choices.begin(), s.choices.end());
    if (s.type == HONE_LIST) edges = {json::array(), json{1, "a", nullptr}};
    if (s.type == HONE_TABLE) edges = {json::object(), {{"a", {{"b", 1}}}}};
    if (s.type >= HONE_MODEL_HANDLE && !s.required) edges = {nullptr};
    for (const json &edge : edges) {
      json settings = usual;
      settings[s.name] = edge;
      const std::string shown = edge.dump();
      try_one(settings, "with " + s.name + " = " + (shown.size() > 40 ? shown.substr(0, 40) + "..." : shown));
    }
  }
}

// One setting moved from its default each time, so that each branch of an objective is differentiated: other choices, bools
// turned, a weight of 0 made 0.1.
std::vector<std::pair<std::string, json>> variations(const ComponentInfo &info) {
  std::vector<std::pair<std::string, json>> out;
  for (const Setting &s : info.settings) {
    if (s.required || out.size() > 40) continue;
    const json fallback = json::parse(s.fallback);
    for (const std::string &choice : s.choices)
      if (fallback != choice) out.emplace_back(s.name, choice);
    if (s.type == HONE_BOOL) out.emplace_back(s.name, !fallback.get<bool>());
    const bool limits = !(s.min == 0 && s.max == 0);
    if (s.type == HONE_FLOAT && fallback == 0.0 && (!limits || s.max >= 0.1)) out.emplace_back(s.name, 0.1);
  }
  return out;
}

void check_calls(const ComponentInfo &info, const hone_host &host, Findings &found, json settings) {
  found.doing("creating it");
  std::unique_ptr<Instance> instance;
  try {
    instance = std::make_unique<Instance>(info, host, settings);
  } catch (const Failure &refused) {
    return found.note("could not be created here, so its calls were not tried (" + std::string(refused.what()) + ")");
  }
  if (info.kind == HONE_REWARD) check_reward(*instance, found);
  else if (info.kind == HONE_OBJECTIVE) check_objective(*instance, found);
  else if (info.kind == HONE_OPTIMIZER) check_optimizer(*instance, found);
  else if (info.kind == HONE_MODEL) check_model(*instance, found);
  else if (info.kind == HONE_STAGE) found.note("a loop's steps need a run; only creating it was tried");
  found.doing("destroying it");
}

}  // namespace

void Findings::say(const char *kind, const std::string &sentence) {
  const std::string line = std::string(kind) + sentence + (with_.empty() ? "" : " (" + with_ + ")");
  if (std::find(said_.begin(), said_.end(), line) != said_.end()) return;
  said_.push_back(line);
  std::string flat = line;
  std::replace(flat.begin(), flat.end(), '\n', ' ');
  write_all(descriptor_, flat + "\n");
}
void Findings::doing(const std::string &what) {
  std::string flat = "d" + what + (with_.empty() ? "" : " " + with_);
  std::replace(flat.begin(), flat.end(), '\n', ' ');
  write_all(descriptor_, flat + "\n");
}
void Findings::problem(const std::string &sentence) { say("p", sentence); }
void Findings::note(const std::string &sentence) { say("n", sentence); }

std::string wrong_with_error(int32_t code, const hone_error &error) {
  const size_t size = strnlen(error.text, sizeof error.text);
  if (size == sizeof error.text) return "its error text has no zero at its end";
  if (size == 0) return "says nothing in its hone_error (code " + std::to_string(code) + "); write one sentence for the user";
  if (invalid_utf8({error.text, size}) != std::string::npos) return "its error text is not UTF-8";
  return "";
}

int run_check(int argc, char **argv) {
  const int data = begin_child();
  if (argc != 6) end_child(2);
  const std::string file = argv[2], kind = argv[3], name = argv[4], part = argv[5];
  Findings found(data);
  try {
    found.doing("opening it");
    for (const OpenedComponent &component : open_library(file).components) {
      if (component.info.kind != kind || component.info.name != name) continue;
      Pool pool(2);
      const Host host(pool, 1);
      if (part == "create") check_create(component.info, host.abi(), found);
      if (part != "calls") continue;
      const json usual = defaults(component.info);
      check_calls(component.info, host.abi(), found, usual);
      if (kind != HONE_OBJECTIVE) continue;
      for (const auto &[setting, value] : variations(component.info)) {
        found.with("with " + setting + " = " + value.dump());
        json settings = usual;
        settings[setting] = value;
        check_calls(component.info, host.abi(), found, settings);
      }
    }
    write_all(data, kEnd + "\n");
  } catch (const std::exception &failed) {
    found.problem(failed.what());
    write_all(data, kEnd + "\n");
  } catch (...) {
    found.problem("throws something across the ABI; return an error code instead");
    write_all(data, kEnd + "\n");
  }
  end_child(0);
}

int check_plugin(const std::filesystem::path &library, std::ostream &out) {
  if (!std::filesystem::exists(library)) throw UsageError(library.string() + ": there is no such file");
  std::vector<ComponentInfo> components;
  std::vector<Refusal> refusals;
  probe_library(std::filesystem::weakly_canonical(library), components, refusals);
  for (const Refusal &refusal : refusals) out << "refused: " << refusal.sentence << "\n";
  if (!refusals.empty()) return 1;
  int code = 0;

  std::vector<std::string> unique, surplus;
  for (const ElfSymbol &symbol : defined_symbols(library)) {
    static const std::vector<std::string> kUsual = {"hone_plugin_abi1", "_init", "_fini", "__bss_start", "_edata", "_end"};
    if (std::find(kUsual.begin(), kUsual.end(), symbol.name) != kUsual.end()) continue;
    (symbol.unique ? unique : surplus).push_back(symbol.name);
  }
  const auto some = [](std::vector<std::string> names) {
    const size_t all = names.size();
    if (all > 3) names.resize(3);
    return join(names, ", ") + (all > 3 ? " and " + std::to_string(all - 3) + " more" : "");
  };
  const std::string remedy = "; build with hone_add_plugin(), or link with -Wl,--version-script=hone-plugin.map of the SDK";
  if (!unique.empty()) {
    out << "problem: " << library.filename().string() << " exports unique symbols (" << some(unique)
        << "), which the loader shares with every other library that has them" << remedy << "\n";
    code = 1;
  }
  if (!surplus.empty())
    out << "note: " << library.filename().string() << " exports more than hone_plugin_abi1: " << some(surplus) << remedy << "\n";

  for (const ComponentInfo &component : components) {
    const std::string who = component.room + "/" + component.name;
    bool good = true;
    for (const char *part : {"create", "calls"}) {
      const ChildResult child = run_child({"--check-part", component.library.string(), component.kind, component.name, part}, kPartDeadline);
      if (!child.started) throw Failure("cannot start this program anew to check " + library.string());
      std::string doing = "starting";
      bool ended = false;
      std::vector<std::string> lines;
      for (size_t begin = 0; begin < child.output.size();) {
        const size_t end = std::min(child.output.find('\n', begin), child.output.size());
        const std::string line = child.output.substr(begin, end - begin);
        begin = end + 1;
        if (line == kEnd) ended = true;
        else if (line.starts_with("d")) doing = line.substr(1);
        else if (line.starts_with("p")) good = false, out << "problem: " << who << ": " << line.substr(1) << "\n";
        else if (line.starts_with("n")) out << "note: " << who << ": " << line.substr(1) << "\n";
      }
      if (!ended || !child.ended_well()) {
        good = false;
        out << "problem: " << who << ": " << child.how_it_ended(kPartDeadline) << " while " << doing << "\n";
      }
    }
    out << (good ? "passed: " : "failed: ") << who << (component.help.empty() ? "" : "  " + component.help) << "\n";
    if (!good) code = 1;
    if (component.help.empty()) out << "note: " << who << ": has no help; one sentence is shown by `hone plugins`\n";
    for (const Setting &setting : component.settings)
      if (setting.help.empty()) out << "note: " << who << ": setting " << setting.name << " has no help\n";
  }
  return code;
}

}  // namespace hone
