// results_table.cpp -- results.json as aligned text: one block for each domain, a row for each model.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/run/report.h"
#include "core/run/report_data.h"

namespace hone {

std::string result_text(const ResultRow &row, const std::string &domain, const std::string &metric) {
  const std::string column = domain.empty() ? metric : domain + "/" + metric;
  const auto value = row.values.find(column), interval = row.values.find(column + "_ci");
  if (value == row.values.end() || !std::isfinite(value->second)) return "–";
  char text[64];
  const double v = value->second;
  if (interval != row.values.end())
    std::snprintf(text, sizeof text, "%.3f ± %.3f", v, interval->second);
  else if (metric == "p" && v < 0.001)
    std::snprintf(text, sizeof text, "%.1e", v);
  else if (metric == "questions")
    std::snprintf(text, sizeof text, "%.0f", v);
  else
    std::snprintf(text, sizeof text, metric == "length" || std::fabs(v) >= 10 ? "%.1f" : "%.3f", v);
  return text;
}

namespace {

// Columns that a terminal takes: code points, since the text holds "±" and "–" and nothing wider.
size_t width_of(const std::string &text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string &text, size_t width, bool right) {
  const std::string space(width > width_of(text) ? width - width_of(text) : 0, ' ');
  return right ? space + text : text + space;
}

}  // namespace

std::string results_table(const std::filesystem::path &run) {
  const Results results = read_results(run);
  std::string out;
  for (const std::string &domain : results.domains) {
    const std::vector<std::string> &metrics = results.metrics.at(domain);
    std::vector<std::vector<std::string>> lines = {{domain.empty() ? "model" : domain}};
    for (const std::string &metric : metrics) lines[0].push_back(metric);
    for (const ResultRow &row : results.rows) {
      std::vector<std::string> line = {row.name};
      for (const std::string &metric : metrics) line.push_back(result_text(row, domain, metric));
      if (std::any_of(line.begin() + 1, line.end(), [](const std::string &cell) { return cell != "–"; }))
        lines.push_back(std::move(line));
    }
    std::vector<size_t> widths(lines[0].size(), 0);
    for (const auto &line : lines)
      for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width_of(line[i]));
    if (!out.empty()) out += "\n";
    for (size_t r = 0; r < lines.size(); ++r) {
      std::string line;
      for (size_t i = 0; i < lines[r].size(); ++i) line += (i ? "  " : "") + padded(lines[r][i], widths[i], i > 0);
      while (!line.empty() && line.back() == ' ') line.pop_back();
      out += line + "\n";
      if (r == 0) {
        size_t total = 0;
        for (const size_t width : widths) total += width + 2;
        for (size_t i = 2; i < total; ++i) out += "─";
        out += "\n";
      }
    }
  }
  return out;
}

}  // namespace hone
