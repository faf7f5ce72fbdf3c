// json_file.h -- small JSON files beside a model's weights (config.json, adapter_config.json), and their values in messages.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace hone {

// Failure naming the file when it cannot be read or holds anything but one object.
nlohmann::json read_json_object(const std::filesystem::path &);

std::string shown(const nlohmann::json &value);  // for a message: its JSON, of at most 80 bytes

}  // namespace hone
