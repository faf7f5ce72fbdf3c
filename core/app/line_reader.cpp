// line_reader.cpp -- see line_reader.h.
#include "core/app/line_reader.h"

#include <errno.h>
#include <histedit.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <iostream>
#include <utility>

#include "core/base/failure.h"

namespace hone {

struct LineReader::Editor {
  Editor() {
    // Of characters only; numbers keep their point. A machine without languages still has C.UTF-8.
    if (const char *known = std::setlocale(LC_CTYPE, ""); !known || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
    line = el_init("hone", stdin, stderr, stderr);
    history = history_init();
    if (!line || !history) throw Failure("cannot read lines from this terminal; give them on stdin instead: echo LINE | hone chat ...");
    HistEvent event;
    ::history(history, &event, H_SETSIZE, 1000);
    ::history(history, &event, H_SETUNIQUE, 1);
    el_set(line, EL_PROMPT, +[](EditLine *) { return const_cast<char *>("> "); });
    el_set(line, EL_EDITOR, "emacs");
    el_set(line, EL_HIST, ::history, history);
    el_set(line, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(line, EL_BIND, "^@", "ed-end-of-file", nullptr);  // what a ctrl-D before the prompt comes as
  }
  ~Editor() {
    if (line) el_end(line);
    if (history) history_end(history);
  }
  EditLine *line = nullptr;
  History *history = nullptr;
};

LineReader::LineReader(std::atomic<bool> &stopped) : stopped_(stopped) {
  if (isatty(STDIN_FILENO)) editor_ = std::make_unique<Editor>();
}

LineReader::~LineReader() = default;

LineReader::Next LineReader::next(std::string &line) { return editor_ ? next_of_terminal(line) : next_of_stream(line); }

LineReader::Next LineReader::next_of_terminal(std::string &line) {
  for (;;) {
    int count = 0;
    const char *text = el_gets(editor_->line, &count);
    if (!text || count <= 0) {
      if (stopped_.exchange(false)) {
        el_reset(editor_->line);
        return Next::interrupted;
      }
      if (count < 0 && errno == EINTR) continue;  // another signal: ask again
      return Next::end;
    }
    line.assign(text, static_cast<size_t>(count));
    while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) {
      HistEvent event;
      ::history(editor_->history, &event, H_ENTER, line.c_str());
    }
    return Next::line;
  }
}

// std::getline would take a signal for the end.
LineReader::Next LineReader::next_of_stream(std::string &line) {
  for (;;) {
    if (const size_t end = held_.find('\n'); end != std::string::npos) {
      line = held_.substr(0, end);
      held_.erase(0, end + 1);
      if (line.ends_with('\r')) line.pop_back();
      return Next::line;
    }
    char bytes[4096];
    const ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got > 0) {
      held_.append(bytes, static_cast<size_t>(got));
    } else if (got < 0 && errno == EINTR) {
      if (stopped_.exchange(false)) return Next::interrupted;
    } else if (!held_.empty()) {  // the last line without a newline
      line = std::exchange(held_, {});
      return Next::line;
    } else {
      return Next::end;
    }
  }
}

}  // namespace hone
