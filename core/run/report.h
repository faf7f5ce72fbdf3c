// report.h -- report.html of a run: one self-contained page with the table of results, curves and sample completions.
#pragma once

#include <filesystem>
#include <string>

namespace hone {

// Reads metrics.jsonl, results.json, pipeline.json and rollouts of the run and writes report.html (atomically). Returns
// its path.
std::filesystem::path write_report(const std::filesystem::path &run);
// The same table as plain text for the terminal.
std::string results_table(const std::filesystem::path &run);

}  // namespace hone
