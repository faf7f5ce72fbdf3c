// template.cpp -- libFuzzer: any bytes as a chat template, rendered for a small conversation. No input may crash, leak,
// or take more than its limits allow. Lower limits than a user's, so that a run is short.
#include "core/template/template.h"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/failure.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const auto variables =
      nlohmann::ordered_json::parse(R"({"messages": [{"role": "system", "content": "be\nkind"},
    {"role": "user", "content": "1 + 1 = \u00fc?"}, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "add",
    "arguments": {"a": 1, "b": [1.5, true, "x"]}}}]}], "tools": [{"type": "function", "function": {"name": "add"}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "x": [3, 1, 2], "s": "a b  c", "n": -7})");
  static const std::tm day = hone::day_of("2024-12-31");
  hone::jinja::Limits limits;
  limits.steps = 200'000;
  limits.memory = 16 << 20;
  limits.text = 4 << 20;
  limits.depth = 200;
  try {
    hone::Template(std::string(reinterpret_cast<const char *>(data), size), "t").render(variables, day, limits);
  } catch (const hone::Failure &) {
  }
  return 0;
}
