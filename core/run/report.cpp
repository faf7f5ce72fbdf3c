// report.cpp -- report.html: one page without scripts or outside files, to be kept, mailed and opened anywhere.
#include "core/run/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/run/chart.h"
#include "core/run/report_css.h"
#include "core/run/report_data.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

// Curves that are shown, in this order; a metric of another name is not drawn, metrics.jsonl has them all.
const char *const kCurves[] = {"reward",
                               "completions/mean_length",
                               "loss",
                               "entropy",
                               "kl",
                               "grad_norm",
                               "reward_std",
                               "frac_reward_zero_std",
                               "completions/clipped_ratio",
                               "clip_ratio/region_mean",
                               "accuracy",
                               "kept_ratio"};

std::string column_of(const std::string &domain, const std::string &metric) {
  return domain.empty() ? metric : domain + "/" + metric;
}

std::string cell(const ResultRow &row, const std::string &domain, const std::string &metric, bool share) {
  std::string text = escape_markup(result_text(row, domain, metric));
  if (const size_t at = text.find(" ±"); at != text.npos)
    text = text.substr(0, at) + " <small>" + text.substr(at + 1) + "</small>";
  const auto value = row.values.find(column_of(domain, metric));
  if (share && value != row.values.end() && std::isfinite(value->second)) {
    char bar[96];
    std::snprintf(bar, sizeof bar, "<span class=\"share\"><i style=\"width:%.1f%%\"></i></span>",
                  100 * std::clamp(value->second, 0.0, 1.0));
    text += bar;
  }
  return "<td>" + text + "</td>";
}

bool has_interval(const Results &results, const std::string &domain, const std::string &metric) {
  return std::any_of(results.rows.begin(), results.rows.end(),
                     [&](const ResultRow &row) { return row.values.count(column_of(domain, metric) + "_ci") > 0; });
}

// A dot for each row that has the metric; "" when it is the same in all of them, which says nothing.
std::string result_chart(const Results &results, const std::string &domain, const std::string &metric) {
  std::vector<Dot> dots;
  const std::string column = column_of(domain, metric);
  for (const ResultRow &row : results.rows) {
    const auto value = row.values.find(column), interval = row.values.find(column + "_ci");
    if (value != row.values.end())
      dots.push_back({row.name, value->second, interval == row.values.end() ? 0 : interval->second});
  }
  const bool differ = std::any_of(dots.begin(), dots.end(), [&](const Dot &dot) { return dot.value != dots[0].value; });
  if (dots.empty() || (metric != "pass@1" && !differ)) return "";
  return dot_chart(domain.empty() ? metric : domain + ": " + metric, dots) + "\n";
}

void put_results(std::string &page, const Results &results) {
  if (results.rows.empty()) return;
  page += "<h2>Results</h2>\n<p class=\"note\">± is half of the 95 % confidence interval over questions.</p>\n";
  std::string charts;
  for (const std::string &domain : results.domains) charts += result_chart(results, domain, "pass@1");
  if (!results.domains.empty()) charts += result_chart(results, results.domains.front(), "mixing");
  for (const std::string &domain : results.domains)  // other rewards, each with its interval
    for (const std::string &metric : results.metrics.at(domain))
      if (metric != "pass@1" && has_interval(results, domain, metric)) charts += result_chart(results, domain, metric);
  if (!results.domains.empty()) charts += result_chart(results, results.domains.front(), "length");
  if (!charts.empty()) page += "<div class=\"card charts\">" + charts + "</div>\n";
  for (const std::string &domain : results.domains) {
    const std::vector<std::string> &metrics = results.metrics.at(domain);
    page += "<div class=\"card\"><table><thead><tr><th>" + escape_markup(domain.empty() ? "model" : domain) + "</th>";
    for (const std::string &metric : metrics) page += "<th>" + escape_markup(metric) + "</th>";
    page += "</tr></thead><tbody>\n";
    for (const ResultRow &row : results.rows) {
      std::string cells;
      bool any = false;
      for (const std::string &metric : metrics) {
        const std::string column = column_of(domain, metric);
        bool share = metric != "length" && metric != "questions";
        for (const ResultRow &other : results.rows)
          if (const auto v = other.values.find(column); v != other.values.end())
            share = share && v->second >= 0 && v->second <= 1;
        any = any || row.values.count(column);
        cells += cell(row, domain, metric, share);
      }
      if (any) page += "<tr><td>" + escape_markup(row.name) + "</td>" + cells + "</tr>\n";
    }
    page += "</tbody></table></div>\n";
  }
}

