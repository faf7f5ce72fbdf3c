// message.cpp -- the payloads of the messages between scorer and worker.
#include "core/reward/message.h"

#include <bit>
#include <nlohmann/json.hpp>

namespace hone {

using nlohmann::json;

namespace {

// JSON has no infinity, which is what an open end of a range is: numbers of the table travel as their bits.
uint64_t number_bits(double value) { return std::bit_cast<uint64_t>(value); }
double number_of(const json &bits) { return std::bit_cast<double>(bits.get<uint64_t>()); }

json table_to_json(const std::vector<Setting> &table) {
  json out = json::array();
  for (const Setting &setting : table)
    out.push_back({{"name", setting.name}, {"help", setting.help}, {"type", setting.type}, {"min", number_bits(setting.min)},
                   {"max", number_bits(setting.max)}, {"choices", setting.choices}, {"required", setting.required},
                   {"fallback", setting.fallback}});
  return out;
}

std::vector<Setting> table_from_json(const json &table) {
  std::vector<Setting> out;
  for (const json &entry : table) {
    Setting setting;
    setting.name = entry.at("name");
    setting.help = entry.at("help");
    setting.type = entry.at("type");
    setting.min = number_of(entry.at("min"));
    setting.max = number_of(entry.at("max"));
    setting.choices = entry.at("choices").get<std::vector<std::string>>();
    setting.required = entry.at("required");
    setting.fallback = entry.at("fallback");
    out.push_back(std::move(setting));
  }
  return out;
}

}  // namespace

std::string setup_message(const SetupRequest &request) {
  json out = {{"seed", request.seed}, {"plugin_folders", request.plugin_folders}, {"parts", json::array()}};
  for (const RewardPart &part : request.parts) {
    const ComponentInfo &component = part.component;
    out["parts"].push_back({{"label", part.label},
                            {"kind", component.kind},
                            {"room", component.room},
                            {"name", component.name},
                            {"help", component.help},
                            {"table", table_to_json(component.settings)},
                            {"library", component.library.string()},
                            {"plugin_id", component.plugin_id},
                            {"plugin_version", component.plugin_version},
                            {"settings", part.settings},
                            {"script", part.script},
                            {"function", part.function},
                            {"script_arguments", part.script_arguments}});
  }
  MessageWriter message(MessageType::setup);
  message.text(out.dump());
  return message.finish();
}

SetupRequest read_setup(std::string_view payload) {
  const json in = json::parse(MessageReader(payload).text());
  SetupRequest request;
  request.seed = in.at("seed");
  request.plugin_folders = in.at("plugin_folders").get<std::vector<std::string>>();
  for (const json &entry : in.at("parts")) {
    RewardPart part;
    part.label = entry.at("label");
    part.component.kind = entry.at("kind");
    part.component.room = entry.at("room");
    part.component.name = entry.at("name");
    part.component.help = entry.at("help");
    part.component.settings = table_from_json(entry.at("table"));
    part.component.library = entry.at("library").get<std::string>();
    part.component.plugin_id = entry.at("plugin_id");
    part.component.plugin_version = entry.at("plugin_version");
    part.settings = entry.at("settings");
    part.script = entry.at("script");
    part.function = entry.at("function");
    part.script_arguments = entry.at("script_arguments");
    request.parts.push_back(std::move(part));
  }
  return request;
}

std::string score_message(uint64_t ticket, uint32_t part, const std::vector<ScoreRow> &all, const std::vector<uint32_t> &rows) {
  MessageWriter message(MessageType::score);
  message.number(ticket);
  message.number(part);
  message.number<uint64_t>(rows.size());
  for (const uint32_t index : rows) {
    write_row(message, all[index]);
    write_steps(message, all[index]);
  }
  return message.finish();
}

void write_row(MessageWriter &message, const ScoreRow &row) {
  message.text(row.prompt);
  message.text(row.text);
  message.text(row.answer);
  message.text(row.columns);
  message.list(row.ids);
  message.number<uint8_t>(row.truncated);
}

void write_steps(MessageWriter &message, const ScoreRow &row) {
  message.list(row.step_start);
  message.list(row.step_text);
}

ScoreRequest read_score(std::string_view payload) {
  MessageReader in(payload);
  ScoreRequest request;
  request.ticket = in.number<uint64_t>();
  request.part = in.number<uint32_t>();
  const uint64_t n = in.number<uint64_t>();
  for (uint64_t i = 0; i < n; ++i) {
    ScoreRow row;
    row.prompt = in.text();
    row.text = in.text();
    row.answer = in.text();
    row.columns = in.text();
    row.ids = in.list<int32_t>();
    row.truncated = in.number<uint8_t>() != 0;
    row.step_start = in.list<uint32_t>();
    row.step_text = in.list<uint32_t>();
    request.rows.push_back(std::move(row));
  }
  return request;
}

void write_scores(MessageWriter &message, const PartScores &scores) {
  message.list(scores.score);
  for (const std::string &why : scores.why) message.text(why);
  message.number<uint8_t>(!scores.steps.empty());
  for (const std::vector<float> &steps : scores.steps) message.list(steps);
}

PartScores read_scores(MessageReader &in) {
  PartScores scores;
  scores.score = in.list<float>();
  scores.why.reserve(scores.score.size());
  for (size_t i = 0; i < scores.score.size(); ++i) scores.why.push_back(in.text());
  if (in.number<uint8_t>())
    for (size_t i = 0; i < scores.score.size(); ++i) scores.steps.push_back(in.list<float>());
  return scores;
}

}  // namespace hone
