// chart.cpp -- see chart.h.
#include "core/run/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdio>

namespace hone {
namespace {

__attribute__((format(printf, 1, 2))) std::string format(const char *pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

// Ticks at 1, 2 or 5 times a power of ten, about `wanted` of them, all within [low, high].
std::vector<double> ticks(double low, double high, int wanted) {
  const double raw = (high - low) / wanted, power = std::pow(10, std::floor(std::log10(raw)));
  const double step = power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
  std::vector<double> at;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i)
    at.push_back(i == 0 ? 0 : i * step);
  return at;
}

// Means of at most `most` consecutive buckets, so that a long run does not make a large page.
Line thinned(const Line &line, size_t most) {
  Line out;
  const size_t n = line.x.size(), bucket = (n + most - 1) / most;
  for (size_t begin = 0; begin < n; begin += bucket) {
    double x = 0, y = 0;
    size_t count = 0;
    for (size_t i = begin; i < std::min(n, begin + bucket); ++i)
      if (std::isfinite(line.y[i])) x += line.x[i], y += line.y[i], ++count;
    if (count) out.x.push_back(x / count), out.y.push_back(y / count);
  }
  return out;
}

std::vector<double> moving_average(const std::vector<double> &y) {
  const auto n = static_cast<ptrdiff_t>(y.size()), reach = std::max<ptrdiff_t>(1, n / 24);
  std::vector<double> out(y.size());
  for (ptrdiff_t i = 0; i < n; ++i) {
    const ptrdiff_t near = std::min({reach, i, n - 1 - i});  // symmetric, so that the ends do not lag
    double sum = 0;
    for (ptrdiff_t j = i - near; j <= i + near; ++j) sum += y[j];
    out[i] = sum / static_cast<double>(2 * near + 1);
  }
  return out;
}

std::string open_svg(double width, double height, const std::string &title) {
  return format(
             "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" viewBox=\"0 0 %g "
             "%g\" role=\"img\">",
             width, height, width, height) +
         "<title>" + escape_markup(title) + "</title>";
}

}  // namespace

std::string escape_markup(const std::string &text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')
      out += "\xEF\xBF\xBD";  // not allowed in XML
    else
      out += c;
  }
  return out;
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return "–";
  const double size = std::fabs(value);
  if (size >= 1e9) return format("%.3gG", value / 1e9);
  if (size >= 1e6) return format("%.3gM", value / 1e6);
  if (size >= 1e4) return format("%.3gk", value / 1e3);
  if (size >= 1000) return format("%.0f", value);
  return format("%.3g", value);
}

const char *chart_css() {
  return R"(.chart text { font: 11px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--muted); }
.chart .name { font-weight: 600; font-size: 12px; fill: var(--ink); }
.chart .last { font-weight: 600; font-size: 12px; fill: var(--line); text-anchor: end; }
.chart .end { text-anchor: end; } .chart .middle { text-anchor: middle; }
.chart .grid { stroke: var(--grid); stroke-width: 1; }
.chart .raw { fill: none; stroke: var(--line); stroke-opacity: .28; stroke-width: 1; }
.chart .line { fill: none; stroke: var(--line); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.chart .area { fill: var(--line); fill-opacity: .07; }
.chart .whisker { stroke: var(--line); stroke-opacity: .45; stroke-width: 4; stroke-linecap: round; }
.chart .dot { fill: var(--line); stroke: var(--surface); stroke-width: 1.5; }
)";
}

