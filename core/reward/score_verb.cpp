// score_verb.cpp -- takes rows, scores them with workers, prints JSON lines.
#include "core/reward/score_verb.h"

#include <charconv>
#include <cmath>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/text.h"

namespace hone {

using nlohmann::json;

namespace {

// Texts become values by the type that the reward's table gives the setting; check_settings judges the rest.
json settings_from(const ComponentInfo &component, const std::vector<std::pair<std::string, std::string>> &set) {
  json out = json::object();
  for (const auto &[name, text] : set) {
    int32_t type = HONE_STRING;
    for (const Setting &setting : component.settings)
      if (setting.name == name) type = setting.type;
    if (type == HONE_STRING) {
      out[name] = text;
    } else if (type == HONE_MODEL_HANDLE) {
      std::error_code error;
      const std::filesystem::path path = std::filesystem::absolute(text, error);
      if (!std::filesystem::is_directory(path)) throw UsageError("--set " + name + "=" + text + ": there is no such model directory");
      out[name] = {{"$path", path.string()}};
    } else {
      try {
        out[name] = json::parse(text);
      } catch (const json::exception &) {
        throw UsageError("--set " + name + "=" + text + ": " + name + " is a " + type_name(type) + ", and this is none");
      }
    }
  }
  return out;
}

ScoreRow row_from(const json &object, const std::string &where) {
  const auto text = [&](const char *name, bool required) -> std::string {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) {
      if (!required) return "";
      std::vector<std::string> names;
      for (const auto &[key, value] : object.items()) names.push_back(key);
      throw Failure(where + ": no \"" + name + "\"; the row has " + (names.empty() ? "no columns" : join(names, ", ")));
    }
    if (found->is_string()) return found->get<std::string>();
    if (found->is_number() && std::string(name) == "answer") return found->dump();
    throw Failure(where + ": \"" + name + "\" must be text, and is a " + found->type_name());
  };
  ScoreRow row;
  row.prompt = text("prompt", false);
  row.text = text("response", true);
  row.answer = text("answer", false);
  if (const auto ids = object.find("ids"); ids != object.end()) {
    if (!ids->is_array()) throw Failure(where + ": \"ids\" must be a list of token ids");
    for (const json &id : *ids) {
      if (!id.is_number_integer()) throw Failure(where + ": \"ids\" must be a list of token ids, and holds " + id.dump());
      const bool is_id = id.is_number_unsigned() && id.get<uint64_t>() <= uint64_t(std::numeric_limits<int32_t>::max());
      if (!is_id) throw Failure(where + ": \"ids\" holds " + id.dump() + ", which is no token id; they go from 0 to 2147483647");
      row.ids.push_back(id.get<int32_t>());
    }
  }
  if (const auto truncated = object.find("truncated"); truncated != object.end()) {
    if (!truncated->is_boolean()) throw Failure(where + ": \"truncated\" must be true or false, and is " + truncated->dump());
    row.truncated = truncated->get<bool>();
  }
  row.columns = object.dump();
  return row;
}

std::string float_text(float value) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}

}  // namespace

int score_verb(const Registry &registry, const ScoreVerb &verb, std::ostream &out) {
  RewardPart part;
  try {
    part.component = registry.require("reward", verb.reward);
  } catch (const Failure &failure) {
    throw UsageError(failure.what());
  }
  part.label = verb.reward;
  part.settings = check_settings(part.component.settings, settings_from(part.component, verb.set), "hone score " + verb.reward);
  std::vector<ScoreRow> rows;
  for (const auto &[where, row] : verb.rows) rows.push_back(row_from(row, where));
  Scorer scorer({part}, verb.scorer);
  const PartScores scores = scorer.score(rows).at(0);
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool scored = std::isfinite(scores.score[i]);
    // The float's own digits: 0.1, not 0.10000000149011612.
    out << "{\"score\":" << (scored ? float_text(scores.score[i]) : "null")
        << ",\"error\":" << (scored ? "null" : json(scores.why[i]).dump(-1, ' ', false, json::error_handler_t::replace)) << "}\n";
  }
  out.flush();
  if (!out) throw Failure("cannot write the scores to stdout");
  return 0;
}

}  // namespace hone
