// pre_tokenizer.cpp -- the steps, each over all words so far (Hugging Face tokenizers, PreTokenizedString::split).
#include "core/text/pre_tokenizer.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/text/json_member.h"
#include "core/text/newer_characters.h"
#include "core/text/pattern.h"

namespace hone {

const char *const kGpt2Regex = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct PreTokenizer::Step {
  virtual ~Step() = default;
  // `known`: the text as Regex is to see it (newer_characters.h), of the same length.
  virtual void apply(Words &words, std::string_view known) const = 0;
  virtual bool changes_text() const { return false; }
};

namespace {

enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

// What of a word is a match and what lies between, in order.
struct Part {
  Span span;
  bool match;
};

// The parts joined as the behaviour says, into `out`; empty ones are left out.
void join_parts(const std::vector<Part> &parts, Behavior behavior, std::vector<Span> &out) {
  const size_t first = out.size();
  bool before = false;
  const auto add = [&](const Span &span) { out.push_back(span); };
  switch (behavior) {
    case Behavior::removed:
      for (const Part &part : parts)
        if (!part.match) add(part.span);
      break;
    case Behavior::isolated:
      for (const Part &part : parts) add(part.span);
      break;
    case Behavior::contiguous:
    case Behavior::merged_with_previous:
      for (const Part &part : parts) {
        const bool joins = behavior == Behavior::contiguous ? part.match == before : part.match && !before;
        if (joins && out.size() > first)
          out.back().end = part.span.end;
        else
          add(part.span);
        before = part.match;
      }
      break;
    case Behavior::merged_with_next:
      for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        if (part->match && !before && out.size() > first)
          out.back().begin = part->span.begin;
        else
          add(part->span);
        before = part->match;
      }
      std::reverse(out.begin() + first, out.end());
      break;
  }
  out.erase(std::remove_if(out.begin() + first, out.end(), [](const Span &s) { return s.begin == s.end; }), out.end());
}

struct Split final : PreTokenizer::Step {
  Split(Regex p, Behavior b, bool i) : pattern(std::move(p)), behavior(b), invert(i) {}
  void apply(Words &words, std::string_view known) const override {
    std::vector<Span> out, matches;
    std::vector<Part> parts;
    SearchBudget budget(words.text.size());
    out.reserve(words.spans.size() * 2);
    for (const Span &word : words.spans) {
      matches.clear();
      pattern.find_all(known.substr(word.begin, word.end - word.begin), matches, budget);
      parts.clear();
      size_t done = word.begin;
      for (const Span &match : matches) {
        const Span span = {word.begin + match.begin, word.begin + match.end};
        if (done != span.begin) parts.push_back({{done, span.begin}, invert});
        parts.push_back({span, !invert});
        done = span.end;
      }
      if (done != word.end) parts.push_back({{done, word.end}, invert});
      join_parts(parts, behavior, out);
    }
    words.spans.swap(out);
  }
  Regex pattern;
  Behavior behavior;
  bool invert;
};

// Puts `prefix` before words that do not begin with it.
void prefix_words(Words &words, const std::string &prefix, bool only_first) {
  std::string text;
  std::vector<Span> spans;
  for (const Span &word : words.spans) {
    const std::string_view old = std::string_view(words.text).substr(word.begin, word.end - word.begin);
    const size_t begin = text.size();
    if (!old.starts_with(prefix) && (!only_first || (words.at_start && word.begin == 0))) text += prefix;
    text += old;
    spans.push_back({begin, text.size()});
  }
  words.text.swap(text);
  words.spans.swap(spans);
}

struct PrefixSpace final : PreTokenizer::Step {
  void apply(Words &words, std::string_view) const override { prefix_words(words, " ", false); }
  bool changes_text() const override { return true; }
};

struct Metaspace final : PreTokenizer::Step {
  enum class Scheme { always, first, never };
  Metaspace(std::string r, Scheme s, bool cut) : replacement(std::move(r)), scheme(s), split(cut) {}
  void apply(Words &words, std::string_view) const override {
    std::string text;
    std::vector<Span> spans;
    const bool at_start = words.at_start && !words.spans.empty() && words.spans[0].begin == 0;
    for (const Span &word : words.spans) {
      const size_t begin = text.size();
      for (size_t i = word.begin; i < word.end; ++i) {
        if (words.text[i] == ' ')
          text += replacement;
        else
          text += words.text[i];
      }
      spans.push_back({begin, text.size()});
    }
    words.text.swap(text);
    words.spans.swap(spans);
    words.at_start = at_start;
    if (scheme != Scheme::never) prefix_words(words, replacement, scheme == Scheme::first);
    if (!split) return;
    std::vector<Span> out;
    std::vector<Part> parts;
    for (const Span &word : words.spans) {
      parts.clear();
      size_t done = word.begin;
      const std::string_view until = std::string_view(words.text).substr(0, word.end);
      for (size_t at; (at = until.find(replacement, done)) != std::string_view::npos;) {
        if (done != at) parts.push_back({{done, at}, false});
        done = at + replacement.size();
        parts.push_back({{at, done}, true});
      }
      if (done != word.end) parts.push_back({{done, word.end}, false});
      join_parts(parts, Behavior::merged_with_next, out);
    }
    words.spans.swap(out);
  }
  bool changes_text() const override { return true; }
  std::string replacement;
  Scheme scheme;
  bool split;
};

Behavior read_behavior(const nlohmann::json &json, const std::string &where) {
  const std::string &name = json_text(json, "behavior", where);
  if (name == "Removed") return Behavior::removed;
  if (name == "Isolated") return Behavior::isolated;
  if (name == "MergedWithPrevious") return Behavior::merged_with_previous;
  if (name == "MergedWithNext") return Behavior::merged_with_next;
  if (name == "Contiguous") return Behavior::contiguous;
  throw Failure(where + ": behavior \"" + name +
                "\" is none of Removed, Isolated, MergedWithPrevious, MergedWithNext and Contiguous");
}

std::shared_ptr<const PreTokenizer::Step> read_metaspace(const nlohmann::json &json, const std::string &where) {
  const nlohmann::json &replacement = json_member(json, "replacement");
  const std::string text = replacement.is_null() ? "▁" : json_text(json, "replacement", where);
  if (text.empty()) throw Failure(where + ": replacement is empty");
  const nlohmann::json &named = json_member(json, "prepend_scheme");
  const std::string scheme = named.is_null() ? (json_bool(json, "add_prefix_space", true, where) ? "always" : "never")
                                             : json_text(json, "prepend_scheme", where);
  if (scheme != "always" && scheme != "first" && scheme != "never")
    throw Failure(where + ": prepend_scheme \"" + scheme + "\" is none of always, first and never");
  return std::make_shared<Metaspace>(text,
                                     scheme == "always"  ? Metaspace::Scheme::always
                                     : scheme == "first" ? Metaspace::Scheme::first
                                                         : Metaspace::Scheme::never,
                                     json_bool(json, "split", true, where));
}

}  // namespace

