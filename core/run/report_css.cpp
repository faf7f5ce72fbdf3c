// report_css.cpp -- see report_css.h.
#include "core/run/report_css.h"

namespace hone {

const char *report_css() {
  return R"css(:root { --ink: #1c2330; --muted: #667085; --grid: #e6e8ee; --line: #2f5fd0; --surface: #ffffff; --page: #f6f7f9; --soft: #eef1f7; --good: #157f4a; --bad: #b42318; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf1; --muted: #98a2b3; --grid: #2b3342; --line: #7aa2ff; --surface: #161b25; --page: #0d1117; --soft: #1d2431; --good: #4ac48a; --bad: #ff8a7a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 19px; margin: 40px 0 12px; }
h3 { font-size: 15px; margin: 22px 0 8px; }
.sub, .note { color: var(--muted); } .note { font-size: 13px; margin: 4px 0 12px; }
.card { background: var(--surface); border: 1px solid var(--grid); border-radius: 12px; padding: 16px 18px; margin: 12px 0; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th { text-align: right; color: var(--muted); font-weight: 500; padding: 4px 8px 8px; border-bottom: 1px solid var(--grid); white-space: nowrap; }
td { text-align: right; padding: 6px 8px; border-bottom: 1px solid var(--grid); white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } td:first-child { font-weight: 600; }
td.text { text-align: left; color: var(--muted); } th.text { text-align: left; }
td .share { display: block; width: 72px; margin-left: auto; height: 3px; border-radius: 2px; background: var(--soft); margin-top: 3px; }
td .share i { display: block; height: 3px; border-radius: 2px; background: var(--line); }
td small { color: var(--muted); font-size: 12px; }
.charts { display: flex; flex-wrap: wrap; gap: 18px; }
.charts .chart { max-width: 100%; }
details { margin: 10px 0; } summary { cursor: pointer; font-weight: 600; padding: 4px 0; } summary span { color: var(--muted); font-weight: 400; }
.prompt { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; margin: 6px 0 10px; overflow-wrap: anywhere; }
.prompt b { color: var(--muted); font-weight: 500; }
.completion { display: grid; grid-template-columns: 150px 1fr; gap: 14px; padding: 9px 0; border-top: 1px solid var(--grid); }
.completion header { font-weight: 600; font-size: 13px; } .completion header div { color: var(--muted); font-weight: 400; font-size: 12px; }
.completion pre { margin: 0; font: 13px/1.6 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.completion .thinking { color: var(--muted); } .right { color: var(--good); } .wrong { color: var(--bad); }
pre.settings { font: 12px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; overflow-x: auto; margin: 8px 0; }
footer { color: var(--muted); font-size: 13px; margin-top: 40px; }
@media (max-width: 640px) { .completion { grid-template-columns: 1fr; gap: 2px; } main { padding: 20px 14px 48px; } }
)css";
}

}  // namespace hone
