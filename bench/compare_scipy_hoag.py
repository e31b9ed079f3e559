#!/usr/bin/env python3
"""HOAG on 20 Newsgroups with SciPy's L-BFGS-B and CSR products and nothing else: what `deq tune --method hoag` is
measured against.

    python3 -m venv venv && venv/bin/pip install numpy scipy
    venv/bin/python bench/compare_scipy_hoag.py --data DATA_DIR [--seed 0] [--points 30] [--deq TRACE.json] [--json OUT]

The algorithm is HOAG as its program executes it (F. Pedregosa, ICML 2016; the loop of the SHINE experiments): L2
logistic regression (sums, no intercept, one log-penalty), 90/5/5 split of all documents, memory 10, tolerance
1e-3 * 0.9^k relative to the first gradient, conjugate gradients warm-started for the hypergradient, adaptive step whose
accepted moves are taken twice. The inner solver stops at the evaluation that meets its tolerance.

Clock: from before the first inner solve to after the last, reading and splitting the data left out.
"""

import argparse
import bz2
import json
import os
import sys
import time

import numpy as np
import scipy
import scipy.optimize
import scipy.sparse
import scipy.sparse.linalg
from scipy.special import expit

FEATURES = 130107


def read_libsvm(path):
    """Rows of `label index:value ...` as a CSR matrix with unit rows, and the labels."""
    text = bz2.open(path, "rt").read()
    labels, starts, columns, values = [], [0], [], []
    for line in text.splitlines():
        label, *entries = line.split()
        labels.append(float(label))
        for entry in entries:
            index, value = entry.split(":")
            columns.append(int(index) - 1)
            values.append(float(value))
        starts.append(len(columns))
    x = scipy.sparse.csr_matrix((values, columns, starts), shape=(len(labels), FEATURES))
    norms = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
    norms[norms == 0] = 1
    return scipy.sparse.csr_matrix(scipy.sparse.diags(1 / norms) @ x), np.array(labels)


def split(count, seed):
    """90/5/5 as two calls of scikit-learn's train_test_split with random_state = seed give it."""
    train_count = int(np.floor(0.9 * count))
    order = np.random.RandomState(seed).permutation(count)
    rest, train = order[: count - train_count], order[count - train_count :]
    order = np.random.RandomState(seed).permutation(len(rest))
    half = int(np.ceil(0.5 * len(rest)))
    return train, rest[order[:half]], rest[order[half:]]


