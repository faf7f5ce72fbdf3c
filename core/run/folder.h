// folder.h -- folders that appear and disappear whole.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace hone {

void make_folder(const std::filesystem::path &);             // with its parents; Failure with the reason
void sync_folder_deep(const std::filesystem::path &);        // fsyncs every file and folder below, and itself
void remove_folder(const std::filesystem::path &);           // renamed aside first, so that half a removal is never taken for a folder
bool is_leftover(const std::filesystem::path &);             // what a crash left of making or removing a folder
std::filesystem::path beside(const std::filesystem::path &); // where a folder is made before it is renamed
// Renames `from` to `to`, which then is whole. false: `to` exists (nothing done) and replace was not asked for.
bool put_in_place(const std::filesystem::path &from, const std::filesystem::path &to, bool replace);

// {"relative/path": {"bytes": n, "xxh3": "hex"}} of every file below but `except`.
nlohmann::json checksums_of(const std::filesystem::path &folder, const std::string &except);

}  // namespace hone
