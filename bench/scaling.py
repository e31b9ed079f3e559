#!/usr/bin/env python3
"""How time and memory grow with batch, image size, branches, solver history and threads.

    python3 bench/scaling.py [--config train/configs/cifar10-mdeq-tiny.toml] [--deq build/release/deq]
                             [--chart build/release/bench_chart] [--out docs] [--axes batch,image,..] [--repeats 2]
                             [--rounds 3]

Runs `deq bench --json` point by point, several rounds over an axis, and takes each figure from its fastest round, for
other load can only slow a run down. Prints a table an axis with the exponents of growth over its upper half (a line
through the logarithms) and, where --chart exists, draws scaling-AXIS.svg: step, f, inference and peak memory as multiples
of the axis' first point. Needs nothing but Python.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile

SERIES = [("step", lambda r: r["step_ms"]["shine"]), ("f", lambda r: r["f_ms"]),
          ("inference", lambda r: r["inference_ms"]), ("solver update", lambda r: r["solver_overhead_ms"]),
          ("peak memory", lambda r: r["peak_bytes"])]


def branches(count):
    """Settings of a TINY with `count` branches."""
    return {"model.channels": [24] * count, "model.head_channels": [8 * 2**min(i, 1) for i in range(count)],
            "model.num_blocks": [1] * count, "model.big_kernels": [0] * count}


def axes():
    """name: (label, whether it is logarithmic, {point: (batch, threads, settings)}); 0 threads: all."""
    cores = os.cpu_count() or 1
    counts = (4, 8, 12, 18, 24, 30)
    rounded = {"solver.history": "bfloat16"}
    return {
        "batch": ("images a batch", True, {b: (b, 0, {}) for b in (1, 2, 4, 8, 16, 32, 64)}),
        "image": ("pixels of an image's side", True,
                  {s: (8, 0, {"data.name": "shapes", "data.image": [s, s]}) for s in (16, 32, 48, 64, 96)}),
        "branches": ("branches of 24 channels", False, {n: (32, 0, branches(n)) for n in (1, 2, 3, 4)}),
        "history": ("solver steps, all kept", False,
                    {n: (32, 0, {"solver.max_steps": n}) for n in counts}),
        "history-bf16": ("solver steps, all kept in bf16", False,
                         {n: (32, 0, {"solver.max_steps": n} | rounded) for n in counts}),
        "threads": ("threads", False, {n: (32, n, {}) for n in sorted({1, 2, cores // 2, cores} - {0}) if n <= cores}),
    }


def measure(options, batch, threads, settings):
    command = [options.deq, "bench", options.config, "--batch", str(batch), "--repeats", str(options.repeats), "--json",
               "--quiet", "--estimators", "shine"]
    if threads:
        command += ["--threads", str(threads)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(command)}\n{run.stderr}")
    return json.loads(run.stdout)


def fastest(rounds):
    """The smallest of each figure, of results of one point."""
    first = rounds[0]
    out = {key: min(r[key] for r in rounds) for key in first if isinstance(first[key], (int, float))}
    return out | {"step_ms": {"shine": min(r["step_ms"]["shine"] for r in rounds)}}


def exponent(points, values):
    """p of values ~ points^p by least squares, over the upper half of the points."""
    first = len(points) // 2
    x, y = [math.log(p) for p in points[first:]], [math.log(v) for v in values[first:]]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x)**2 for a in x)


def draw(options, name, label, is_log, points, results):
    # Shares below one (time against threads) are as telling on a log scale; a line of slope 1 is proportional growth.
    series = [{"name": what, "x": points, "y": [of(r) / of(results[0]) for r in results]} for what, of in SERIES]
    chart = {"title": f"Growth with {label}", "x": {"label": label, "log": is_log},
             "y": {"label": "multiple of the first point", "log": is_log}, "series": series}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(chart, file)
        file.flush()
        subprocess.run([options.chart, file.name, os.path.join(options.out, f"scaling-{name}.svg")], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="train/configs/cifar10-mdeq-tiny.toml")
    parser.add_argument("--deq", default="build/release/deq")
    parser.add_argument("--chart", default="build/release/bench_chart")
    parser.add_argument("--out", default="docs")
    parser.add_argument("--axes", default=",".join(axes()))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name in options.axes.split(","):
        if name not in axes():
            parser.error(f"--axes: no axis '{name}'; there are {', '.join(axes())}")
        label, is_log, points = axes()[name]
        rounds = [[measure(options, *point) for point in points.values()] for _ in range(options.rounds)]
        results = [fastest(of_point) for of_point in zip(*rounds)]
        print(f"\n| {label} | step ms | f ms | inference ms | solver update ms | peak MiB | history MiB |")
        print("|---" * 7 + "|")
        for point, r in zip(points, results):
            print(f"| {point} | {r['step_ms']['shine']:.1f} | {r['f_ms']:.2f} | {r['inference_ms']:.1f} "
                  f"| {r['solver_overhead_ms']:.2f} | {r['peak_bytes'] / 2**20:.0f} "
                  f"| {r['history_bytes'] / 2**20:.0f} |", flush=True)
        columns = [of for _, of in SERIES] + [lambda r: r["history_bytes"]]
        exponents = [f"{exponent(list(points), [of(r) for r in results]):.2f}" for of in columns]
        print("| exponent | " + " | ".join(exponents) + " |", flush=True)
        if os.path.exists(options.chart):
            draw(options, name, label, is_log, list(points), results)
        else:
            print(f"no {options.chart}: no plot", file=sys.stderr)


if __name__ == "__main__":
    main()
