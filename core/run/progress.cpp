// progress.cpp -- one moving line on a terminal; plain lines now and then elsewhere.
#include "core/run/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>

#include "core/base/log.h"
#include "core/base/text.h"

namespace hone {

namespace {

using Clock = std::chrono::steady_clock;

// One lock for the terminal's last line: a log line from any thread wipes it first.
std::mutex &line_lock() {
  static auto *lock = new std::mutex;
  return *lock;
}
bool line_shown = false;

void wipe_line() {
  const std::lock_guard hold(line_lock());
  if (!line_shown) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  line_shown = false;
}

// At most `columns` wide, cut between UTF-8 characters, without anything that would move the cursor.
std::string fitted(const std::string &text, size_t columns) {
  std::string out;
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if ((c & 0xC0) != 0x80 && ++width > columns) break;
    out += c < 0x20 || c == 0x7F ? ' ' : text[i];
  }
  return out;
}

size_t terminal_columns() {
  winsize size{};
  return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col - 1u : 79u;
}

}  // namespace

struct Progress::State {
  std::string what, note;
  uint64_t total = 0, done = 0;
  bool terminal = false, any = false;
  Clock::time_point begin = Clock::now(), shown{};
  uint64_t first_done = 0;  // a resumed stage does not begin at 0, and its ETA must not think that it did

  double elapsed() const { return std::chrono::duration<double>(Clock::now() - begin).count(); }

  std::string line(bool last) const {
    std::string out = what + "  " + std::to_string(done) + "/" + std::to_string(total);
    if (total > 0) out += "  " + std::to_string(done >= total ? 100 : done * 100 / total) + "%";
    out += "  " + human_seconds(elapsed());
    if (!last && done > first_done && done < total)
      out += "  left " + human_seconds(elapsed() / double(done - first_done) * double(total - done));
    if (!note.empty()) out += "  " + note;
    return out;
  }

  void show() {
    shown = Clock::now();
    if (!terminal) {
      log_info(line(false));
      return;
    }
    const std::string text = fitted(line(false), terminal_columns());
    const std::lock_guard hold(line_lock());
    std::fprintf(stderr, "\r%s\033[K", text.c_str());
    std::fflush(stderr);
    line_shown = true;
  }
};

Progress::Progress(std::string what, uint64_t total) : state_(std::make_unique<State>()) {
  state_->what = std::move(what);
  state_->total = total;
  state_->terminal = isatty(2) == 1;
  if (state_->terminal) log_before_line(wipe_line);
}

Progress::~Progress() {
  if (!state_->any) return;
  try {
    if (state_->terminal) wipe_line();
    log_info(state_->line(true));
  } catch (...) {  // a line less is no reason to end the program
  }
}

void Progress::update(uint64_t done, const std::string &note) {
  State &s = *state_;
  if (!s.any) {
    s.any = true;
    s.begin = Clock::now();
    s.first_done = done > 0 ? done - 1 : 0;
    s.shown = s.terminal ? Clock::time_point{} : s.begin;
    if (done > 0) s.first_done = done;
  }
  s.done = done;
  s.note = note;
  // 10 times a second is as fast as anyone reads; a file gets a line every 10 seconds.
  if (Clock::now() - s.shown >= (s.terminal ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10'000))) s.show();
}

}  // namespace hone
