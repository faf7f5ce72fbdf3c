// stage_directory.cpp -- one stage's folder: checkpoints that appear whole, and whether it is done.
#include <algorithm>
#include <charconv>
#include <map>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/run/folder.h"
#include "core/run/run_directory.h"

namespace hone {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char *kSums = "checksums.json";

fs::path checkpoint_path(const fs::path &stage, uint32_t step) { return stage / "checkpoints" / ("step-" + std::to_string(step)); }

// "step-12" -> 12; false for anything else, "step-012" and "step-12.part" too.
bool step_of(const std::string &name, uint32_t &step) {
  if (!name.starts_with("step-")) return false;
  const char *begin = name.data() + 5, *end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(begin, end, step);
  return error == std::errc() && stop == end && "step-" + std::to_string(step) == name;
}

// "" when every file is as it was written, else what is wrong.
std::string what_is_wrong(const fs::path &checkpoint) {
  try {
    const json sums = json::parse(read_file(checkpoint / kSums));
    const json now = checksums_of(checkpoint, kSums);
    for (const auto &[name, sum] : sums.at("files").items()) {
      if (!now.contains(name)) return name + " is missing";
      if (now[name] != sum) return name + " does not have its checksum";
    }
    if (now.size() != sums.at("files").size()) return "it has files that were not written with it";
    return "";
  } catch (const std::exception &error) {
    return error.what();
  }
}

}  // namespace

StageDirectory::StageDirectory(const fs::path &path) : path_(path) {}

fs::path StageDirectory::begin_checkpoint(uint32_t step) {
  const fs::path folder = path_ / "checkpoints";
  make_folder(folder);
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder))
    if (is_leftover(entry.path())) leftovers.push_back(entry.path());
  for (const fs::path &path : leftovers) remove_folder(path);
  const fs::path made = beside(checkpoint_path(path_, step));
  make_folder(made);
  return made;
}

void StageDirectory::commit_checkpoint(uint32_t step, uint32_t keep) {
  const fs::path to = checkpoint_path(path_, step), from = beside(to);
  if (!fs::is_directory(from)) throw Failure("there is no checkpoint under way at " + from.string());
  const json sums = {{"files", checksums_of(from, kSums)}};
  write_file_atomically(from / kSums, sums.dump(1) + "\n");
  sync_folder_deep(from);
  put_in_place(from, to, true);
  if (keep == 0) return;
  std::vector<uint32_t> steps = checkpoint_steps();
  std::erase_if(steps, [&](uint32_t other) { return other >= step; });  // later ones are of a run that was gone back on
  while (steps.size() + 1 > keep) {
    remove_folder(checkpoint_path(path_, steps.front()));
    steps.erase(steps.begin());
  }
}

void StageDirectory::abandon_checkpoint(uint32_t step) {
  const fs::path folder = beside(checkpoint_path(path_, step));
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) log_warning("cannot remove the unfinished checkpoint " + folder.string() + ": " + error.message());
}

bool StageDirectory::newest_checkpoint(uint32_t &step, fs::path &folder, uint32_t before) const {
  std::vector<uint32_t> steps = checkpoint_steps();
  std::erase_if(steps, [&](uint32_t at) { return at >= before; });
  while (!steps.empty()) {
    const fs::path path = checkpoint_path(path_, steps.back());
    const std::string wrong = what_is_wrong(path);
    if (wrong.empty()) {
      step = steps.back();
      folder = path;
      return true;
    }
    log_warning("passing over the damaged checkpoint " + path.string() + ": " + wrong);
    steps.pop_back();
  }
  return false;
}

std::vector<uint32_t> StageDirectory::checkpoint_steps() const {
  std::vector<uint32_t> steps;
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(path_ / "checkpoints", error)) {
    uint32_t step;
    if (entry.is_directory() && step_of(entry.path().filename().string(), step)) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

bool StageDirectory::done() const { return fs::exists(path_ / "done"); }

void StageDirectory::mark_done(const json &summary) { write_file_atomically(path_ / "done", summary.dump(1) + "\n"); }

json StageDirectory::summary() const {
  const fs::path path = path_ / "done";
  try {
    return json::parse(read_file(path));
  } catch (const json::exception &) {
    throw Failure(path.string() + " is damaged: it is not JSON; remove it and `hone resume` the run");
  }
}

}  // namespace hone
