// post_processor.h -- tokenizer.json's "post_processor": the special tokens that stand around one text.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace hone {

struct PostProcessor {
  std::vector<int32_t> before, after;

  PostProcessor() = default;
  // TemplateProcessing, ByteLevel (which changes no id), Sequence of them, or null. size: ids are below it.
  PostProcessor(const nlohmann::json &json, uint32_t size, const std::string &where);

 private:
  void read(const nlohmann::json &json, uint32_t size, const std::string &where);
  void read_template(const nlohmann::json &json, uint32_t size, const std::string &where);
};

}  // namespace hone
