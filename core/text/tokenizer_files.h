// tokenizer_files.h -- tokenizer.json and what lies beside it, read and parsed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace hone {

class Tokenizer;

struct TokenizerFiles {
  std::string where;                                      // the path of tokenizer.json: begins every Failure
  nlohmann::json tokenizer;                               // an object with a "model" object
  nlohmann::json config = nlohmann::json::object();       // tokenizer_config.json; empty when there is none
  nlohmann::json special_map = nlohmann::json::object();  // special_tokens_map.json; empty when there is none
  std::vector<int64_t> generation_eos;                    // generation_config.json's eos_token_id; without one config.json's
  std::map<std::string, std::string> text;                // file name -> as it is written
};

// Failure with the file, for what is missing, not JSON or not an object.
TokenizerFiles read_tokenizer_files(const std::filesystem::path &tokenizer_json);

// The same of a tokenizer.json in memory, with nothing beside it. where: begins every Failure.
TokenizerFiles parse_tokenizer_json(std::string text, const std::string &where);

// The tokenizer of the model's type; Failure for a type that is not supported.
std::unique_ptr<Tokenizer> make_tokenizer(TokenizerFiles files);

// stop_ids(): eos if any, then generation_eos without repeats. An id outside 0 .. size - 1 is warned of and left out: nothing
// that is sampled can be it.
std::vector<int32_t> stop_ids_of(int32_t eos, const TokenizerFiles &files, uint32_t size);

}  // namespace hone
