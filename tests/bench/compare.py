#!/usr/bin/env python3
"""Runs hone and its peers in turn on the same weights and writes docs/benchmarks.md with its chart. Called by compare.sh, which makes
what this needs."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = ROOT / "build/release/bin"
PLUGINS = ROOT / "build/release/lib/hone"
REWARDS = ROOT / "build/release/tests/bench"
SHORT = {"sample": "sample 64 sequences", "sample_one": "sample 1 sequence", "prefill": "prefill of 512 tokens", "train": "train step",
         "grpo": "GRPO step", "tiny_sample": "tiny model: sample 64", "tiny_train": "tiny model: train step", "start": "start"}
PARAMETERS, HEAD = 134_515_008, 49152 * 576  # SmolLM2-135M; its head is its embedding


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


class Failed(Exception):
    pass


def run(command, timeout, env=None):
    """What a command printed, its seconds, and the most memory it had, in MB."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begin = time.perf_counter()
        child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, env={**os.environ, **(env or {})})
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - begin > timeout:
                child.kill()
                os.wait4(child.pid, 0)
                raise Failed(f"was stopped after {timeout} s")
            time.sleep(0.002)
        seconds = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        text = out.read()
        if child.returncode:
            raise Failed(f"ended with {child.returncode}: " + " ".join(map(str, command)) + "\n" + err.read()[-2000:])
        return text, seconds, usage.ru_maxrss / 1024


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"')]


class Contender:
    """One program at one kind of work. measure() gives the figures of one process, warm: tokens a second, or seconds."""

    def __init__(self, name, measure, turns=1000):
        self.name, self.measure, self.turns, self.figures, self.memory, self.note = name, measure, turns, [], [], ""

    def turn(self):
        if self.note or not self.turns:
            return
        self.turns -= 1
        try:
            figures, memory = self.measure()
        except Failed as failed:
            self.note = str(failed).splitlines()[0]
            say(f"  {self.name}: {failed}")
            return
        self.figures += figures
        self.memory.append(memory)
        say(f"  {self.name}: " + ", ".join(f"{f:.4g}" for f in figures) + f" ({memory:.0f} MB)")


class Work:
    def __init__(self, key, title, unit, contenders, limit=None, limit_of=""):
        self.key, self.title, self.unit, self.contenders, self.limit, self.limit_of = key, title, unit, contenders, limit, limit_of

    def best(self, contender):
        return (min if self.unit == "s" else max)(contender.figures)

    def ratio(self, peer, of=None):
        mine, theirs = (of or self.best)(self.contenders[0]), (of or self.best)(peer)
        return theirs / mine if self.unit == "s" else mine / theirs


def rates(text):
    """The first repetition is a warm-up, where there is a second."""
    figures = [line["tokens_per_second"] for line in json_lines(text)]
    return figures[1:] or figures


