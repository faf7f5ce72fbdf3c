// normalizer_test.cpp -- Unicode's normal forms against ICU itself, and runs of combining marks that ICU alone takes
// long for.
#include "core/text/normalizer.h"

#include <gtest/gtest.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include <nlohmann/json.hpp>
#include <random>

namespace hone {
namespace {

// Plain ICU, kept to Unicode 9 as the tokenizers library is.
std::string reference(const std::string &form, const icu::UnicodeString &text) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2 *whole = form == "NFC"    ? icu::Normalizer2::getNFCInstance(error)
                                  : form == "NFD"  ? icu::Normalizer2::getNFDInstance(error)
                                  : form == "NFKC" ? icu::Normalizer2::getNFKCInstance(error)
                                                   : icu::Normalizer2::getNFKDInstance(error);
  const icu::UnicodeSet old("[:age=9.0:]", error);
  icu::UnicodeString out;
  icu::FilteredNormalizer2(*whole, old).normalize(text, out, error);
  EXPECT_TRUE(U_SUCCESS(error));
  std::string bytes;
  return out.toUTF8String(bytes);
}

TEST(Normalizer, PutsLongRunsOfMarksInTheOrderThatIcuDoes) {
  // Of several combining classes; some decompose, some begin with a mark though their class is 0, some are newer than
  // Unicode 9 (U+1ABF, U+1DF6), and some are none.
  const UChar32 letters[] = {0x300,   0x301, 0x316, 0x323,  0x327,  0x344,  0x340,  0xF71,  0xF72,
                             0xF73,   0xF75, 0xF81, 0x1ABF, 0x1DF6, 0x5B0,  0x64B,  0x3099, 0x1D165,
                             0x1E130, 0x34F, 'a',   0x1EA5, 0x1100, 0x1161, 0x11A8, 0x212B, 0xFB03};
  std::mt19937 random(3);
  for (const char *form : {"NFC", "NFD", "NFKC", "NFKD"}) {
    const Normalizer normalizer({{"type", form}}, "test");
    size_t long_runs = 0;
    for (int trial = 0; trial < 500; ++trial) {
      icu::UnicodeString text;
      for (uint32_t parts = random() % 4; parts > 0; --parts) {
        text.append(letters[random() % std::size(letters)]);
        const uint32_t run = random() % 120, kinds = trial % 2 ? 12 : 19;
        long_runs += run > 33;
        for (uint32_t i = 0; i < run; ++i) text.append(letters[random() % kinds]);
      }
      std::string bytes;
      text.toUTF8String(bytes);
      ASSERT_EQ(normalizer(bytes), reference(form, text)) << form << " trial " << trial;
    }
    EXPECT_GT(long_runs, 100u);
  }
}

// ICU alone would move 10^11 marks here.
TEST(Normalizer, FinishesOnAMegabyteOfMarksOutOfOrder) {
  for (const char *pair : {"\u0301\u0316", "\u0F73\u0F72"}) {
    std::string text = "a";
    while (text.size() < 1 << 20) text += pair;
    for (const char *form : {"NFC", "NFKD"}) {
      const std::string out = Normalizer({{"type", form}}, "test")(text);
      EXPECT_GT(out.size(), text.size() / 2);
    }
  }
}

}  // namespace
}  // namespace hone