std::string line_chart(const std::string &title, const Line &all) {
  const Line line = thinned(all, 400);
  std::string svg = open_svg(kChartWidth, kChartHeight, title);
  svg += "<text class=\"name\" x=\"4\" y=\"16\">" + escape_markup(title) + "</text>";
  const double left = 44, right = kChartWidth - 10, top = 30, bottom = kChartHeight - 24;
  if (line.x.empty()) return svg + "<text x=\"44\" y=\"100\">no values</text></svg>";
  const std::vector<double> smooth = moving_average(line.y);
  auto [low_at, high_at] = std::minmax_element(line.y.begin(), line.y.end());
  double low = *low_at, high = *high_at;
  if (low >= 0 && low < 0.6 * high) low = 0;                  // a zero line where it costs little
  if (high - low < 1e-12 * std::max(1.0, std::fabs(high))) {  // one flat line, in the middle
    const double room = high == 0 ? 1 : std::fabs(high) * 0.5;
    low -= high == 0 ? 0 : room;
    high += room;
  } else {
    high += 0.04 * (high - low);
  }
  const double first = line.x.front(), last = line.x.back() > first ? line.x.back() : first + 1;
  const auto at_x = [&](double x) { return left + (x - first) / (last - first) * (right - left); };
  const auto at_y = [&](double y) { return bottom - (y - low) / (high - low) * (bottom - top); };
  for (const double y : ticks(low, high, 4)) {
    svg +=
        format("<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", left, right, at_y(y), at_y(y));
    svg += format("<text class=\"end\" x=\"%.1f\" y=\"%.1f\">", left - 6, at_y(y) + 4) + short_number(y) + "</text>";
  }
  for (const double x : ticks(first, last, 5))
    svg += format("<text class=\"middle\" x=\"%.1f\" y=\"%.1f\">", at_x(x), kChartHeight - 8) + short_number(x) +
           "</text>";
  std::string raw, bold, area = format("M%.1f %.1f", at_x(line.x.front()), bottom);
  for (size_t i = 0; i < line.x.size(); ++i) {
    raw += format("%s%.1f %.1f", i ? "L" : "M", at_x(line.x[i]), at_y(line.y[i]));
    bold += format("%s%.1f %.1f", i ? "L" : "M", at_x(line.x[i]), at_y(smooth[i]));
    area += format("L%.1f %.1f", at_x(line.x[i]), at_y(smooth[i]));
  }
  area += format("L%.1f %.1fZ", at_x(line.x.back()), bottom);
  svg += "<path class=\"area\" d=\"" + area + "\"/><path class=\"raw\" d=\"" + raw + "\"/><path class=\"line\" d=\"" +
         bold + "\"/>";
  svg += format("<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>", at_x(line.x.back()), at_y(smooth.back()));
  svg += format("<text class=\"last\" x=\"%.1f\" y=\"16\">", right) + short_number(smooth.back()) + "</text>";
  return svg + "</svg>";
}

std::string dot_chart(const std::string &title, const std::vector<Dot> &dots) {
  const double row = 24, top = 30, width = 330, left = 116, right = width - 54;
  const double height = top + row * static_cast<double>(dots.size()) + 26;
  double low = 0, high = 0;
  bool shares = true;
  for (const Dot &dot : dots) {
    if (!std::isfinite(dot.value)) continue;
    const double reach = std::isfinite(dot.half_width) ? dot.half_width : 0;
    low = std::min(low, dot.value - reach);
    high = std::max(high, dot.value + reach);
    shares = shares && dot.value >= 0 && dot.value <= 1;
  }
  if (shares) low = 0, high = high < 0.25 ? 0.25 : 1;  // rare things have an axis on which they can be told apart
  if (high <= low) high = low + 1;
  const auto at = [&](double v) { return left + (std::clamp(v, low, high) - low) / (high - low) * (right - left); };
  std::string svg = open_svg(width, height, title);
  svg += "<text class=\"name\" x=\"4\" y=\"16\">" + escape_markup(title) + "</text>";
  for (const double v : ticks(low, high, 5)) {
    svg += format("<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", at(v), at(v), top - 4,
                  height - 24);
    svg += format("<text class=\"middle\" x=\"%.1f\" y=\"%.1f\">", at(v), height - 8) + short_number(v) + "</text>";
  }
  double y = top + row / 2;
  for (const Dot &dot : dots) {
    svg += format("<text class=\"end\" x=\"%.1f\" y=\"%.1f\">", left - 12, y + 4) + escape_markup(dot.name) + "</text>";
    if (std::isfinite(dot.value)) {
      if (std::isfinite(dot.half_width) && dot.half_width > 0)
        svg += format("<line class=\"whisker\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                      at(dot.value - dot.half_width), at(dot.value + dot.half_width), y, y);
      svg += format("<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>", at(dot.value), y);
      svg +=
          format("<text class=\"last\" x=\"%.1f\" y=\"%.1f\">", width - 8, y + 4) +
          (shares ? format("%.3f", dot.value) : short_number(dot.value)) + "</text>";
    }
    y += row;
  }
  return svg + "</svg>";
}

}  // namespace hone
