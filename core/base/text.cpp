// text.cpp -- nearest names, UTF-8, numbers for people.
#include "core/base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "core/base/failure.h"

namespace hone {
namespace {

// Damerau-Levenshtein distance where no part is edited twice ("optimal string alignment").
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

// Bytes of the well-formed sequence at the start of `s` (Unicode 15, table 3-7), or 0.
size_t sequence_length(std::string_view s) {
  const auto byte = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const auto in = [&](size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF)
    return in(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) && in(2, 0x80, 0xBF) ? 3 : 0;
  if (first >= 0xF0 && first <= 0xF4)
    return in(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  return 0;
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string> &candidates) {
  if (name.size() > 200) return "";
  size_t best = std::max<size_t>(name.size() / 3, 2) + 1;
  const std::string *nearest = nullptr;
  for (const std::string &candidate : candidates) {
    if (candidate.size() > name.size() + best || name.size() > candidate.size() + best) continue;
    // Half or more of a short name changed is no misspelling.
    const size_t distance = edit_distance(name, candidate);
    if (distance < best && distance * 2 <= std::max(name.size(), candidate.size())) best = distance, nearest = &candidate;
  }
  return nearest ? *nearest : "";
}

size_t invalid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

std::string with_replaced_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text.substr(i));
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      ++i;
    } else {
      out.append(text, i, length);
      i += length;
    }
  }
  return out;
}

std::string join(const std::vector<std::string> &parts, std::string_view between) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += between;
    out += parts[i];
  }
  return out;
}

std::string human_bytes(uint64_t bytes) {
  static constexpr const char *kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double amount = static_cast<double>(bytes);
  size_t unit = 0;
  for (; unit < 6 && amount >= 1023.95; ++unit) amount /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, kUnits[unit]);
  return text;
}

std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  if (seconds < 0) seconds = 0;
  char text[48];
  if (seconds < 9.95) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else if (seconds < 59.5) {
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  } else if (seconds < 3599.5) {
    const auto whole = static_cast<long long>(seconds + 0.5);
    std::snprintf(text, sizeof text, "%lld m %02lld s", whole / 60, whole % 60);
  } else if (seconds < 1e15) {
    const auto minutes = static_cast<long long>(seconds / 60 + 0.5);
    std::snprintf(text, sizeof text, "%lld h %02lld m", minutes / 60, minutes % 60);
  } else {
    return "?";
  }
  return text;
}

std::string number_text(double number) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  (void)error;  // 32 bytes hold any double
  return std::string(text, end);
}

std::string json_reason(const std::string &what) {
  const size_t name = what.starts_with("[json.exception.") ? what.find("] ") : std::string::npos;
  std::string text = name == std::string::npos ? what : what.substr(name + 2);
  if (!text.starts_with("parse error at line ")) return text;
  text.erase(0, std::string_view("parse error ").size());
  return text.starts_with("at line 1, ") ? "at " + text.substr(std::string_view("at line 1, ").size()) : text;
}

void refuse_deep_json(std::string_view json, const std::string &where) {
  constexpr int most = 64;
  int level = 0;
  bool text = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (text) {
      if (c == '\\') ++i;
      else if (c == '"') text = false;
    } else if (c == '"') {
      text = true;
    } else if (c == '[' || c == '{') {
      if (++level > most)
        throw Failure(where + ": nested more than " + std::to_string(most) + " levels deep at byte " + std::to_string(i + 1) + "; make it flatter");
    } else if (c == ']' || c == '}') {
      --level;
    }
  }
}

std::string after_place(const std::string &place, const std::string &what) {
  const size_t last = place.rfind(": "), end = what.find(": ");
  const std::string_view own = std::string_view(place).substr(last == std::string::npos ? 0 : last + 2);
  const bool twice = end != std::string::npos && !own.empty() && own == std::string_view(what).substr(0, end);
  return place + ": " + (twice ? what.substr(end + 2) : what);
}

}  // namespace hone
