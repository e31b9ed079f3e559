#!/usr/bin/env python3
"""Times an MDEQ in plain PyTorch and in deq, turn about in one run, and prints the ratios.

    python3 bench/compare_pytorch.py train/configs/cifar10-mdeq-tiny.toml [--deq build/release/deq] [--batch 32]
    python3 bench/compare_pytorch.py --check DIR     # the PyTorch model against reference numbers (mdeq-mini)

Needs torch and, for --check, safetensors (pip). Both sides run the same fixed numbers of solver steps on random images
in float32 on the same number of threads. Every figure is a median over rounds, with lowest and highest. `shine` and
`jfb` are compared with the same estimator in PyTorch, `exact` with its own adjoint solve; the last row holds our SHINE
step against PyTorch's own adjoint. Peak memory is the largest resident set of a process that does nothing but three
training steps (of `deq train` on drawn images here), after what importing torch takes is subtracted there.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib

import torch

from torch_implicit import State, solve, training_loss
from torch_mdeq import Mdeq

DEFAULTS = {"post_gn_affine": False, "block_gn_affine": True, "fuse_gn_affine": True, "dropout": 0.0}


def model_of(path):
    with open(path, "rb") as file:
        config = tomllib.load(file)
    m = DEFAULTS | config["model"]
    n = len(m["channels"])
    m.setdefault("num_blocks", [1] * n)
    m.setdefault("big_kernels", [0] * n)
    return config, Mdeq(m)


def milliseconds(work):
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


class TorchSide:
    """The parts that `deq bench` times, by the same names."""

    def __init__(self, config, model, batch):
        self.model, self.steps = model, config["solver"]["max_steps"]
        self.backward_steps = config["solver"]["backward_max_steps"]
        height, width = config["data"]["image"]
        self.image = torch.randn(batch, 3, height, width)
        self.labels = torch.randint(0, config["model"]["classes"], (batch,))
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(self, estimator):
        self.optimizer.zero_grad(set_to_none=True)
        loss, _ = training_loss(self.model, self.image, self.labels, estimator, self.steps, self.backward_steps)
        loss.backward()
        self.optimizer.step()

    def measure(self, estimators):
        model = self.model
        model.train()
        out = {}
        with torch.no_grad():
            model.begin(len(self.image))
            injection = model.inject(self.image)
            z = [torch.randn(len(self.image), *s) for s in model.shapes(self.image)]
            model.fullstage(z, injection)
            out["f"] = milliseconds(lambda: model.fullstage(z, injection))
        state = State(model.shapes(self.image))
        flat = State.join(z).requires_grad_()
        y = State.join(model.fullstage(state.split(flat), injection))
        v = torch.randn_like(y)
        out["vjp"] = milliseconds(lambda: torch.autograd.grad(y, flat, v, retain_graph=True))
        del y
        for estimator in estimators:
            out[f"step {estimator}"] = milliseconds(lambda: self.step(estimator))
        model.eval()
        with torch.no_grad():
            def infer():
                z, _, _, state = solve(model, self.image, steps=self.steps)
                model.head(state.split(z))
            out["inference"] = milliseconds(infer)
        return out


def peak_of_torch(options):
    """Prints KiB at the peak of three steps, and those that stood before there was a model."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    side = TorchSide(*model_of(options.config), options.batch)
    for _ in range(3):
        side.step(options.peak_of)
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "before": before}))


# The system counts in the peak of a process what its parent held when it began: a small parent must start it.
LAUNCHER = """import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(status != 0)"""


def output_of(command):
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(command)} failed: {run.stderr}")
    return run.stdout


def peak_of(command):
    """KiB of resident memory at the peak of a process."""
    return int(output_of([sys.executable, "-S", "-c", LAUNCHER] + command))


def compare_memory(options, estimators):
    print("\n| peak of a step | PyTorch MiB (without torch) | deq MiB | ratio |\n|---|---|---|---|")
    threads = ["--threads", str(options.threads)] if options.threads else []
    for estimator in estimators:
        own = [sys.executable, __file__, options.config, "--batch", str(options.batch), "--peak-of", estimator]
        theirs = json.loads(output_of(own + threads))
        with tempfile.TemporaryDirectory() as folder:
            settings = {"data.name": "shapes", "data.train_size": 4 * options.batch, "data.test_size": options.batch,
                        "train.batch_size": options.batch, "train.eval_batch_size": options.batch,
                        "train.total_steps": 3, "train.pretrain_steps": 0, "train.estimator": estimator,
                        "solver.tolerance": 0, "solver.backward_tolerance": 0, "train.spectral_radius_steps": 0}
            command = [options.deq, "train", options.config, "--out", os.path.join(folder, "run"), "--quiet"] + threads
            for key, value in settings.items():
                command += ["--set", f"{key}={value}"]
            ours = peak_of(command)
        bare = theirs["peak"] - theirs["before"]
        print(f"| {estimator} | {theirs['peak'] / 1024:.0f} ({bare / 1024:.0f}) | {ours / 1024:.0f} "
              f"| {theirs['peak'] / ours:.2f} ({bare / ours:.2f}) |", flush=True)


