// text_editing.cpp -- see text_editing.h.
#include "core/template/text_editing.h"

#include "core/template/search.h"
#include "core/template/unicode.h"

namespace hone::jinja {

std::string replaced(Store &store, std::string_view text, std::string_view old, std::string_view with, int64_t count) {
  Output out(store);
  uint64_t left = count < 0 ? UINT64_MAX : static_cast<uint64_t>(count);
  size_t at = 0;
  if (old.empty()) {  // before every character and at the end
    for (; left > 0; --left) {
      out.append(with);
      if (at >= text.size()) return out.text();
      const size_t bytes = character_bytes(text, at);
      out.append(text.substr(at, bytes));
      at += bytes;
    }
  }
  for (; left > 0 && !old.empty(); --left) {
    const size_t found = find_text(store, text, old, at);
    if (found == std::string::npos) break;
    out.append(text.substr(at, found - at));
    out.append(with);
    at = found + old.size();
  }
  out.append(text.substr(at));
  return out.text();
}

std::string aligned(Store &store, const std::string &text, int64_t width, std::string_view fill, char align) {
  store.read(text.size());
  const auto length = static_cast<int64_t>(character_count(text));
  if (width <= length) return text;
  const int64_t room = width - length;
  store.check_text(static_cast<uint64_t>(room));
  // str.center puts the odd place to the left when the width is odd.
  const int64_t left = align == '<' ? 0 : align == '>' ? room : room / 2 + (room & width & 1);
  Output out(store);
  for (int64_t i = 0; i < left; ++i) out.append(fill);
  out.append(text);
  for (int64_t i = left; i < room; ++i) out.append(fill);
  return out.text();
}

}  // namespace hone::jinja
