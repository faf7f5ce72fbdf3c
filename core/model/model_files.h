// model_files.h -- what a path that names a model holds, whether it is a Hugging Face directory or a GGUF file.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "core/text/tokenizer.h"

namespace hone {

bool is_model_file(const std::filesystem::path &);  // a single file, which must be GGUF
// Its config.json, or what its metadata says in config.json's keys. Failure when there is none.
nlohmann::json read_model_config(const std::filesystem::path &);
std::filesystem::path model_config_path(const std::filesystem::path &);  // config.json, or the GGUF file: for messages
std::unique_ptr<Tokenizer> read_model_tokenizer(const std::filesystem::path &);
std::vector<std::filesystem::path> model_files(const std::filesystem::path &);  // all that loading may read, sorted

}  // namespace hone