class Loss:
    """Sum of log(1 + exp(-y x^T w))."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def value(self, w):
        return np.logaddexp(0, -self.y * (self.x @ w)).sum()

    def value_and_gradient(self, w):
        margins = self.y * (self.x @ w)
        return np.logaddexp(0, -margins).sum(), self.x.T @ (-self.y * expit(-margins))

    def curvature(self, w):
        sigma = expit(self.y * (self.x @ w))
        return sigma * (1 - sigma)


class Reached(Exception):
    """The gradient met the tolerance, at this w."""


class Hoag:
    """State of the loop. `counts` are inner gradients and Hessian products."""

    def __init__(self, train, validation, test, memory):
        self.train, self.validation, self.test, self.memory = train, validation, test, memory
        self.gradients = 0
        self.products = 0

    def inner_solve(self, w, alpha, tolerance):
        """L-BFGS-B from w until |gradient| < tolerance. Returns w and the gradient norm there."""
        penalty = np.exp(alpha)
        last = {}

        def evaluate(at):
            value, gradient = self.train.value_and_gradient(at)
            self.gradients += 1
            gradient += penalty * at
            last["norm"] = np.linalg.norm(gradient)
            if last["norm"] < tolerance:
                last["w"] = at.copy()
                raise Reached
            return value + 0.5 * penalty * at.dot(at), gradient

        try:
            options = {"maxcor": self.memory, "maxiter": 1000, "maxfun": 15000, "ftol": 0, "gtol": 0}
            found = scipy.optimize.minimize(evaluate, w, jac=True, method="L-BFGS-B", options=options)
            return found.x, last["norm"]
        except Reached:
            return last["w"], last["norm"]

    def solve_adjoint(self, w, alpha, gradient, start, tolerance):
        """q with H q = gradient by conjugate gradients to the relative tolerance."""
        penalty, curvature = np.exp(alpha), self.train.curvature(w)

        def product(v):
            self.products += 1
            return self.train.x.T @ (curvature * (self.train.x @ v)) + penalty * v

        hessian = scipy.sparse.linalg.LinearOperator((len(w), len(w)), matvec=product)
        q, _ = scipy.sparse.linalg.cg(hessian, gradient, x0=start, rtol=tolerance, atol=0, maxiter=10000)
        return q


def run(hoag, w, points, trace):
    """The loop: `points` entries of the trace, the start included. Returns processor seconds."""
    alpha, last_alpha, tolerance, q, curvature = 0.0, 0.0, 1e-3, None, None
    reference = None  # alpha that the inner tolerance is scaled by; the current one until a step is rejected
    start_norm = np.linalg.norm(hoag.train.value_and_gradient(w)[1] + np.exp(alpha) * w)
    last_value = np.inf
    clock = time.perf_counter()
    processor = time.process_time()
    untimed = 0.0

    def record(norm):
        nonlocal untimed
        began = time.perf_counter()
        trace.append(
            {
                "outer": len(trace),
                "seconds": began - clock - untimed,
                "lambda": alpha,
                "validation_loss": hoag.validation.value(w),
                "test_loss": hoag.test.value(w),
                "inner_gradients": hoag.gradients,
                "hessian_products": hoag.products,
                "inner_residual": norm,
            }
        )
        print("{outer:3d} {seconds:9.3f} s  lambda {lambda:9.5f}  validation {validation_loss:12.6f}  test "
              "{test_loss:12.6f}  gradients {inner_gradients:5d}  products {hessian_products:5d}".format(**trace[-1]))
        untimed += time.perf_counter() - began

    hoag.gradients += 1
    record(start_norm)
    for _ in range(1, points):
        # The published program overwrites its reference in place, until the first rejection leaves it behind.
        factor = np.exp(last_alpha - (alpha if reference is None else reference))
        w, norm = hoag.inner_solve(w, alpha, tolerance * start_norm * factor)
        value, gradient = hoag.validation.value_and_gradient(w)
        q = hoag.solve_adjoint(w, alpha, gradient, w if q is None else q, tolerance)
        last_tolerance, tolerance = tolerance, max(0.9 * tolerance, 1e-12)
        slope = -np.exp(alpha) * w.dot(q)
        fitted_at = alpha
        if slope != 0:
            if curvature is None:
                curvature = abs(slope) if abs(slope) > 1e-3 else 1.0
            step = slope / curvature
            last_alpha, alpha = alpha, float(np.clip(alpha - step, -12, 12))
            increment = abs(step)
            bound = 0.25 * tolerance + last_tolerance * 1.25 * increment - curvature * increment**2
            if value <= last_value + bound:
                curvature *= 0.95
                alpha -= step
            elif value >= 1.2 * last_value:
                reference = alpha if reference is None else reference
                curvature, alpha, tolerance = 2 * curvature, last_alpha, 0.5 * tolerance
            else:
                alpha -= step
            alpha = float(np.clip(alpha, -12, 12))
            last_value = value
        moved_to, alpha = alpha, fitted_at
        record(norm)
        alpha = moved_to
    return time.process_time() - processor


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder that holds 20news/")
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the first w")
    parser.add_argument("--points", type=int, default=30, help="of the trace, the start included")
    parser.add_argument("--memory", type=int, default=10, help="of L-BFGS-B")
    parser.add_argument("--json", help="write the trace there")
    parser.add_argument("--deq", help="trace of `deq tune --json --method hoag`, to compare with")
    arguments = parser.parse_args()

    folder = os.path.join(arguments.data, "20news")
    folder = folder if os.path.isdir(folder) else arguments.data
    x, y = zip(*(read_libsvm(os.path.join(folder, f"20news_vectorized.{part}.bz2")) for part in ("train", "test")))
    x, y = scipy.sparse.vstack(x, format="csr"), np.concatenate(y)
    y = np.where(y < y.mean(), -1.0, 1.0)
    parts = [Loss(x[rows], y[rows]) for rows in split(x.shape[0], arguments.seed)]
    print(f"numpy {np.__version__}, scipy {scipy.__version__}; rows {[part.x.shape[0] for part in parts]}, "
          f"{x.shape[1]} features")

    trace = []
    hoag = Hoag(*parts, arguments.memory)
    processor = run(hoag, np.random.RandomState(arguments.seed).standard_normal(x.shape[1]), arguments.points, trace)
    print(f"SciPy: {trace[-1]['seconds']:.2f} s, {processor:.2f} s of processor time")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"hoag": {str(arguments.seed): trace}}, file, indent=1)
    if arguments.deq:
        with open(arguments.deq) as file:
            ours = json.load(file)["hoag"][str(arguments.seed)][-1]
        print(f"deq:   {ours['seconds']:.2f} s, {trace[-1]['seconds'] / ours['seconds']:.2f} times as fast; "
              f"validation {ours['validation_loss']:.6f} against {trace[-1]['validation_loss']:.6f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
