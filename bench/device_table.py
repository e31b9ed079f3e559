#!/usr/bin/env python3
"""One table of what tests/device.sh measured: the JSON files deq-*.json, eager-*.json and compiled-*.json of a folder."""

import json
import pathlib
import sys


def load(folder, side):
    out = {}
    for path in sorted(folder.glob(f"{side}-*.json")):
        try:
            out[path.stem.removeprefix(side + "-")] = json.loads(path.read_text())
        except json.JSONDecodeError:
            print(f"{path.name} holds no result", file=sys.stderr)
    return out


def parts(result):
    out = {"f": result["f_ms"], "vjp": result["vjp_ms"], "inference": result["inference_ms"]}
    return out | {f"step {name}": ms for name, ms in result["step_ms"].items()}


def cell(ms, ours):
    return f"{ms:.2f} ({ms / ours:.2f}x)" if ms else "-"


def main():
    folder = pathlib.Path(sys.argv[1])
    ours, eager, compiled = (load(folder, side) for side in ("deq", "eager", "compiled"))
    if not ours:
        print("no benchmark of deq succeeded")
        return
    print("| model-batch | part | deq ms | PyTorch eager ms (ratio) | torch.compile ms (ratio) |\n|---|---|---|---|---|")
    for name, result in ours.items():
        theirs = [parts(side[name]) if name in side else {} for side in (eager, compiled)]
        for part, ms in parts(result).items():
            cells = [cell(side.get(part), ms) for side in theirs]
            print(f"| {name} | {part} | {ms:.3f} | {cells[0]} | {cells[1]} |")
    print("\n| model-batch | launches an f | MB an f | GB/s (reached by a copy) "
          "| TFLOP/s of convolutions (reached by a product) | f over its bytes and flops at what is reached "
          "| peak MiB (PyTorch) | waits a solve (steps) | backward of SHINE / JF |\n|---|---|---|---|---|---|---|---|---|")
    for name, r in ours.items():
        seconds = r["f_ms"] / 1e3
        peak = f"{eager[name]['peak_bytes'] / 2**20:.0f}" if name in eager else "-"
        backward = r["backward_ms"]
        ratio = f"{backward['shine'] / backward['jfb']:.2f}" if "shine" in backward and "jfb" in backward else "-"
        print(f"| {name} | {r['map_launches']} | {r['map_bytes'] / 1e6:.0f} "
              f"| {r['map_bytes'] / 1e9 / seconds:.0f} ({r['reachable_bytes_per_s'] / 1e9:.0f}) "
              f"| {r['map_flops'] / 1e12 / seconds:.1f} ({r['reachable_flops_per_s'] / 1e12:.0f}) "
              f"| {r['f_ms'] / r['map_floor_ms']:.2f} | {r['peak_bytes'] / 2**20:.0f} ({peak}) "
              f"| {r['host_waits_per_solve']} ({r['forward_steps']}) | {ratio} |")


if __name__ == "__main__":
    main()