def works(a, files):
    t = str(a.threads)
    rounds = "3"

    def hone(what, tiny=False):
        def measure():
            model, dtype, repeats = (files["tiny"], "f32", "6") if tiny else (files["hf"], "bf16", rounds)
            text, _, memory = run([BIN / "model_speed", model, PLUGINS, dtype, t, what, repeats], a.timeout)
            return rates(text), memory
        return Contender("hone", measure)

    def transformers(what, tiny=False):
        def measure():
            model, dtype, repeats = (files["tiny"], "f32", "4") if tiny else (files["hf"] if what == "train" else files["hf_bf16"], "bf16", str(a.slow_repeats))
            text, _, memory = run([sys.executable, HERE / "peers/transformers_speed.py", model, dtype, t, what, repeats], a.timeout)
            return rates(text), memory
        return Contender("PyTorch" if what == "train" else "transformers", measure, 1000 if tiny else a.slow_turns)

    def batched_bench():
        text, _, memory = run([a.cache / "llama.cpp/bin/llama-batched-bench", "-m", files["gguf"], "-c", "16384", "-b", "2048", "-ub", "512",
                               "-npp", "64", "-ntg", "64", "-npl", "64", "-t", t], a.timeout)
        row = [line for line in text.splitlines() if re.match(r"\|\s+64 \|", line)][-1]
        return [float(row.split("|")[8])], memory  # S_TG: of the new tokens alone, without the prompts' time

    def llama_bench(*arguments):
        def measure():
            text, _, memory = run([a.cache / "llama.cpp/bin/llama-bench", "-m", files["gguf"], "-t", t, "-r", "3", "-o", "json", *arguments], a.timeout)
            return json.loads(text)[0]["samples_ts"], memory
        return measure

    def hone_grpo():
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "run"
            _, _, memory = run([BIN / "hone", "run", HERE / "grpo.lua", "--plugins", REWARDS, "--dtype", "bf16", "--threads", t, "--set",
                                f"model={files['hf']}", "--set", f"prompts={files['prompts']}", "--out", out], a.timeout)
            steps = [json.loads(line) for line in open(out / "metrics.jsonl")]
            return [step["step_time"] for step in steps if "step_time" in step][1:], memory

    def trl_grpo():
        # The first step is a warm-up, where there is a second.
        text, _, memory = run([sys.executable, HERE / "peers/trl_grpo.py", files["hf"], files["prompts"], "bf16", t, a.trl_steps], 2 * a.timeout)
        seconds = [line["seconds"] for line in json_lines(text)]
        return seconds[1:] or seconds, memory

    def start(command):
        def measure():
            runs = [run(command, a.timeout) for _ in range(5)]
            return [seconds for _, seconds, _ in runs], max(memory for _, _, memory in runs)
        return measure

    limits = files["limits"]
    compute = max(limits["bf16_gflops"], limits["f32_gflops"]) * 1e9
    layers = PARAMETERS - HEAD
    return [
        Work("sample", "sample 64 sequences: 8 prompts of 64 tokens × 8, 64 new tokens each", "tok/s",
             [hone("sample"), Contender("llama.cpp", batched_bench), transformers("sample")], compute / (2 * PARAMETERS), "arithmetic"),
        Work("sample_one", "sample 1 sequence of 128 tokens", "tok/s", [hone("sample_one"), Contender("llama.cpp", llama_bench("-p", "0", "-n", "128"))],
             limits["read_gigabytes"] * 1e9 / (2 * PARAMETERS), "memory"),
        Work("prefill", "prefill of 512 tokens", "tok/s", [hone("prefill"), Contender("llama.cpp", llama_bench("-p", "512", "-n", "0"))],
             compute / (2 * layers), "arithmetic"),
        Work("train", "train step of 8 × 256 tokens: forward, backward, AdamW", "tok/s", [hone("train"), transformers("train")],
             compute / (6 * PARAMETERS), "arithmetic"),
        Work("grpo", "GRPO step: 8 prompts × 8 completions × 64 tokens", "s", [Contender("hone", hone_grpo), Contender("TRL", trl_grpo, a.slow_turns)]),
        Work("tiny_sample", "the embedded model (250 k parameters, f32): sample 64 sequences", "tok/s", [hone("sample", True), transformers("sample", True)]),
        Work("tiny_train", "the embedded model: train step of 8 × 255 tokens", "tok/s", [hone("train", True), transformers("train", True)]),
        Work("start", "start: hone --version against import trl", "s",
             [Contender("hone", start([BIN / "hone", "--version"])), Contender("TRL", start([sys.executable, "-c", "from trl import GRPOTrainer"]))]),
    ]


