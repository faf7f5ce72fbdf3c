// chart.h -- small charts as SVG text: lines over steps, and dots with their confidence intervals. No script, no
// outside files.
#pragma once

#include <string>
#include <vector>

namespace hone {

struct Line {
  std::vector<double> x, y;  // NaN in y is a gap
};

// One metric over steps: the points thin, their moving average bold, the last average beside the title.
std::string line_chart(const std::string &title, const Line &);

struct Dot {
  std::string name;
  double value = 0, half_width = 0;  // of the 95 % interval; 0: none drawn
};
// A row per dot on one axis. Of shares it goes from 0 to 1, or to 0.25 when all are below.
std::string dot_chart(const std::string &title, const std::vector<Dot> &);

// The rules that charts need in a page, and the sizes that they have.
const char *chart_css();
constexpr double kChartWidth = 320, kChartHeight = 190;

std::string escape_markup(const std::string &text);  // for HTML and SVG
std::string short_number(double);                    // "0.142", "31.2", "12.5k", "1e-05"

}  // namespace hone
