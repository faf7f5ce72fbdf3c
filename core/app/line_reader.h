// line_reader.h -- lines of stdin for a conversation: on a terminal with the keys for editing and recalling them (libedit).
#pragma once

#include <atomic>
#include <memory>
#include <string>

namespace hone {

// One at a time in a process.
class LineReader {
 public:
  enum class Next { line, end, interrupted };

  // stopped: what the program's handler of SIGINT, installed without SA_RESTART, sets.
  explicit LineReader(std::atomic<bool> &stopped);
  ~LineReader();

  bool is_terminal() const { return editor_ != nullptr; }
  // Waits for a line, without its end. On a terminal "> " on stderr asks for it. interrupted: `stopped` was set, and is
  // false again; what had been typed is forgotten.
  Next next(std::string &line);

 private:
  struct Editor;
  Next next_of_terminal(std::string &line);
  Next next_of_stream(std::string &line);
  std::atomic<bool> &stopped_;
  std::unique_ptr<Editor> editor_;  // null: stdin is no terminal
  std::string held_;                // read from stdin, and not asked for yet
};

}  // namespace hone