def make_files(a):
    """The model in every shape, and 8 prompts of 64 tokens. What is large is imported by children alone: a child's peak of memory begins with
    what its parent had."""
    files = {"hf": a.cache / "smollm2-f32", "hf_bf16": a.cache / "smollm2-bf16", "gguf": a.cache / "smollm2-bf16.gguf", "prompts": a.cache / "prompts.jsonl"}
    if not files["hf"].exists():
        run([sys.executable, ROOT / "tests/parity/smollm2_directory.py", a.gguf, files["hf"], "--python", sys.executable], 600)
    if not files["hf_bf16"].exists():
        run([BIN / "hone", "export", "--model", files["hf"], "--to", "hf", "--dtype", "bf16", files["hf_bf16"]], 600)
    if not files["gguf"].exists():
        run([BIN / "hone", "export", "--model", files["hf"], "--to", "gguf", "--dtype", "bf16", files["gguf"]], 600)
    files["tiny"] = a.cache / "tiny"
    if not files["tiny"].exists():
        with tempfile.TemporaryDirectory() as folder:
            run([BIN / "hone", "run", HERE / "tiny.lua", "--out", f"{folder}/run"], 600)
            shutil.copytree(next(pathlib.Path(folder).glob("run/01-*/checkpoints/step-1")), files["tiny"])
    run([sys.executable, HERE / "peers/prompts.py", files["hf"], files["prompts"], ROOT / "README.md", ROOT / "docs/architecture.md"], 600)
    files["limits"] = json.loads(run([BIN / "machine_limits", a.threads], 600)[0])
    return files


def cpu():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", info)[1]
    flags = re.search(r"flags\s*: (.*)", info)[1].split()
    has = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{name}, {' '.join(has)}"


def spread(figures):
    return f"{min(figures):.3g} – {max(figures):.3g}" if len(figures) > 1 else f"{figures[0]:.3g}"


