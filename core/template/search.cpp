// search.cpp -- see search.h. Places where the first byte stands are looked for, and each is compared byte by byte.
#include "core/template/search.h"

#include <algorithm>

namespace hone::jinja {
namespace {

// Bytes that were looked at, told to the Store now and then and at the end.
class Work {
 public:
  explicit Work(Store &store) : store_(store) { store_.step(); }
  void add(size_t bytes) {
    bytes_ += bytes;
    if (bytes_ < 4096) return;
    store_.step(bytes_ / 16);
    bytes_ = 0;
  }
  void finish() { store_.step(bytes_ / 16); }

 private:
  Store &store_;
  size_t bytes_ = 0;
};

bool stands(Work &work, std::string_view text, size_t at, std::string_view wanted) {
  for (size_t done = 0; done < wanted.size(); done += 64) {
    const std::string_view part = wanted.substr(done, 64);
    work.add(part.size());
    if (text.substr(at + done, part.size()) != part) return false;
  }
  return true;
}

}  // namespace

size_t find_text(Store &store, std::string_view text, std::string_view wanted, size_t from) {
  if (from > text.size() || wanted.size() > text.size() - from) return std::string_view::npos;
  if (wanted.empty()) return from;
  Work work(store);
  const size_t last = text.size() - wanted.size();
  while (from <= last) {
    const size_t at = text.substr(0, last + 1).find(wanted[0], from);
    work.add(std::min(at, last + 1) - from);
    if (at == std::string_view::npos) break;
    if (stands(work, text, at, wanted)) {
      work.finish();
      return at;
    }
    from = at + 1;
  }
  work.finish();
  return std::string_view::npos;
}

size_t find_last_text(Store &store, std::string_view text, std::string_view wanted) {
  if (wanted.size() > text.size()) return std::string_view::npos;
  if (wanted.empty()) return text.size();
  Work work(store);
  for (size_t end = text.size() - wanted.size() + 1; end > 0;) {  // places before `end` are left
    const size_t at = text.substr(0, end).rfind(wanted[0]);
    work.add(at == std::string_view::npos ? end : end - at);
    if (at == std::string_view::npos) break;
    if (stands(work, text, at, wanted)) {
      work.finish();
      return at;
    }
    end = at;
  }
  work.finish();
  return std::string_view::npos;
}

}  // namespace hone::jinja
