// file.h -- files that are either whole or not there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace hone {

std::string read_file(const std::filesystem::path &);  // Failure with the path and the system's reason

// Writes beside, fsyncs, renames over `path`, fsyncs the folder. On failure `path` is as it was and nothing is left beside it.
void write_file_atomically(const std::filesystem::path &, std::string_view bytes);

void sync_file(const std::filesystem::path &);    // fsync a file or a folder
uint64_t checksum(std::string_view bytes);        // xxh3, 64 bits
std::string checksum_hex(std::string_view bytes); // 16 lower-case digits
std::string file_checksum_hex(const std::filesystem::path &);  // of a file's bytes, read a piece at a time

}  // namespace hone
