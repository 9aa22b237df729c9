"""A surrogate of ConvNeXt on ImageNet (Lourie's opda data: 512 runs of random search, one run a configuration).

No configuration was run twice, so its expected cost is known through a model only: answers are reported, and nothing is promised.
The cost, 1 - top-1 accuracy after the last epoch, is a Gaussian process's mean plus normal noise, whose standard deviation is a
log-linear function of the cost, fitted to the residuals of eight-fold cross-validation; it includes the error of the process,
too. Whether a run diverges is drawn by a logistic regression. Parameters that are not searched are at the medians of the runs.
"""

import json
import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks.recorded.recorded_set import MOST_DIVERGE, RATE, Array, RecordedSet
from benchmarks.recorded.reference import file

CHOICES = {
    "batch_size": (128, 256, 512, 1024),
    "momentum": (0.7, 0.8, 0.9, 0.95, 0.98, 0.99),
    "weight_decay": (1e-6, 1e-5, 1e-4, 1e-3),
}
FIXED = {"batch_size": 512, "momentum": 0.9, "weight_decay": 1e-5, "label_smoothing": 0.26, "epochs": 60, "lr_peak_epoch": 20}
SPACES: dict[str, tuple[str, ...]] = {"rate": (), "rate x batch x momentum x decay": tuple(CHOICES)}
LOW, HIGH, N_RATES = -2.3, 1.7, 41
"""log10, what the runs were drawn from."""
N_SEEDS = 10
"""Runs made up at each point."""
FOLDS = 8
LOG_NORMAL = 0.635
"""What the mean logarithm of the size of a standard normal number is below zero."""


def load(reference: str | None = None) -> list[RecordedSet]:
    """Both spaces. Raises Missing."""
    with file("opda_convnext.jsonl", reference).open(encoding="utf-8") as lines:
        surrogate = Surrogate([json.loads(line) for line in lines])
    return [_in_space(surrogate, space) for space in SPACES]


class Surrogate:
    """What a run costs, and how often it diverges, by its parameters."""

    def __init__(self, runs: Sequence[dict[str, Any]]) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import KFold, cross_val_predict

        every = np.array([_features(run) for run in runs])
        self._centre, self._spread = every.mean(axis=0), every.std(axis=0)
        scaled, diverged = self._scaled(every), np.array([run["nan_train_loss"] for run in runs])
        self._divergence = LogisticRegression(C=10.0).fit(scaled, diverged)
        points, costs = scaled[~diverged], np.array([1 - run["top_1"][-1] for run in runs if not run["nan_train_loss"]])
        kernel = ConstantKernel(2.0) * Matern(np.full(points.shape[1], 3.0), nu=2.5) + WhiteKernel(0.03)
        self._process = GaussianProcessRegressor(kernel, normalize_y=True).fit(points, costs)
        fitted = GaussianProcessRegressor(self._process.kernel_, optimizer=None, normalize_y=True)
        foretold = cross_val_predict(fitted, points, costs, cv=KFold(FOLDS, shuffle=True, random_state=0))
        sizes = np.log(np.maximum(np.abs(costs - foretold), 1e-4))
        self._noise = np.polynomial.Polynomial.fit(foretold, sizes, 1)
        self._foretold = float(foretold.min()), float(foretold.max())

    def at(self, points: Sequence[dict[str, Any]]) -> tuple[Array, Array, Array]:
        """Mean cost, its standard deviation from run to run, and the part of runs that diverge, each (points,)."""
        scaled = self._scaled(np.array([_features(point) for point in points]))
        costs = np.clip(self._process.predict(scaled), 0.2, 1.0)
        sd = np.exp(self._noise(np.clip(costs, *self._foretold)) + LOG_NORMAL)
        return costs, sd, self._divergence.predict_proba(scaled)[:, 1]

    def _scaled(self, features: Array) -> Array:
        scaled: Array = (features - self._centre) / self._spread
        return scaled


def _features(run: dict[str, Any]) -> list[float]:
    return [
        math.log10(run[RATE]),
        math.log2(run["batch_size"]),
        math.log10(1 - run["momentum"]),
        math.log10(run["weight_decay"]),
        run["label_smoothing"],
        math.log(run["epochs"]),
        run["lr_peak_epoch"] / run["epochs"],
    ]


def _in_space(surrogate: Surrogate, space: str) -> RecordedSet:
    others, rates = SPACES[space], [float(f"{10**rate:.4g}") for rate in np.linspace(LOW, HIGH, N_RATES)]
    names, values = (RATE, *others), (rates, *(CHOICES[name] for name in others))
    points = [dict(zip(names, each, strict=True)) for each in product(*values)]
    costs, sd, diverges = surrogate.at([FIXED | point for point in points])
    random = np.random.default_rng(0)
    runs = np.clip(costs[:, None] + sd[:, None] * random.standard_normal((len(points), N_SEEDS)), 0.0, 1.0)
    runs = np.where(random.random(runs.shape) < diverges[:, None], math.inf, runs)
    searched = {name: {"type": "categorical", "choices": list(CHOICES[name])} for name in others}
    return RecordedSet(
        name="opda convnext",
        space=space,
        search_space={RATE: {"type": "float", "low": rates[0], "high": rates[-1], "log": True}, **searched},
        points=points,
        runs=runs,
        truth=np.where(diverges <= MOST_DIVERGE, costs, math.inf),
        sd=sd,
        has_bars=False,
    )
