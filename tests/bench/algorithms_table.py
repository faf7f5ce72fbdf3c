#!/usr/bin/env python3
"""Tables and a chart of runs of scripts/algorithms.lua, one run a seed: algorithms_table.py RUN... [--chart FILE.png]
Markdown on stdout: held-out accuracy after the last step, and the steps, sampled tokens and seconds that each algorithm took to a training
accuracy of 0.8 (mean of 3 steps). Of several seeds the mean, with the least and the largest."""
import argparse
import json
import pathlib
import statistics

LEVEL, WINDOW = 0.8, 3


def curve(run, stage):
    """Per step: accuracy (mean of up to WINDOW steps so far), tokens and seconds so far."""
    rows, seconds, recent = [], 0.0, []
    for line in open(run / "metrics.jsonl"):
        row = json.loads(line)
        if row["stage"] != stage or "rewards/accuracy/mean" not in row:
            continue
        seconds += row["step_time"]
        recent = (recent + [row["rewards/accuracy/mean"]])[-WINDOW:]
        rows.append((row["step"], row["sampling/num_tokens"], seconds, statistics.mean(recent)))
    return rows


def stages(run):
    return {path.name[3:]: path.name for path in sorted(run.iterdir()) if path.is_dir() and path.name[:2].isdigit()}


def told(values, digits=3):
    if any(value is None for value in values):
        return f"not by {sum(value is None for value in values)} of {len(values)} seeds"
    text = f"{statistics.mean(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):,.{digits}f} – {max(values):,.{digits}f})"


def chart(curves, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), sharey=True)
    colours = plt.get_cmap("tab10")
    for k, (name, runs) in enumerate(curves.items()):
        length = min(len(run) for run in runs)
        mean = [[statistics.mean(run[i][column] for run in runs) for i in range(length)] for column in range(4)]
        for axis, column, unit in zip(axes, range(3), (1, 1e3, 1)):
            axis.plot([x / unit for x in mean[column]], mean[3], color=colours(k), label=name, linewidth=1.4)
    for axis, label in zip(axes, ("optimizer steps", "thousand tokens sampled", "seconds")):
        axis.set_xlabel(label)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"accuracy of the responses (mean of {WINDOW} steps)")
    axes[2].legend(fontsize=8, frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=pathlib.Path)
    parser.add_argument("--chart", type=pathlib.Path)
    a = parser.parse_args()
    names = [name for name in stages(a.runs[0]) if name != "eval"]
    results = [{row["name"]: row for row in json.load(open(run / "results.json"))} for run in a.runs]
    curves = {name: [curve(run, stages(run)[name]) for run in a.runs] for name in names if name != "base"}
    print(f"| algorithm | calc | calc_long | general | steps to {LEVEL} | tokens to {LEVEL} | seconds to {LEVEL} | seconds a step |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        cells = [told([result[name][f"{task}/pass@1"] for result in results]) for task in ("calc", "calc_long", "general")]
        for column in range(3):
            if name == "base":
                cells.append("")
                continue
            at = [next((row for row in run if row[3] >= LEVEL), None) for run in curves[name]]
            cells.append(told([row and row[column] for row in at], 0 if column < 2 else 1))
        cells.append("" if name == "base" else told([run[-1][2] / len(run) for run in curves[name]], 2))
        print(f"| {name} | " + " | ".join(cells) + " |")
    if a.chart:
        chart(curves, a.chart)


if __name__ == "__main__":
    main()
