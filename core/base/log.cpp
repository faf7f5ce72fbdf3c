// log.cpp -- the one file that knows spdlog.
#include "core/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

#include "core/base/failure.h"

namespace hone {
namespace {

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::problem: return spdlog::level::err;
  }
  return spdlog::level::err;
}

struct Log {
  std::mutex mutex;
  std::shared_ptr<spdlog::sinks::sink> screen, file;
  Level least = Level::info;
  void (*before_line)() = nullptr;

  Log() : screen(std::make_shared<spdlog::sinks::stderr_color_sink_st>()) { screen->set_pattern("%^%v%$"); }
};

Log &the_log() {  // never destroyed: threads may log while the process ends
  static auto *log = new Log;
  return *log;
}

}  // namespace

void log_line(Level level, const std::string &text) {
  Log &log = the_log();
  std::lock_guard lock(log.mutex);
  const char *prefix = level == Level::problem ? "error: " : level == Level::warning ? "warning: " : "";
  const auto write = [&](spdlog::sinks::sink &sink, const std::string &line) {
    sink.log(spdlog::details::log_msg("hone", spdlog_level(level), line));
    sink.flush();
  };
  try {
    if (level >= log.least) {
      if (log.before_line) log.before_line();
      write(*log.screen, prefix + text);
    }
    if (log.file && level >= Level::info) write(*log.file, text);
  } catch (const spdlog::spdlog_ex &) {  // a log that cannot be written (disk full) must not end the run
  }
}

void log_level(Level least) {
  std::lock_guard lock(the_log().mutex);
  the_log().least = least;
}

void log_also_to(const std::filesystem::path &path) {
  Log &log = the_log();
  std::lock_guard lock(log.mutex);
  log.file.reset();
  if (path.empty()) return;
  try {
    log.file = std::make_shared<spdlog::sinks::basic_file_sink_st>(path.string());
    log.file->set_pattern("%Y-%m-%d %H:%M:%S %l %v");
  } catch (const spdlog::spdlog_ex &error) {
    throw Failure("cannot write the log " + path.string() + ": " + error.what());
  }
}

void log_before_line(void (*hook)()) {
  std::lock_guard lock(the_log().mutex);
  the_log().before_line = hook;
}

}  // namespace hone
