// json_file.h -- small JSON files beside a model's weights: config.json, adapter_config.json.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace hone {

// Failure naming the file when it cannot be read or holds anything but one object.
nlohmann::json read_json_object(const std::filesystem::path &);

}  // namespace hone