PreTokenizer::PreTokenizer(const nlohmann::json &json, const std::string &where) {
  if (!json.is_null()) read(json, where + ": pre_tokenizer");
}

void PreTokenizer::read(const nlohmann::json &json, const std::string &where) {
  const std::string type = json_component(json);
  const auto split = [&](const std::string &pattern, Behavior behavior, bool invert = false) {
    steps_.push_back(std::make_shared<Split>(Regex(pattern, where), behavior, invert));
  };
  if (type == "Sequence") {
    const nlohmann::json &list = json_member(json, "pretokenizers");
    if (!list.is_array()) throw Failure(where + ".pretokenizers must be a list, but it is " + json_shown(list));
    for (size_t i = 0; i < list.size(); ++i) read(list[i], where + ".pretokenizers[" + std::to_string(i) + "]");
    return;
  }
  if (byte_level_)
    throw Failure(where + " \"" + type + "\" stands after ByteLevel, which hone reads only as the last of a sequence");
  if (type == "Split") {
    steps_.push_back(std::make_shared<Split>(read_pattern(json, where), read_behavior(json, where),
                                             json_bool(json, "invert", false, where)));
  } else if (type == "Digits") {
    // Rust's numeric characters: those of Unicode 17, two ranges more than Oniguruma's \p{N}.
    split(R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])",
          json_bool(json, "individual_digits", false, where) ? Behavior::isolated : Behavior::contiguous);
  } else if (type == "Whitespace") {
    // Rust's \w: Oniguruma's within a set, and the joiners.
    split(R"([\w\u200C\u200D]+|[^\w\u200C\u200D\s]+)", Behavior::removed, true);
  } else if (type == "WhitespaceSplit") {
    split(R"(\s)", Behavior::removed);
  } else if (type == "Metaspace") {
    steps_.push_back(read_metaspace(json, where));
  } else if (type == "ByteLevel") {
    if (json_bool(json, "add_prefix_space", true, where)) steps_.push_back(std::make_shared<PrefixSpace>());
    if (json_bool(json, "use_regex", true, where)) split(kGpt2Regex, Behavior::isolated);
    byte_level_ = true;
  } else {
    throw Failure(where + " \"" + type +
                  "\" is not supported; hone reads Split, Digits, Whitespace, WhitespaceSplit, Metaspace, "
                  "ByteLevel and Sequence");
  }
}

Words PreTokenizer::operator()(std::string_view text, bool at_start) const {
  Words words{std::string(text), {}, at_start};
  if (!text.empty()) words.spans.push_back({0, text.size()});
  std::string stand_ins;
  bool looked = false, other = false;
  for (const auto &step : steps_) {
    if (step->changes_text()) {
      step->apply(words, {});
      looked = false;
      continue;
    }
    if (!looked) other = with_stand_ins(words.text, stand_ins);
    looked = true;
    step->apply(words, other ? std::string_view(stand_ins) : std::string_view(words.text));
  }
  return words;
}

}  // namespace hone