def chart(all_works, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    bars = [(work, peer) for work in all_works for peer in work.contenders[1:] if peer.figures and work.contenders[0].figures]
    figure, axis = plt.subplots(figsize=(9, 0.45 * len(bars) + 1.2))
    labels, values = [], []
    for work, peer in bars:
        labels.append(f"{SHORT[work.key]}, against {peer.name}")
        values.append(work.ratio(peer))
    places = list(range(len(bars)))[::-1]
    axis.barh(places, [value - 1 for value in values], left=1, color=["#2f6f9f" if value >= 1 else "#b5533c" for value in values], height=0.6)
    axis.axvline(1, color="#444", linewidth=1)
    axis.set_xscale("log")
    axis.set_xlim(0.5, max(values) * 2.2)
    axis.set_yticks(places, labels, fontsize=9)
    for place, value in zip(places, values):
        axis.text(max(value, 1) * 1.06, place, f"{value:.2f} ×" if value < 10 else f"{value:.0f} ×", va="center", fontsize=9)
    axis.set_xlabel("times as fast as the peer (1: as fast; logarithmic)")
    axis.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def page(a, all_works, files):
    limits = files["limits"]
    from importlib.metadata import version
    versions = {name: version(name) for name in ("torch", "transformers", "trl")}
    lines = ["# Benchmarks: hone beside its peers", "",
             "Made by `bash tests/bench/compare.sh`: every contender in turn, on the same weights (SmolLM2-135M-Instruct, bf16), with the same number of",
             f"tokens and {a.threads} threads, on one machine. Ratios above 1 say that hone is faster.", "",
             "![how many times as fast hone is](images/benchmarks.png)", "",
             f"Machine: {cpu()}; {os.cpu_count()} CPUs; measured limits: {limits['f32_gflops']:.0f} GFLOP/s in f32, "
             + (f"{limits['bf16_gflops']:.0f} GFLOP/s in bf16" if limits["bf16_gflops"] else "no instruction for bf16")
             + f", {limits['read_gigabytes']:.1f} GB/s read. {datetime.date.today()}, Python {platform.python_version()}, "
             + ", ".join(f"{name} {version}" for name, version in versions.items()) + ", llama.cpp of llama-cpp-python. "
             f"{a.rounds} rounds of hone and llama.cpp, {a.slow_turns} of the slower ones (of {a.slow_repeats} in a row, and {a.trl_steps} of TRL's steps; the first is a warm-up where there is a second); "
             "figures are the best, with the least and the largest seen.", "",
             "| work | hone | limit here | peer | its figure | ratio | ratio of medians |", "|---|---|---|---|---|---|---|"]
    for work in all_works:
        mine = work.contenders[0]
        for i, peer in enumerate(work.contenders[1:]):
            own = f"{work.best(mine):.3g} {work.unit} ({spread(mine.figures)})" if mine.figures else mine.note
            limit = f"{work.limit:.3g} ({work.limit_of}; {100 * work.best(mine) / work.limit:.0f} % reached)" if work.limit and mine.figures else ""
            if not peer.figures or not mine.figures:
                lines.append(f"| {work.title} | {own} | {limit} | {peer.name} | {peer.note} | | |")
                continue
            middle = work.ratio(peer, lambda c: statistics.median(c.figures))
            lines.append(f"| {work.title} | {own} | {limit} | {peer.name} | {work.best(peer):.3g} {work.unit} ({spread(peer.figures)}) | "
                         f"**{work.ratio(peer):.2f}** | {middle:.2f} |")
    grpo = next((work for work in all_works if work.key == "grpo"), None)
    if grpo and all(c.memory for c in grpo.contenders):
        mine, theirs = (max(c.memory) for c in grpo.contenders)
        lines += ["", f"Most memory of the GRPO run: hone {mine:.0f} MB, TRL {theirs:.0f} MB ({mine / theirs:.2f} of it)."]
    lines += ["", "**What differs.** llama.cpp's batched-bench is given only its time for the new tokens, and it draws no sample: hone's and transformers' times hold the "
              "prompts and the sampling too. hone computes each prompt once for its 8 responses. All train f32 weights with bf16 products; TRL runs "
              "micro-batches of 8 rows, which is what keeps its memory low, and all must make 64 tokens, while hone's responses may end before. Start: a "
              "whole process.", "", "The limits are of this machine at its best moment, all threads at once: a virtual machine may give less at others. "
              "Where a step's time goes, and what is left on the table: [profile.md](profile.md).", ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--gguf", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--slow-turns", type=int, default=1, help="rounds in which PyTorch, transformers and TRL take part")
    parser.add_argument("--slow-repeats", type=int, default=2, help="what transformers and PyTorch do in one turn; the first is a warm-up, where there is a second")
    parser.add_argument("--trl-steps", type=int, default=2, help="the first is a warm-up, where there is a second")
    parser.add_argument("--timeout", type=int, default=900, help="seconds that one process may take")
    parser.add_argument("--only", default="", help="only these kinds of work, by comma, beside the figures that earlier runs left of the others: sample, sample_one, prefill, train, grpo, tiny_sample, tiny_train, start")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs", help="a folder")
    a = parser.parse_args()
    files = make_files(a)
    say(f"limits: {files['limits']}")
    all_works = works(a, files)
    kept = a.cache / "figures.json"
    figures = json.loads(kept.read_text()) if a.only and kept.exists() else {}
    for work in all_works:
        if a.only and work.key not in a.only.split(","):
            for contender, known in zip(work.contenders, figures.get(work.key, [])):
                contender.figures, contender.memory, contender.note = known
            continue
        for number in range(a.rounds):
            say(f"{work.key}, round {number + 1} of {a.rounds}")
            for contender in work.contenders:
                contender.turn()
        figures[work.key] = [(c.figures, c.memory, c.note) for c in work.contenders]
        kept.write_text(json.dumps(figures))
    all_works = [work for work in all_works if any(c.figures for c in work.contenders)]
    (a.out / "images").mkdir(parents=True, exist_ok=True)
    chart(all_works, a.out / "images/benchmarks.png")
    (a.out / "benchmarks.md").write_text(page(a, all_works, files))
    say(f"wrote {a.out / 'benchmarks.md'}")


if __name__ == "__main__":
    main()
