#!/usr/bin/env python3
"""Times the MDEQ in plain PyTorch on a GPU: eager, and with f through torch.compile where that works.

    python3 bench/torch_cuda.py train/configs/cifar10-mdeq-{tiny,large}.toml --batch 32,128 --out DIR [--compile]
        [--turn FILE]

For every configuration and batch one JSON object in DIR/eager-MODEL-BATCH.json or compiled-.., with the parts that
`deq bench --json` times, by the same names: f_ms, vjp_ms, step_ms by estimator, inference_ms, peak_bytes. Medians of
--rounds calls after two to warm up, each waited for. Both sides run the same fixed numbers of solver steps on random
images. Compiling takes minutes: processes that are given the same --turn compile side by side and measure one by one.
"""

import argparse
import contextlib
import fcntl
import json
import pathlib
import statistics
import sys
import time

import torch

from compare_pytorch import model_of
from torch_implicit import State, solve, training_loss


@contextlib.contextmanager
def turn(path):
    """Waits until no other process measures."""
    if path is None:
        yield
        return
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def median_ms(work, rounds, calls=1):
    """Of one call, when so many run before the host waits: a wait is no part of f or of a product."""
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            work()
        torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start) / calls)
    return statistics.median(times)


def set_precision(name):
    """tf32 as `deq` understands it: convolutions and products on tensor cores, everything else in float32."""
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cudnn.benchmark = True  # PyTorch's best: shapes never change


def measure(path, batch, options):
    config, model = model_of(path)
    model = model.cuda()
    set_precision(options.precision)
    if options.compile:
        torch._dynamo.reset()
        torch._functorch.config.donated_buffer = False  # products with J run backward through one f many times
        model.fullstage = torch.compile(model.fullstage)
    steps, backward_steps = config["solver"]["max_steps"], config["solver"]["backward_max_steps"]
    height, width = config["data"]["image"]
    image = torch.randn(batch, 3, height, width, device="cuda")
    labels = torch.randint(0, config["model"]["classes"], (batch,), device="cuda")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(estimator):
        optimizer.zero_grad(set_to_none=True)
        loss, _ = training_loss(model, image, labels, estimator, steps, backward_steps)
        loss.backward()
        optimizer.step()

    @torch.no_grad()
    def infer():
        solution, _, _, layout = solve(model, image, steps=steps)
        model.head(layout.split(solution))

    def run_parts(time_of):
        model.train()
        out = {}
        with torch.no_grad():
            model.begin(len(image))
            injection = model.inject(image)
            z = [torch.randn(len(image), *s, device="cuda") for s in model.shapes(image)]
            out["f_ms"] = time_of(lambda: model.fullstage(z, injection), calls=10)
        state = State(model.shapes(image))
        flat = State.join(z).requires_grad_()
        y = State.join(model.fullstage(state.split(flat), injection))
        v = torch.randn_like(y)
        out["vjp_ms"] = time_of(lambda: torch.autograd.grad(y, flat, v, retain_graph=True), calls=10)
        del y
        torch.cuda.reset_peak_memory_stats()
        out["step_ms"] = {name: time_of(lambda: step(name)) for name in options.estimators.split(",")}
        out["peak_bytes"] = torch.cuda.max_memory_allocated()
        model.eval()
        out["inference_ms"] = time_of(infer)
        return out

    def warm_up(work, calls=1):
        for _ in range(2):
            work()

    run_parts(warm_up)
    with turn(options.turn):
        return run_parts(lambda work, calls=1: median_ms(work, options.rounds, calls))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+")
    parser.add_argument("--batch", default="32", help="batch sizes, by commas")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--estimators", default="shine,jfb,exact")
    parser.add_argument("--precision", choices=["f32", "tf32"], default="tf32")
    parser.add_argument("--compile", action="store_true", help="f through torch.compile")
    parser.add_argument("--turn", type=pathlib.Path, help="file by which processes take turns at measuring")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("torch_cuda: PyTorch sees no GPU", file=sys.stderr)
        return 2
    for path in options.configs:
        for batch in map(int, options.batch.split(",")):
            result = {"torch": torch.__version__, "device": torch.cuda.get_device_name(), "batch": batch,
                      "compiled": options.compile, "precision": options.precision} | measure(path, batch, options)
            name = f"{'compiled' if options.compile else 'eager'}-{pathlib.Path(path).stem.split('-')[-1]}-{batch}"
            (options.out / f"{name}.json").write_text(json.dumps(result))
            print(name, json.dumps(result), flush=True)
            torch.cuda.empty_cache()
    return 0


if __name__ == "__main__":
    sys.exit(main())