void put_stages(std::string &page, const std::vector<StageData> &stages) {
  if (stages.empty()) return;
  page +=
      "<h2>Stages</h2>\n<div class=\"card\"><table><thead><tr><th>stage</th><th class=\"text\">made "
      "by</th><th>steps</th><th>tokens</th>"
      "<th>time</th><th>reward, first → last</th><th>loss, first → last</th></tr></thead><tbody>\n";
  const auto ends = [](const StageData &stage, const char *name) -> std::string {
    const auto at = stage.metrics.find(name);
    if (at == stage.metrics.end() || at->second.y.empty()) return "–";
    return short_number(at->second.y.front()) + " → " + short_number(at->second.y.back());
  };
  double tokens = 0, seconds = 0;
  for (const StageData &stage : stages) {
    page += "<tr><td>" + escape_markup(stage.folder) + "</td><td class=\"text\">" + escape_markup(stage.component) +
            (stage.cached ? " (kept from an earlier run)"
             : stage.done ? ""
                          : " (not finished)") +
            "</td><td>" + std::to_string(stage.steps) + "</td><td>" +
            (stage.tokens > 0 ? short_number(stage.tokens) : "–") + "</td><td>" +
            (stage.seconds > 0 ? human_seconds(stage.seconds) : "–") + "</td><td>" + ends(stage, "reward") +
            "</td><td>" + (stage.metrics.count("reward") ? "–" : ends(stage, "loss")) + "</td></tr>\n";
    tokens += stage.tokens;
    if (!stage.cached) seconds += stage.seconds;  // spent in the earlier run, not in this one
  }
  page += "<tr><td>all</td><td></td><td></td><td>" + short_number(tokens) + "</td><td>" + human_seconds(seconds) +
          "</td><td></td><td></td></tr>\n";
  page += "</tbody></table></div>\n";
}

std::vector<std::string> curves_of(const StageData &stage) {
  std::vector<std::string> names;
  const auto add = [&](const std::string &name) {
    const auto at = stage.metrics.find(name);
    if (at == stage.metrics.end() || at->second.x.size() < 2) return;
    const std::vector<double> &y = at->second.y;
    if (std::any_of(y.begin(), y.end(), [](double v) { return v != 0; })) names.push_back(name);  // always 0: no news
  };
  add(kCurves[0]);
  size_t parts = 0;
  for (const auto &[name, line] : stage.metrics)
    if (name.rfind("rewards/", 0) == 0 && name.ends_with("/mean")) ++parts;
  if (parts > 1)
    for (const auto &[name, line] : stage.metrics)
      if (name.rfind("rewards/", 0) == 0 && name.ends_with("/mean")) add(name);
  for (size_t i = 1; i < std::size(kCurves); ++i) add(kCurves[i]);
  return names;
}

void put_curves(std::string &page, const std::vector<StageData> &stages) {
  std::string out;
  for (const StageData &stage : stages) {
    const std::vector<std::string> names = curves_of(stage);
    if (names.empty()) continue;
    out += "<h3>" + escape_markup(stage.folder) + " <span class=\"sub\">" + escape_markup(stage.component) +
           "</span></h3><div class=\"card charts\">\n";
    for (const std::string &name : names) out += line_chart(name, stage.metrics.at(name)) + "\n";
    out += "</div>\n";
  }
  if (!out.empty())
    page +=
        "<h2>Curves</h2>\n<p class=\"note\">Values against the stage's own steps: thin as measured, bold their moving "
        "average.</p>\n" +
        out;
}

// The response with its thinking set back: from <think> to </think>, or to the end when it is never closed.
std::string response_markup(const std::string &text) {
  const size_t open = text.find("<think>");
  if (open == text.npos) return escape_markup(text);
  const size_t close = text.find("</think>", open), end = close == text.npos ? text.size() : close + 8;
  return escape_markup(text.substr(0, open)) + "<span class=\"thinking\">" +
         escape_markup(text.substr(open, end - open)) + "</span>" + escape_markup(text.substr(end));
}