def deq_measure(options, estimators):
    command = [options.deq, "bench", options.config, "--batch", str(options.batch), "--repeats", "3", "--json",
               "--quiet", "--estimators", ",".join(estimators)]
    if options.threads:
        command += ["--threads", str(options.threads)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    out = {"f": result["f_ms"], "vjp": result["vjp_ms"], "inference": result["inference_ms"]}
    out |= {f"step {name}": value for name, value in result["step_ms"].items()}
    out |= {f"backward {name}": value for name, value in result["backward_ms"].items()}
    return out, result["conv_unit_ms"]


def compare(options):
    if options.threads:
        torch.set_num_threads(options.threads)
    estimators = options.estimators.split(",")
    compare_memory(options, estimators)
    if options.memory:
        return
    config, model = model_of(options.config)
    side = TorchSide(config, model, options.batch)
    side.measure(estimators)  # warms up
    torch_rounds, deq_rounds, units = [], [], []
    for i in range(options.rounds):
        print(f"round {i + 1} of {options.rounds}", file=sys.stderr)
        torch_rounds.append(side.measure(estimators))
        values, unit = deq_measure(options, estimators)
        deq_rounds.append(values)
        units.append(unit)
    print(f"\n{os.path.basename(options.config)}, batch {options.batch}, {side.steps} forward and {side.backward_steps} "
          f"backward steps, {torch.get_num_threads()} threads, torch {torch.__version__}, {options.rounds} rounds; "
          f"convolution unit {statistics.median(units):.1f} ms\n")
    print("| part | PyTorch ms | deq ms | ratio (lowest-highest round) | deq, units |\n|---|---|---|---|---|")
    def row(name, theirs, ours):
        ratios = [a / b for a, b in zip(theirs, ours)]
        in_units = statistics.median(b / u for b, u in zip(ours, units))
        print(f"| {name} | {statistics.median(theirs):.1f} ({min(theirs):.0f}-{max(theirs):.0f}) "
              f"| {statistics.median(ours):.1f} ({min(ours):.0f}-{max(ours):.0f}) "
              f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | {in_units:.1f} |")

    for part in torch_rounds[0]:
        row(part, [r[part] for r in torch_rounds], [r[part] for r in deq_rounds])
    if {"exact", "shine"} <= set(estimators):
        row("step, deq shine / PyTorch exact", [r["step exact"] for r in torch_rounds],
            [r["step shine"] for r in deq_rounds])
    backward = [statistics.median(r["backward " + name] for r in deq_rounds) for name in estimators]
    print("\ndeq, backward alone: " + ", ".join(f"{n} {ms:.1f} ms" for n, ms in zip(estimators, backward)))


def mini_model(folder):
    from safetensors.torch import load_file
    with open(os.path.join(folder, "expected.json")) as file:
        config = json.load(file)["config"]["MODEL"]
    stage = config["EXTRA"]["FULL_STAGE"]
    model = Mdeq({
        "channels": stage["NUM_CHANNELS"], "head_channels": stage["HEAD_CHANNELS"],
        "final_channels": stage["FINAL_CHANSIZE"], "num_blocks": stage["NUM_BLOCKS"],
        "big_kernels": stage["BIG_KERNELS"], "num_groups": config["NUM_GROUPS"],
        "expansion": config["EXPANSION_FACTOR"], "downsample_times": config["DOWNSAMPLE_TIMES"],
        "block_gn_affine": config["BLOCK_GN_AFFINE"], "fuse_gn_affine": config["FUSE_GN_AFFINE"],
        "post_gn_affine": config["POST_GN_AFFINE"], "classes": config["NUM_CLASSES"], "dropout": 0.0})
    missing, surplus = model.load_state_dict(load_file(os.path.join(folder, "weights.safetensors")), strict=False)
    assert not surplus and all("num_batches_tracked" in name for name in missing), (missing, surplus)
    return model.double(), load_file(os.path.join(folder, "case.safetensors"))


def check(folder):
    """The PyTorch model must be the published one, or the comparison means nothing."""
    from safetensors.torch import load_file
    model, case = mini_model(folder)
    image, labels = case["x"].double(), case["labels"].long()
    branches = range(len(model.config["channels"]))
    worst = {}
    model.eval()
    with torch.no_grad():
        model.begin(len(image))
        out = model.fullstage([case[f"f_zin_{i}"].double() for i in branches], model.inject(image))
        worst["f"] = max((out[i] - case[f"f_out_{i}"]).abs().max().item() for i in branches)
        z, _, _, state = solve(model, image, steps=80, tolerance=1e-11)
        worst["logits"] = (model.head(state.split(z)) - case["eval_tight_logits"]).abs().max().item()
    model.train()
    loss, logits = training_loss(model, image, labels, "exact", 80, 80, 1e-11, 1e-11)
    worst["training logits"] = (logits - case["train_ift_logits"]).abs().max().item()
    loss.backward()
    wanted = load_file(os.path.join(folder, "implicit_gradients.safetensors"))
    largest = max(t.norm().item() for t in wanted.values())
    worst["gradients"] = max((p.grad - wanted[name]).norm().item() / max(wanted[name].norm().item(), 1e-6 * largest)
                             for name, p in model.named_parameters() if name in wanted)
    limits = {"f": 1e-5, "logits": 1e-4, "training logits": 1e-4, "gradients": 1e-3}
    for name, value in worst.items():
        print(f"{name}: {value:.1e} (at most {limits[name]:.0e})")
    return 0 if all(worst[name] <= limit for name, limit in limits.items()) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?")
    parser.add_argument("--deq", default="build/release/deq")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    parser.add_argument("--estimators", default="exact,shine,jfb")
    parser.add_argument("--memory", action="store_true", help="peak memory alone")
    parser.add_argument("--peak-of", metavar="ESTIMATOR", help="only PyTorch's peak memory, as JSON")
    parser.add_argument("--check", metavar="DIR", help="folder with expected.json, weights and cases of mdeq-mini")
    options = parser.parse_args()
    if options.check:
        return check(options.check)
    if not options.config:
        parser.error("a configuration or --check is needed")
    if options.peak_of:
        if options.threads:
            torch.set_num_threads(options.threads)
        return peak_of_torch(options)
    return compare(options)


if __name__ == "__main__":
    sys.exit(main())
