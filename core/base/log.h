// log.h -- the program's log: stderr and, within a run, log.txt. stdout is for data only. Backed by spdlog.
#pragma once

#include <filesystem>
#include <string>

namespace hone {

enum class Level { debug, info, warning, problem };

void log_line(Level, const std::string &text);
inline void log_info(const std::string &text) { log_line(Level::info, text); }
inline void log_warning(const std::string &text) { log_line(Level::warning, text); }

void log_level(Level least);                        // what stderr shows; the file gets everything from info on
void log_also_to(const std::filesystem::path &);    // appends; a second call moves to another file; "" closes it
// A line that overwrites itself on a terminal (progress) must be wiped before a log line: set by core/run/progress.
void log_before_line(void (*hook)());

}  // namespace hone