void put_completions(std::string &page, const std::vector<StageData> &stages) {
  std::string out;
  for (const StageData &stage : stages) {
    if (stage.completions.empty()) continue;
    out += "<details open><summary>" + escape_markup(stage.folder) + "</summary>\n";
    for (const Completions &sample : stage.completions) {
      out += "<div class=\"card\"><div class=\"prompt\">" + escape_markup(sample.prompt) +
             (sample.answer.empty() ? "" : " <b>answer " + escape_markup(sample.answer) + "</b>") + "</div>\n";
      for (const Completion &one : sample.list) {
        out += "<div class=\"completion\"><header>" + escape_markup(one.when) + "<div>";
        if (std::isfinite(one.reward))
          out += std::string("<span class=\"") +
                 (one.reward >= 0.999 ? "right"
                  : one.reward <= 0   ? "wrong"
                                      : "") +
                 "\">reward " + short_number(one.reward) + "</span> ";
        if (one.tokens > 0) out += std::to_string(one.tokens) + " tokens";
        if (one.truncated) out += " cut off";
        out += "</div></header><pre>" + response_markup(one.text) + "</pre></div>\n";
      }
      out += "</div>\n";
    }
    out += "</details>\n";
  }
  if (!out.empty())
    page +=
        "<h2>Completions</h2>\n<p class=\"note\">The first response of its group each time, not the best one.</p>\n" +
        out;
}

void put_settings(std::string &page, const RunData &data) {
  page += "<h2>Settings</h2>\n";
  if (data.pipeline.is_object() && data.pipeline.contains("options") && data.pipeline["options"].is_array() &&
      !data.pipeline["options"].empty()) {
    page +=
        "<div class=\"card\"><table><thead><tr><th>option</th><th>value</th><th class=\"text\">from</th><th "
        "class=\"text\">meaning</th></tr></thead><tbody>\n";
    for (const json &option : data.pipeline["options"]) {
      if (!option.is_object()) continue;
      page += "<tr><td>" + escape_markup(option.value("name", "")) + "</td><td>" +
              escape_markup(option.value("value", json()).dump()) + "</td><td class=\"text\">" +
              escape_markup(option.value("from", "")) + "</td><td class=\"text\">" +
              escape_markup(option.value("help", "")) + "</td></tr>\n";
    }
    page += "</tbody></table></div>\n";
  }
  for (const StageData &stage : data.stages)
    if (stage.settings.is_object() && !stage.settings.empty())
      page += "<details><summary>" + escape_markup(stage.folder) + " <span>" + escape_markup(stage.component) +
              "</span></summary><pre class=\"settings\">" +
              escape_markup(stage.settings.dump(2, ' ', false, json::error_handler_t::replace)) + "</pre></details>\n";
}

}  // namespace

fs::path write_report(const fs::path &run) {
  const RunData data = read_run(run, true);
  std::string page =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, "
      "initial-scale=1\">\n<title>" +
      escape_markup(data.name) + " · hone</title>\n<style>\n" + report_css() + chart_css() +
      "</style></head><body><main>\n";
  page += "<h1>" + escape_markup(data.name) + "</h1>\n<div class=\"sub\">";
  if (data.pipeline.is_object()) {
    page += "script " + escape_markup(data.pipeline.value("name", "")) + ", seed " +
            escape_markup(data.pipeline.value("seed", json(0)).dump()) + ", ";
  }
  page += std::to_string(data.stages.size()) + (data.stages.size() == 1 ? " stage" : " stages") + "</div>\n";
  put_results(page, data.results);
  put_stages(page, data.stages);
  put_curves(page, data.stages);
  put_completions(page, data.stages);
  put_settings(page, data);
  page +=
      "<footer>Written by hone from the run directory alone; metrics.jsonl and rollouts/ hold the numbers and texts in "
      "full.</footer>\n</main></body></html>\n";
  const fs::path path = run / "report.html";
  write_file_atomically(path, with_replaced_invalid_utf8(page));
  return path;
}

}  // namespace hone
