// report.h -- report.html of a run: one self-contained page with the table of results, curves and sample completions.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hone {

// Reads metrics.jsonl, results.json, pipeline.json and rollouts of the run and writes report.html (atomically). Returns
// its path.
std::filesystem::path write_report(const std::filesystem::path &run);
// The same table as plain text for the terminal.
std::string results_table(const std::filesystem::path &run);
// Draws one picture of a run's curves (SVG text), e.g. for the README: metric names against steps.
std::string curves_svg(const std::filesystem::path &run, const std::string &stage,
                       const std::vector<std::string> &metrics);

}  // namespace hone
