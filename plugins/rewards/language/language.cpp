// language.cpp -- the language consistency reward of DeepSeek-R1 (arXiv 2501.12948, 2.3.2): the share of the thinking's
// words that are in the target language, told by their script.
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <hone/response.hpp>
#include <hone/reward.hpp>
#include <map>

namespace {

using Scripts = std::vector<UScriptCode>;

// By ISO 639 code. Languages of one script cannot be told apart this way; what R1 cures is the mixing of scripts.
const std::map<std::string_view, Scripts> &languages() {
  static const std::map<std::string_view, Scripts> table = {{"en", {USCRIPT_LATIN}},
                                                            {"de", {USCRIPT_LATIN}},
                                                            {"fr", {USCRIPT_LATIN}},
                                                            {"es", {USCRIPT_LATIN}},
                                                            {"it", {USCRIPT_LATIN}},
                                                            {"pt", {USCRIPT_LATIN}},
                                                            {"nl", {USCRIPT_LATIN}},
                                                            {"pl", {USCRIPT_LATIN}},
                                                            {"sv", {USCRIPT_LATIN}},
                                                            {"tr", {USCRIPT_LATIN}},
                                                            {"vi", {USCRIPT_LATIN}},
                                                            {"id", {USCRIPT_LATIN}},
                                                            {"zh", {USCRIPT_HAN}},
                                                            {"ko", {USCRIPT_HANGUL}},
                                                            {"ru", {USCRIPT_CYRILLIC}},
                                                            {"uk", {USCRIPT_CYRILLIC}},
                                                            {"bg", {USCRIPT_CYRILLIC}},
                                                            {"el", {USCRIPT_GREEK}},
                                                            {"ar", {USCRIPT_ARABIC}},
                                                            {"fa", {USCRIPT_ARABIC}},
                                                            {"ur", {USCRIPT_ARABIC}},
                                                            {"he", {USCRIPT_HEBREW}},
                                                            {"hi", {USCRIPT_DEVANAGARI}},
                                                            {"th", {USCRIPT_THAI}},
                                                            {"bn", {USCRIPT_BENGALI}},
                                                            {"ta", {USCRIPT_TAMIL}},
                                                            {"ja", {USCRIPT_HAN, USCRIPT_HIRAGANA, USCRIPT_KATAKANA}}};
  return table;
}

class Language final : public hone::Reward {
 public:
  std::string expect = "en";
  bool require_thinking = true;
  std::string open = "<think>";
  std::string close = "</think>";

  static auto params() {
    return hone::params(
        hone::param("expect", &Language::expect,
                    "target language by its code (en, zh, ru, ar …), or a script by its name (Latin, Han …)"),
        hone::param("require_thinking", &Language::require_thinking,
                    "whether a response without thinking, or with an empty one, scores 0; else it scores 1, and one "
                    "without tags is read whole"),
        hone::param("open", &Language::open, "tag that starts the thinking"),
        hone::param("close", &Language::close, "tag that ends the thinking"));
  }

  void start(const hone::Services &) {
    const auto known = languages().find(expect);
    if (known != languages().end()) {
      scripts_ = known->second;
      return;
    }
    const int32_t script = u_getPropertyValueEnum(UCHAR_SCRIPT, expect.c_str());
    if (expect.size() < 4 || script == UCHAR_INVALID_CODE)
      throw hone::Error("expect is \"" + expect +
                        "\", which is neither the code of a language that is known here nor the name of a script");
    scripts_ = {UScriptCode(script)};
  }

  float score(const hone::Response &response) const override {
    const hone::ResponseParts parts = hone::split_response(response.text, {open, close, "", ""});
    if (!parts.thinking && require_thinking) return 0;
    const std::string_view text = parts.thinking ? *parts.thinking : response.text;
    uint64_t words = 0, ours = 0;
    count(text, words, ours);
    if (words == 0) return require_thinking ? 0 : 1;
    return float(double(ours) / double(words));
  }

 private:
  bool in_target(UChar32 c) const {
    for (const UScriptCode script : scripts_)
      if (uscript_hasScript(c, script)) return true;
    return false;
  }
  // Scripts without spaces between words: each character is a word.
  static bool stands_alone(UChar32 c) {
    for (const UScriptCode script : {USCRIPT_HAN, USCRIPT_HIRAGANA, USCRIPT_KATAKANA, USCRIPT_THAI})
      if (uscript_hasScript(c, script) && u_isalpha(c)) return true;
    return false;
  }
  // Punctuation, symbols and ASCII digits belong to every language; letters, marks and other digits to their script.
  static bool tells(UChar32 c) {
    return c < 0 || u_isalpha(c) || (u_isdigit(c) && c > 0x7F) || (U_GET_GC_MASK(c) & U_GC_NL_MASK);
  }

  void count(std::string_view text, uint64_t &words, uint64_t &ours) const {
    const auto *bytes = reinterpret_cast<const uint8_t *>(text.data());
    const auto size = static_cast<int64_t>(text.size());
    bool within = false, good = true;
    const auto end_word = [&] {
      if (within) ++words, ours += good;
      within = false;
      good = true;
    };
    for (int64_t at = 0; at < size;) {
      UChar32 c;  // negative where the bytes are not UTF-8: of no language
      U8_NEXT(bytes, at, size, c);
      if (c >= 0 && u_isUWhiteSpace(c)) {
        end_word();
      } else if (c >= 0 && stands_alone(c)) {
        end_word();
        ++words, ours += in_target(c);
      } else {
        within = true;
        if (tells(c)) good = good && c >= 0 && (in_target(c) || uscript_hasScript(c, USCRIPT_INHERITED));
      }
    }
    end_word();
  }

  Scripts scripts_;
};

}  // namespace

HONE_PLUGIN("org.hone.language", "1.0.0",
            hone::component<Language>("language", "the share of the thinking's words that are in the target language"));
