// regex.cpp -- PCRE2 behind Regex: compile once, match with what belongs to the thread.
#include "core/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cctype>

#include "core/base/failure.h"
#include "core/text/regex_translation.h"

namespace hone {
namespace {

constexpr uint64_t kFreeSteps = 20'000'000, kStepsPerByte = 256;  // of a search; sound expressions take a few a byte
constexpr uint32_t kFirstSteps = 1000, kMostSteps = 20'000'000;   // of one match: to begin with, at most
constexpr size_t kFirstWindow = 4096;                             // bytes that a match sees to begin with
constexpr uint32_t kMostHeapKiB = 256 * 1024;                     // of one match of the interpreter
constexpr size_t kMostJitStack = 8 * 1024 * 1024;

// What a thread needs to match: reused, so that a match allocates nothing.
struct Workspace {
  pcre2_match_data *data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context *context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack *stack = pcre2_jit_stack_create(32 * 1024, kMostJitStack, nullptr);
  Workspace() {
    if (!data || !context) throw Failure("out of memory for matching a regular expression");
    pcre2_set_heap_limit(context, kMostHeapKiB);
    if (stack) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Workspace() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  Workspace(const Workspace &) = delete;
  Workspace &operator=(const Workspace &) = delete;
};

std::string message_of(int error) {
  PCRE2_UCHAR text[256];
  return pcre2_get_error_message(error, text, sizeof text) < 0 ? "error " + std::to_string(error)
                                                               : std::string(reinterpret_cast<char *>(text));
}

}  // namespace

struct Regex::Code {
  std::string pattern, where;
  pcre2_code *compiled = nullptr;
  bool jit = false;
  Code(std::string p, std::string w) : pattern(std::move(p)), where(std::move(w)) {}
  ~Code() { pcre2_code_free(compiled); }
  Code(const Code &) = delete;
  Code &operator=(const Code &) = delete;
};

Regex::Regex(const std::string &pattern, const std::string &where) {
  auto code = std::make_shared<Code>(pattern, where);
  const std::string translated = translated_regex(pattern, where);
  pcre2_compile_context *context = pcre2_compile_context_create(nullptr);
  if (!context) throw Failure("out of memory for a regular expression");
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE at = 0;
  code->compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &at, context);
  pcre2_compile_context_free(context);
  if (!code->compiled)
    throw Failure(where + ": the regular expression \"" + pattern + "\" does not compile: " + message_of(error) +
                  " (at byte " + std::to_string(at) + " of \"" + translated + "\")");
  code->jit = pcre2_jit_compile(code->compiled, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD) ==
              0;  // else the interpreter gives the same
  code_ = std::move(code);
}

std::string Regex::escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x80 && std::ispunct(static_cast<unsigned char>(c))) out += '\\';
    out += c;
  }
  return out;
}

SearchBudget::SearchBudget(size_t text_bytes) : steps(kFreeSteps + kStepsPerByte * text_bytes) {}

void Regex::find_all(std::string_view text, std::vector<Span> &matches) const {
  SearchBudget budget(text.size());
  find_all(text, matches, budget);
}

// PCRE2 counts only some of its steps, and tells how many it took of no match. So a match begins with a small limit and
// a short window of the text: where it reaches the one or looks beyond the other (PCRE2_PARTIAL_HARD), it is done again
// with more, which the search pays for.
void Regex::find_all(std::string_view text, std::vector<Span> &matches, SearchBudget &budget) const {
  thread_local Workspace workspace;
  const auto *subject = reinterpret_cast<PCRE2_SPTR>(text.data() ? text.data() : "");
  const PCRE2_SIZE *found = pcre2_get_ovector_pointer(workspace.data);
  size_t from = 0, last_end = std::string_view::npos, window = kFirstWindow;
  uint32_t steps = kFirstSteps;
  const auto failed = [&](const std::string &why) {
    return Failure(code_->where + ": matching the regular expression \"" + code_->pattern + "\" at byte " +
                   std::to_string(from) + " of a text of " + std::to_string(text.size()) + " bytes failed: " + why);
  };
  const auto pay = [&](uint64_t price) {
    if (price > budget.steps) throw failed("the search takes too many steps for its length");
    budget.steps -= price;
  };
  while (from <= text.size()) {
    size_t end = std::min(text.size(), from + window);
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    const bool whole = end == text.size();
    const uint32_t partial = whole ? 0 : PCRE2_PARTIAL_HARD;
    pcre2_set_match_limit(workspace.context, steps);
    int count = PCRE2_ERROR_JIT_STACKLIMIT;
    if (code_->jit)
      count = pcre2_jit_match(code_->compiled, subject, end, from, partial, workspace.data, workspace.context);
    if (count == PCRE2_ERROR_JIT_STACKLIMIT)
      count = pcre2_match(code_->compiled, subject, end, from, partial | PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                          workspace.data, workspace.context);
    if (count == PCRE2_ERROR_PARTIAL) {
      pay(end - from);
      window = 4 * (end - from);
      continue;
    }
    if (count == PCRE2_ERROR_MATCHLIMIT && steps < kMostSteps) {
      pay(steps);
      steps = std::min(kMostSteps, 8 * steps);
      continue;
    }
    window = kFirstWindow;
    steps = kFirstSteps;
    // An empty match at the end of the window may be there for want of what follows.
    if (!whole && (count == PCRE2_ERROR_NOMATCH || (count > 0 && found[0] == end))) {
      from = end;
      continue;
    }
    if (count == PCRE2_ERROR_NOMATCH) return;
    if (count < 0) throw failed(message_of(count));
    const size_t begin = found[0];
    end = found[1];
    if (begin == end && end == last_end) {
      ++from;
      while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) ++from;
      continue;
    }
    from = last_end = end;
    matches.push_back({begin, end});
  }
}

}  // namespace hone
