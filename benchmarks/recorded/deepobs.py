"""DeepOBS' baselines (Schneider et al. 2019): four problems, three optimizers, 36 rates from 1e-5 to 100 each.

One seed at each rate, and ten at the one that the authors took for the best: the expected cost is known at that
rate only, so nothing is promised on it. A cost is the test loss after the last epoch.
"""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.recorded.recorded_set import RATE, RecordedSet, sd_of, truth_of
from benchmarks.recorded.reference import file

PER_DECADE = 5


def load(reference: str | None = None) -> list[RecordedSet]:
    """Each problem with each optimizer. Raises Missing."""
    grouped: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    with file("deepobs.jsonl", reference).open(encoding="utf-8") as lines:
        for line in lines:
            run = json.loads(line)
            grouped[f"deepobs {run['problem']} {run['optimizer']}"].append(run)
    return [_of_runs(name, runs) for name, runs in sorted(grouped.items())]


def _of_runs(name: str, runs: Sequence[dict[str, Any]]) -> RecordedSet:
    seeds = sorted({run["seed"] for run in runs})
    by_rate: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for run in runs:  # the same rate is written with two and with all its digits
        by_rate[round(PER_DECADE * math.log10(run["learning_rate"]))][run["seed"]] = _cost(run)
    steps = sorted(by_rate)
    table = np.array([[by_rate[step].get(seed, math.nan) for seed in seeds] for step in steps])
    points = [{RATE: float(f"{10 ** (step / PER_DECADE):.4g}")} for step in steps]
    return RecordedSet(
        name=name,
        space="rate",
        search_space={RATE: {"type": "float", "low": points[0][RATE], "high": points[-1][RATE], "log": True}},
        points=points,
        runs=table,
        truth=truth_of(table),
        sd=sd_of(table),
        judges_expected=False,
        sizes=(16, 32),
    )


def _cost(run: dict[str, Any]) -> float:
    last = float(run["test_loss"][-1])
    return last if math.isfinite(last) and not run["diverged"] else math.inf
