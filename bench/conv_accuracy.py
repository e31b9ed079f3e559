#!/usr/bin/env python3
"""What the convolution policies do to a trained model: test accuracy and loss, mean ± standard deviation over seeds.

    python3 bench/conv_accuracy.py [--deq build/release/deq] [--out build/conv-accuracy] [--sets shapes,cifar10]
                                   [--policies direct,auto,bf16] [--seeds 1,2,3] [--jobs 2]

Trains MDEQ TINY from the same starts on the same batches under each policy, runs of one thread each, and evaluates the
last checkpoint under the policy it was trained with. A run that is there already is not trained again. CIFAR-10 needs
DEQ_DATA_DIR. Needs nothing but Python.
"""

import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess

COMMON = {"train.batch_size": 32, "train.unroll_steps": 5, "solver.max_steps": 8, "train.spectral_radius_steps": 0}
SETS = {
    "shapes": ("train/configs/shapes-mdeq.toml",
               {"train.pretrain_steps": 60, "train.total_steps": 160, "data.train_size": 5120}),
    "cifar10": ("train/configs/cifar10-mdeq-tiny.toml", {"train.pretrain_steps": 100, "train.total_steps": 300}),
}
TEST_IMAGES = 2000


def output_of(command):
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {run.stderr}")
    return run.stdout


def result_of(options, name, policy, seed):
    """The evaluation of one run as `deq eval --json` gives it."""
    folder = os.path.join(options.out, f"{name}-{policy}-{seed}")
    stored = os.path.join(folder, "evaluation.json")
    if not os.path.exists(stored):
        config, settings = SETS[name]
        settings = COMMON | settings | {"compute.convolution": policy, "train.eval_every": settings["train.total_steps"],
                                        "train.eval_limit": 32, "data.seed": seed}
        command = [options.deq, "train", config, "--out", folder, "--quiet", "--threads", "1", "--seed", str(seed)]
        if os.path.exists(os.path.join(folder, "checkpoints", "last")):
            command.append("--resume")
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        output_of(command)
        text = output_of([options.deq, "eval", os.path.join(folder, "checkpoints", "last"), "--json", "--quiet",
                          "--threads", "1", "--limit", str(TEST_IMAGES)])
        with open(stored, "w") as file:
            file.write(text)
    with open(stored) as file:
        return json.load(file)


def spread(values):
    return f"{statistics.mean(values):.4g} ± {statistics.stdev(values) if len(values) > 1 else 0:.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deq", default="build/release/deq")
    parser.add_argument("--out", default="build/conv-accuracy")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--policies", default="direct,auto,bf16")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    seeds = options.seeds.split(",")
    print("| set | policy | test accuracy, % | test loss |\n|---|---|---|---|")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {(name, policy): [pool.submit(result_of, options, name, policy, seed) for seed in seeds]
                for name in options.sets.split(",") for policy in options.policies.split(",")}
        for (name, policy), results in runs.items():
            results = [result.result() for result in results]
            print(f"| {name} | `{policy}` | {spread([100 * r['accuracy'] for r in results])} "
                  f"| {spread([r['loss'] for r in results])} |", flush=True)


if __name__ == "__main__":
    main()
