"""One rate against rates per layer in fine-tuning, fine-tuning against training from scratch, and what warming up again does.

Run:    python -m benchmarks.fine_tuning [--model cnn]       three minutes of CPU

The mlp has learned the digits from 0 to 4 and then learns those from 5 to 9. Each contender has its own tuned rate, and where it
has rates per layer its own tuned `layer_decay`: of each fold those with the lowest mean validation loss over the five training
seeds. With these it is judged by the test set of the fold. Five folds are all 893 images; a seed's score is that over all of
them. Differences are paired by the seed, with 95% t-intervals over the five seeds.
"""

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import product
from math import exp, inf, log, sqrt
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t

from benchmarks.record_tables import rates
from benchmarks.tables import Table, publish
from objectives.tasks.fine_tuning import start

FOLDS = range(5)
SEEDS = range(5)
RATES = rates(-10, -2, 4)  # 0.0032 to 0.32
DECAYS = (0.8, 0.6, 1 / 2.6)  # the last one is Howard and Ruder's
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A way to train. Each of the values is tried with each of the rates."""

    settings: Mapping[str, Any]
    params: Mapping[str, Any]
    layer_decays: Sequence[float] = (1.0,)


SCRATCH, ONE_RATE = "from scratch", "fine-tuned, one rate"
CONTENDERS = {
    SCRATCH: Contender(settings={"pretrained": "none"}, params={}),
    ONE_RATE: Contender(settings={}, params={}),
    "fine-tuned, rates per layer": Contender(settings={}, params={}, layer_decays=DECAYS),
    "fine-tuned, one rate, unfreezing": Contender(settings={}, params={"unfreeze_every": 1}),
    "fine-tuned, rates per layer, unfreezing": Contender(settings={}, params={"unfreeze_every": 1}, layer_decays=DECAYS),
}
LOW = 0.01
"""Where schedules end: a fraction of the highest rate."""
PEAK = 0.1
WARMING: dict[str, dict[str, Any]] = {
    "at a hundredth of the rate, where schedules end": {"learning_rate": LOW * PEAK, "schedule": "constant"},
    "at the rate at once, then cosine": {"learning_rate": PEAK, "schedule": "cosine"},
    "warmed up over 10% of the run, then cosine": {"learning_rate": PEAK, "schedule": "cosine", "warmup_fraction": 0.1},
    "warmed up over 30% of the run, then cosine": {"learning_rate": PEAK, "schedule": "cosine", "warmup_fraction": 0.3},
}


@dataclass(frozen=True, kw_only=True)
class Run:
    settings: Mapping[str, Any]
    params: Mapping[str, Any]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Score:
    validation_loss: float
    """Infinite where it diverged."""
    test_loss: float
    test_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Found:
    """A contender at its tuned rates."""

    rates: list[float]
    """By fold."""
    layer_decays: list[float]
    accuracies: list[float]
    """By training seed, over the test sets of all folds."""
    losses: list[float]


def prove(out: Path | None, model: str = "mlp") -> int:
    """Train, and publish the tables. Nothing is promised, so that no promise can be broken: 0."""
    # Each process is started anew: torch may have threads already in this one.
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        found = {}
        for name, contender in CONTENDERS.items():
            runs = _points(contender, model)
            found[name] = tuned(runs, pool.map(score, runs, chunksize=5))
        warmed = {name: pool.map(score, _repeated(model, {}, params)) for name, params in WARMING.items()}
    publish("fine_tuning", [_tuned_table(found, model), _differences(found), _warming(warmed, model)], 1, out)
    return 0


def score(run: Run) -> Score:
    """Train, without what is logged."""
    with redirect_stdout(StringIO()):
        training = start(run.params, run.settings, run.seed, "cpu", 1)
        *_, last = training
        test = training.evaluate()
    value = last.metrics["validation_loss"]
    return Score(
        validation_loss=value if last.divergence is None and math.isfinite(value) else inf,
        test_loss=test["test_loss"],
        test_accuracy=test["test_accuracy"],
    )


def tuned(runs: Sequence[Run], scores: Sequence[Score]) -> Found:
    """Choose on the validation set of each fold; report its test set."""
    chosen = []
    for fold in FOLDS:
        of_points: dict[tuple[float, float], list[Score]] = {}
        for run, of_run in zip(runs, scores, strict=True):
            if run.settings["fold"] == fold:
                point = run.params["learning_rate"], run.params["layer_decay"]
                of_points.setdefault(point, []).append(of_run)
        best = min(of_points, key=lambda point: fmean(each.validation_loss for each in of_points[point]))
        chosen.append((best, of_points[best]))
    return Found(
        rates=[rate for (rate, _), _ in chosen],
        layer_decays=[decay for (_, decay), _ in chosen],
        accuracies=[fmean(of_fold[seed].test_accuracy for _, of_fold in chosen) for seed in SEEDS],
        losses=[fmean(of_fold[seed].test_loss for _, of_fold in chosen) for seed in SEEDS],
    )


def interval(values: Sequence[float]) -> str:
    """The mean with its t-interval."""
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * stdev(values) / sqrt(len(values))
    mean = fmean(values)
    return f"{mean:.4f} ({mean - half:.4f} to {mean + half:.4f})"


def _points(contender: Contender, model: str) -> list[Run]:
    return [
        run
        for rate, decay in product(RATES, contender.layer_decays)
        for run in _repeated(model, contender.settings, {**contender.params, "learning_rate": rate, "layer_decay": decay})
    ]


def _repeated(model: str, settings: Mapping[str, Any], params: Mapping[str, Any]) -> list[Run]:
    return [
        Run(settings={**settings, "model": model, "fold": fold}, params=params, seed=seed) for fold, seed in product(FOLDS, SEEDS)
    ]


def _tuned_table(found: Mapping[str, Found], model: str) -> Table:
    head = ["contender", "tuned rate, by fold", "tuned layer_decay, by fold", "test accuracy", "test loss"]
    table = Table(f"The {model} on digits 5 to 9, 10 epochs, one-cycle, five folds x five seeds", head)
    for name, each in found.items():
        table.add(
            name,
            ", ".join(f"{rate:.2g}" for rate in each.rates),
            ", ".join(f"{decay:.2g}" for decay in each.layer_decays),
            interval(each.accuracies),
            interval(each.losses),
        )
    return table


def _differences(found: Mapping[str, Found]) -> Table:
    head = ["contender", "against", "test accuracy", "test loss", "tuned rate, times the other's (range over folds)"]
    table = Table("Differences, paired by the training seed", head)
    for name, against in [(ONE_RATE, SCRATCH), *((name, ONE_RATE) for name in list(found)[2:])]:
        one, other = found[name], found[against]
        times = [mine / its for mine, its in zip(one.rates, other.rates, strict=True)]
        table.add(
            name,
            against,
            interval([mine - its for mine, its in zip(one.accuracies, other.accuracies, strict=True)]),
            interval([mine - its for mine, its in zip(one.losses, other.losses, strict=True)]),
            f"{exp(fmean(map(log, times))):.2g} ({min(times):.2g} to {max(times):.2g})",
        )
    return table


def _warming(warmed: Mapping[str, Sequence[Score]], model: str) -> Table:
    """The scores of each way are those of all seeds for each fold in turn."""
    head = ["training goes on", "validation loss", "test accuracy"]
    table = Table(f"The learned {model} goes on, at a rate of {PEAK:g} or {LOW * PEAK:g}", head)
    for name, scores in warmed.items():
        of_seeds = [scores[seed :: len(SEEDS)] for seed in SEEDS]
        table.add(
            name,
            interval([fmean(each.validation_loss for each in of_seed) for of_seed in of_seeds]),
            interval([fmean(each.test_accuracy for each in of_seed) for of_seed in of_seeds]),
        )
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("mlp", "cnn", "resnet"), default="mlp")
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    prove(arguments.out, arguments.model)
