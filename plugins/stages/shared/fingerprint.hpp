// fingerprint.hpp -- what tells equal responses to equal prompts: 64-bit FNV-1a of both, apart.
#pragma once

#include <cstdint>
#include <string_view>

inline uint64_t fingerprint(std::string_view prompt, std::string_view response) {
  uint64_t h = 0xcbf29ce484222325u;
  const auto add = [&h](std::string_view text) {
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    h = (h ^ 0xff) * 0x100000001b3u;  // not a byte of UTF-8, so "ab","c" and "a","bc" differ
  };
  add(prompt);
  add(response);
  return h;
}
