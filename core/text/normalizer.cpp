// normalizer.cpp -- Unicode's normalisation forms by ICU (UAX 15), kept to the characters of Unicode 9.
#include "core/text/normalizer.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/base/failure.h"
#include "core/text/json_member.h"
#include "core/text/pattern.h"

namespace hone {
namespace {

bool ascii(std::string_view text) {
  for (char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

// The tokenizers library's tables are of Unicode 9 (measured over all combining marks): later characters stay as they
// are.
const icu::UnicodeSet &unicode_9() {
  static const std::unique_ptr<const icu::UnicodeSet> set = [] {
    UErrorCode error = U_ZERO_ERROR;
    auto made = std::make_unique<icu::UnicodeSet>(icu::UnicodeString("[:age=9.0:]"), error);
    if (U_FAILURE(error)) throw Failure(std::string("ICU: the characters of Unicode 9: ") + u_errorName(error));
    made->freeze();
    return made;
  }();
  return *set;
}

// ICU puts each mark into its place among those before it, which takes a run of n out of order n * n steps. So long
// runs are put into canonical order first, decomposed: a canonically equivalent text (UAX 15, D109), of the same normal
// forms.
void order_long_runs(icu::UnicodeString &text, const icu::Normalizer2 &nfd) {
  constexpr int32_t longest = 32;
  icu::UnicodeString out;
  bool changed = false;
  int32_t done = 0;  // in `text`; `out` has what is before
  for (int32_t begin = 0; begin < text.length();) {
    int32_t end = begin, marks = 0;
    std::vector<std::pair<uint8_t, UChar32>> run;
    for (UChar32 c; end < text.length(); end += U16_LENGTH(c), ++marks) {
      c = text.char32At(end);
      if (c < 0x300 || !u_getIntPropertyValue(c, UCHAR_LEAD_CANONICAL_COMBINING_CLASS) || !unicode_9().contains(c))
        break;
    }
    if (marks > longest) {
      icu::UnicodeString parts;
      for (int32_t at = begin; at < end; at = text.moveIndex32(at, 1)) {
        const UChar32 c = text.char32At(at);
        if (!nfd.getDecomposition(c, parts)) parts = icu::UnicodeString(c);
        for (int32_t i = 0; i < parts.length(); i = parts.moveIndex32(i, 1))
          run.emplace_back(u_getCombiningClass(parts.char32At(i)), parts.char32At(i));
      }
      std::stable_sort(run.begin(), run.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
      out.append(text, done, begin - done);
      for (const auto &[order, c] : run) out.append(c);
      done = end;
      changed = true;
    }
    begin = marks > 0 ? end : text.moveIndex32(begin, 1);
  }
  if (!changed) return;
  out.append(text, done, text.length() - done);
  text = std::move(out);
}

std::function<std::string(std::string)> form(const std::string &name, const std::string &where) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2 *whole = name == "NFC"    ? icu::Normalizer2::getNFCInstance(error)
                                  : name == "NFD"  ? icu::Normalizer2::getNFDInstance(error)
                                  : name == "NFKC" ? icu::Normalizer2::getNFKCInstance(error)
                                                   : icu::Normalizer2::getNFKDInstance(error);
  if (U_FAILURE(error)) throw Failure(where + ": ICU has no " + name + ": " + u_errorName(error));
  const icu::Normalizer2 *nfd = icu::Normalizer2::getNFDInstance(error);
  if (U_FAILURE(error)) throw Failure(where + ": ICU has no NFD: " + u_errorName(error));
  const auto kept = std::make_shared<const icu::FilteredNormalizer2>(*whole, unicode_9());
  return [kept, nfd](std::string text) {
    if (ascii(text)) return text;
    UErrorCode status = U_ZERO_ERROR;
    // The other normalize(), by value, is the base class's, which the filter hides.
    icu::UnicodeString out;
    icu::UnicodeString in = icu::UnicodeString::fromUTF8(text);
    order_long_runs(in, *nfd);
    kept->normalize(in, out, status);
    if (U_FAILURE(status)) throw Failure(std::string("normalising a text with ICU failed: ") + u_errorName(status));
    text.clear();
    return out.toUTF8String(text);
  };
}

}  // namespace

Normalizer::Normalizer(const nlohmann::json &json, const std::string &where) {
  if (!json.is_null()) read(json, where + ": normalizer");
}

void Normalizer::read(const nlohmann::json &json, const std::string &where) {
  const std::string type = json_component(json);
  if (type == "Sequence") {
    const nlohmann::json &list = json_member(json, "normalizers");
    if (!list.is_array()) throw Failure(where + ".normalizers must be a list, but it is " + json_shown(list));
    for (size_t i = 0; i < list.size(); ++i) read(list[i], where + ".normalizers[" + std::to_string(i) + "]");
  } else if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    steps_.push_back(form(type, where));
  } else if (type == "Prepend") {
    steps_.push_back(
        [before = json_text(json, "prepend", where)](std::string text) { return text.empty() ? text : before + text; });
  } else if (type == "Replace") {
    steps_.push_back([pattern = read_pattern(json, where), content = json_text(json, "content", where)](
                         std::string text) { return replaced(pattern, text, content); });
  } else {
    throw Failure(where + " \"" + type +
                  "\" is not supported; hone reads NFC, NFD, NFKC, NFKD, Prepend, Replace and Sequence");
  }
}

std::string Normalizer::operator()(std::string_view text) const {
  std::string out(text);
  for (const auto &step : steps_) {
    out = step(std::move(out));
    if (out.size() / 64 > text.size() + 65536)
      throw Failure("the tokenizer's normalizer made " + std::to_string(out.size()) + " bytes of a text of " +
                    std::to_string(text.size()) + "; is its tokenizer.json damaged?");
  }
  return out;
}

}  // namespace hone
