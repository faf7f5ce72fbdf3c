// scripts_of_writing.cpp -- see scripts_of_writing.h.
#include "scripts_of_writing.h"

#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <cstdint>

static bool belongs(UScriptCode script, std::string_view language) {
  if (script == USCRIPT_COMMON || script == USCRIPT_INHERITED || script == USCRIPT_UNKNOWN) return true;
  if (language == "ru" || language == "uk") return script == USCRIPT_CYRILLIC;
  if (language == "el") return script == USCRIPT_GREEK;
  if (language == "ar") return script == USCRIPT_ARABIC;
  if (language == "he") return script == USCRIPT_HEBREW;
  if (language == "hi") return script == USCRIPT_DEVANAGARI;
  if (language == "zh") return script == USCRIPT_HAN;
  if (language == "ja") return script == USCRIPT_HAN || script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA;
  if (language == "ko") return script == USCRIPT_HANGUL || script == USCRIPT_HAN;
  return script == USCRIPT_LATIN;
}

bool has_foreign_word(std::string_view text, std::string_view language) {
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t at = 0; at < size;) {
    UChar32 c;
    U8_NEXT(text.data(), at, size, c);
    if (c < 0) continue;  // not UTF-8: no script
    UErrorCode status = U_ZERO_ERROR;
    if (!belongs(uscript_getScript(c, &status), language)) return true;
  }
  return false;
}
