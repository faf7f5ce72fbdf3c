// regex_translation.cpp -- one pass over the expression (Oniguruma's doc/RE, syntax ONIG_SYNTAX_RUBY; man
// pcre2pattern).
#include "core/text/regex_translation.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <vector>

#include "core/base/failure.h"

namespace hone {
namespace {

// Oniguruma's \w: alphabetic characters, marks, decimal digits and connectors; outside of [...] also the superscripts
// and fractions of Latin-1 (both measured over all code points).
constexpr const char *kWord =
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{"
    "1F189}";
constexpr const char *kLatin1Numerals = "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";

constexpr std::array kCategories = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N", "Nd",
                                    "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm",
                                    "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "Cc", "Cf", "Co"};
constexpr std::array kLongNames = {std::pair{"letter", "L"}, std::pair{"mark", "M"},
                                   std::pair{"number", "N"}, std::pair{"punctuation", "P"},
                                   std::pair{"symbol", "S"}, std::pair{"separator", "Z"}};

std::string lower(std::string_view text) {
  std::string out;
  for (char c : text)
    if (c != ' ' && c != '_' && c != '-') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

class Translation {
 public:
  Translation(const std::string &pattern, const std::string &where) : in_(pattern), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      switch (c) {
        case '\\':
          atom(), escape(false);
          break;
        case '[':
          atom(), set();
          break;
        case '(':
          open();
          break;
        case ')':
          close();
          break;
        case '{':
          interval();
          break;
        case '*':
        case '+':
        case '?':
          out_ += in_[at_++];
          if (at_ < in_.size() && (in_[at_] == '?' || in_[at_] == '+')) out_ += in_[at_++];
          atom_ = std::string::npos;
          break;
        case '|':
        case '^':
        case '$':
          out_ += in_[at_++];
          atom_ = std::string::npos;
          break;
        default:
          atom(), character();
      }
    }
    if (!groups_.empty()) refuse("a \"(\" that is never closed");
    return out_;
  }

 private:
  [[noreturn]] void refuse(const std::string &what) const {
    throw Failure(where_ + ": the regular expression \"" + in_ + "\" has " + what + ", which hone does not read");
  }
  void atom() { atom_ = out_.size(); }
  bool next_is(std::string_view text) const { return std::string_view(in_).substr(at_, text.size()) == text; }

  void character() {  // one code point, literally
    do out_ += in_[at_++];
    while (at_ < in_.size() && (static_cast<unsigned char>(in_[at_]) & 0xC0) == 0x80);
  }

  void open() {
    groups_.push_back(out_.size());
    if (groups_.size() > 100) refuse("groups nested more than 100 deep");
    for (std::string_view kind : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:"})
      if (next_is(kind)) {
        out_ += kind;
        at_ += kind.size();
        atom_ = std::string::npos;
        return;
      }
    if (at_ == 0 && next_is("(?i)")) {
      out_ += "(?i)";
      at_ += 4;
      groups_.pop_back();
      return;
    }
    if (next_is("(?") || next_is("(*")) refuse("the group \"" + in_.substr(at_, 4) + "...\"");
    out_ += "(?:";  // nothing here refers back to a group
    ++at_;
    atom_ = std::string::npos;
  }

  void close() {
    if (groups_.empty()) refuse("a \")\" that nothing opens");
    atom_ = groups_.back();
    groups_.pop_back();
    out_ += in_[at_++];
  }

  std::string digits(size_t &at) const {
    std::string text;
    while (at < in_.size() && std::isdigit(static_cast<unsigned char>(in_[at]))) text += in_[at++];
    return text;
  }

  // {n}, {n,}, {n,m} and {,m} count; any other brace is a character.
  void interval() {
    size_t at = at_ + 1;
    std::string least = digits(at), most;
    const bool comma = at < in_.size() && in_[at] == ',';
    if (comma) most = digits(++at);
    if (at >= in_.size() || in_[at] != '}' || (least.empty() && most.empty())) {
      atom();
      out_ += "\\{";
      ++at_;
      return;
    }
    if (atom_ == std::string::npos)
      refuse("the count \"" + in_.substr(at_, at + 1 - at_) + "\" after nothing that repeats");
    if (least.empty()) least = "0";
    if (least.size() > 5 || most.size() > 5) refuse("a count above 65535");
    if (!most.empty() && std::stoi(most) < std::stoi(least)) refuse("a count whose end is before its start");
    out_ += "{" + least + (comma ? "," + most : "") + "}";
    at_ = at + 1;
    const char next = at_ < in_.size() ? in_[at_] : '\0';
    if (next == '+' || (next == '?' && !comma)) {  // not possessive, not lazy: the counted atom is repeated again
      out_.insert(atom_, "(?:");
      out_ += ')';
      return;
    }
    if (next == '?') out_ += in_[at_++];
    atom_ = std::string::npos;
  }

  void property() {
    const bool outside = in_[at_] == 'P';
    const size_t open = at_ + 1, end = in_.find('}', open);
    if (open >= in_.size() || in_[open] != '{' || end == std::string::npos) refuse("\\p without {NAME}");
    std::string name = in_.substr(open + 1, end - open - 1);
    at_ = end + 1;
    bool negated = outside;
    if (name.starts_with("^")) negated = !negated, name.erase(0, 1);
    if (name.empty() || !std::all_of(name.begin(), name.end(), [](char c) {
          return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == ' ' || c == '-';
        }))
      refuse("the property \"" + name + "\"");
    out_ += negated ? "\\P{" : "\\p{";
    for (const char *category : kCategories)
      if (lower(name) == lower(category)) {
        out_ += std::string(category) + "}";
        return;
      }
    for (const auto &[spelled, category] : kLongNames)
      if (lower(name) == spelled) {
        out_ += std::string(category) + "}";
        return;
      }
    if (name.size() < 3) refuse("the property \"" + name + "\"");
    out_ += "sc:" + name + "}";  // a script; PCRE2 refuses what it does not know
  }

  void code_point() {  // after \x or \u, at the letter
    const bool four = in_[at_] == 'u';
    size_t at = at_ + 1;
    const bool braced = !four && at < in_.size() && in_[at] == '{';
    if (braced) ++at;
    std::string hex;
    while (at < in_.size() &&
           hex.size() < (four     ? 4u
                         : braced ? 8u
                                  : 2u) &&
           std::isxdigit(static_cast<unsigned char>(in_[at])))
      hex += in_[at++];
    if (hex.empty() || (four && hex.size() != 4) || (braced && (at >= in_.size() || in_[at++] != '}')))
      refuse("\\" + std::string(1, in_[at_]) + " without a number");
    if (!four && !braced && std::stoul(hex, nullptr, 16) > 0x7F) refuse("\\x" + hex + ", a byte outside ASCII");
    out_ += "\\x{" + hex + "}";
    at_ = at;
  }

  void escape(bool in_set) {
    if (++at_ >= in_.size()) refuse("a \"\\\" at its end");
    const char c = in_[at_];
    if (!std::isalnum(static_cast<unsigned char>(c))) {
      if (static_cast<unsigned char>(c) < 0x80) out_ += '\\';
      return character();
    }
    if (c == 'p' || c == 'P') return property();
    if (c == 'x' || c == 'u') return code_point();
    ++at_;
    switch (c) {
      case 's':
      case 'S':
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        out_ += {'\\', c};
        return;
      case 'v':
        out_ += "\\x{B}";
        return;
      case 'd':
        out_ += "\\p{Nd}";
        return;
      case 'D':
        out_ += "\\P{Nd}";
        return;
      case 'w':
        out_ += in_set ? kWord : "[" + std::string(kLatin1Numerals) + kWord + "]";
        return;
      case 'W':
        if (!in_set) {
          out_ += "[^" + std::string(kLatin1Numerals) + kWord + "]";
          return;
        }
        break;
      case 'A':
      case 'z':
      case 'Z':
        if (!in_set) {
          out_ += {'\\', c};
          atom_ = std::string::npos;
          return;
        }
        break;
      default:
        break;
    }
    refuse("\"\\" + std::string(1, c) + "\"" + (in_set ? " within [...]" : ""));
  }

  void set() {
    out_ += in_[at_++];
    if (next_is("^")) out_ += in_[at_++];
    if (next_is("]")) refuse("an empty set []");
    while (true) {
      if (at_ >= in_.size()) refuse("a \"[\" that is never closed");
      if (next_is("]")) break;
      if (next_is("[")) refuse("a set within a set");
      if (next_is("&&")) refuse("\"&&\" within [...]");
      if (in_[at_] == '\\')
        escape(true);
      else
        character();
    }
    out_ += in_[at_++];
  }

  const std::string &in_, &where_;
  std::string out_;
  size_t at_ = 0;
  size_t atom_ = std::string::npos;  // where in out_ the last thing that a count may follow begins
  std::vector<size_t> groups_;       // where in out_ the open groups begin
};

}  // namespace

std::string translated_regex(const std::string &oniguruma, const std::string &where) {
  if (oniguruma.size() > 65536)
    throw Failure(where + ": a regular expression of " + std::to_string(oniguruma.size()) +
                  " bytes; hone reads at most 65536");
  return Translation(oniguruma, where).run();
}

}  // namespace hone
