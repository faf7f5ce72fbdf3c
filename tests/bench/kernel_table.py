#!/usr/bin/env python3
"""Prints the tables of docs/kernel-speed.md: kernel_table.py RUN.json ..., each what bench_kernels --benchmark_format=json wrote.
The fastest repetition of all runs counts, of kernels and of naive twins, and the highest limits: others use the machine too."""
import json
import sys

LITTLE = 30  # percent of a limit; kernels that reach it of neither are named at the end


def best_of(runs):
    """Each case's fastest repetition, in the order of the first run, with the fastest of its naive twin's times."""
    best = {}
    for run in runs:
        for line in run["benchmarks"]:
            if line.get("run_type") != "iteration" or line["name"].startswith("sweep/"):
                continue
            name = line["run_name"]
            known = best.get(name)
            naive = min(x["naive_us"] for x in (line, known) if x) if "naive_us" in line else None
            if known is None or time_of(line) < time_of(known):
                known = dict(line)
            if naive:
                known["naive_us"] = naive
            best[name] = known
    return best


def time_of(line):
    return line.get("half_us", line["cpu_time"])


def row(*cells):
    print("| " + " | ".join(cells) + " |")


def number(x):
    return f"{x:.3g}" if x < 1000 else f"{x:.0f}"


def percent(x):
    return f"{x:.1f}" if x < 1 else f"{x:.0f}"


def kernels(best, limits):
    row("kernel", "size", "µs", "GFLOP/s", "% of arithmetic", "GB/s", "% of memory", "× naive")
    row("---", "---", *["---:"] * 6)
    under = []
    for name, line in best.items():
        kernel, *size = name.split("/")
        if kernel in ("call", "hand_over"):
            continue
        cells, reached = [number(line["cpu_time"])], 0
        for rate, limit in (("GFLOP/s", limits["bf16_gflops" if line["bf16"] else "f32_gflops"]), ("GB/s", limits["read_gigabytes"])):
            if rate not in line:
                cells += ["", ""]
                continue
            part = 100 * line[rate] / limit
            reached = max(reached, part)
            cells += [number(line[rate]), percent(part)]
        times = line["naive_us"] / line["cpu_time"] if "naive_us" in line else None
        cells.append("" if times is None else number(times))
        row(kernel, ", ".join(s.replace(":", " ") for s in size), *cells)
        if reached < LITTLE:
            under.append(f"{name} ({reached:.0f} %)")
    return under


def calls(best):
    lines = [(name.split("/")[1], line) for name, line in best.items() if name.startswith("call/")]
    rows = (len(lines) + 2) // 3
    row(*["entry", "µs"] * 3)
    row(*["---", "---:"] * 3)
    for i in range(rows):
        cells = []
        for name, line in lines[i::rows]:
            cells += [name, f"{line['cpu_time']:.3f}"]
        row(*cells, *[""] * (6 - len(cells)))


def hand_overs(best):
    row("hand-over to two threads", "half are under, µs", "a tenth are under, µs")
    row("---", "---:", "---:")
    for name, line in best.items():
        if name.startswith("hand_over/"):
            row(name.split("/")[1].replace("_", " "), number(line["half_us"]), number(line["tenth_us"]))


def main():
    runs = [json.load(open(path)) for path in sys.argv[1:]]
    if not runs:
        sys.exit("usage: kernel_table.py RUN.json ...; see the first lines of this file")
    limits = {name: max(float(run["context"][name]) for run in runs) for name in ("f32_gflops", "bf16_gflops", "read_gigabytes")}
    best = best_of(runs)
    print(f"Set `{runs[0]['context']['set']}`; limits of one thread: {limits['f32_gflops']:.0f} GFLOP/s in f32, "
          f"{limits['bf16_gflops']:.0f} in bf16, {limits['read_gigabytes']:.1f} GB/s read. The best of {len(runs)} runs.\n")
    under = kernels(best, limits)
    print()
    calls(best)
    print()
    hand_overs(best)
    print(f"\nUnder {LITTLE} % of both limits:\n" + "\n".join(under), file=sys.stderr)


if __name__ == "__main__":
    main()
