"""A set of recorded runs: points on a grid, the costs of training there, and the true expected costs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import Akima1DInterpolator

Array = npt.NDArray[np.float64]
Params = Mapping[str, Any]

RATE = "learning_rate"
PERCENTILE, PART = 0.8, 1 / 50
"""The tolerance is at least so large a part of this percentile's regret."""
FEWEST_SEEDS = 3
"""A standard deviation is taken of at least so many runs."""
SPANS = 4
"""A positive parameter counts by its logarithm where its largest value is at least so many times its smallest."""
MOST_DIVERGE = 0.25
"""A rate at which a larger part of runs diverge is no candidate for the best one, as for answers (docs/decisions/0012)."""
OUTERMOST = 0.05
"""A best rate in so large a part of the range, in decades, at either end is one at the edge."""


@dataclass(frozen=True, kw_only=True)
class RecordedSet:
    """Recorded runs of one task in one search space. Costs are lower is better; rates here are log10."""

    name: str
    """The task's, the same for all its spaces."""
    space: str
    """What is searched, e.g. "rate x batch"."""
    search_space: Mapping[str, Any]
    """As a job has it. Every combination of the rates in `points` with the other parameters in them is one of the points."""
    points: Sequence[Params]
    runs: Array
    """(points, seeds): inf where a run diverged, nan where none was recorded."""
    truth: Array
    """(points,): the mean over seeds, inf where more than MOST_DIVERGE of them diverge."""
    sd: Array
    """(points,): of one run, from one training seed to another; nan where too few were recorded."""
    judges_expected: bool = True
    """Whether `truth` is good enough for a bar on `expected`."""
    has_bars: bool = True
    """Whether promises are judged on it; else it is only reported."""
    sizes: tuple[int, ...] = (16, 32, 64)

    @property
    def key(self) -> str:
        return f"{self.name}: {self.space}"

    @property
    def different_runs(self) -> int:
        """How many trials may differ from each other."""
        return int((~np.isnan(self.runs)).sum())

    @cached_property
    def rates(self) -> Array:
        """The tabulated rates, (rates,), ascending."""
        return np.unique([math.log10(point[RATE]) for point in self.points])

    @cached_property
    def others(self) -> list[dict[str, Any]]:
        """The combinations of the other parameters searched."""
        found = {tuple(sorted((k, v) for k, v in point.items() if k != RATE)) for point in self.points}
        return [dict(each) for each in sorted(found)]

    @cached_property
    def index(self) -> npt.NDArray[np.int64]:
        """The point at each rate with each combination, (rates, combinations)."""
        places = {self._place(point): number for number, point in enumerate(self.points)}
        return np.array([[places[rate, other] for other in range(len(self.others))] for rate in range(len(self.rates))])

    def _place(self, point: Params) -> tuple[int, int]:
        others = {k: v for k, v in point.items() if k != RATE}
        return int(np.abs(self.rates - math.log10(point[RATE])).argmin()), self.others.index(others)

    @cached_property
    def finite(self) -> Array:
        """The truth with the worst finite cost where it is infinite, (rates, combinations)."""
        table = self.truth[self.index]
        finite: Array = np.where(np.isfinite(table), table, table[np.isfinite(table)].max())
        return finite

    @cached_property
    def profile(self) -> Array:
        """The truth at each rate with the other parameters at their best for it, (rates,)."""
        costs: Array = self.finite.min(axis=1)
        return costs

    @property
    def best(self) -> float:
        """The lowest true cost."""
        return float(self.profile.min())

    @property
    def best_rate(self) -> float:
        return float(self.rates[self.profile.argmin()])

    @property
    def scale(self) -> float:
        """What the median configuration loses to the best."""
        return float(np.median(self.truth[np.isfinite(self.truth)])) - self.best

    @cached_property
    def tolerance(self) -> float:
        """The judge's: what one training at the best point differs by, at least a fiftieth of the 80th percentile's regret."""
        least = PART * (float(np.quantile(self.truth[np.isfinite(self.truth)], PERCENTILE)) - self.best)
        sd = float(self.sd[self.truth.argmin()])
        return max(sd, least) if math.isfinite(sd) else least

    @cached_property
    def _scales(self) -> dict[str, tuple[bool, float, float]]:
        """Of each other parameter: whether it counts by its logarithm, and its ends."""
        scales = {}
        for name in self.others[0]:
            values = [other[name] for other in self.others]
            is_log = min(values) > 0 and max(values) >= SPANS * min(values)
            scales[name] = (True, math.log(min(values)), math.log(max(values))) if is_log else (False, min(values), max(values))
        return scales

    def scaled(self, params: Params) -> list[float]:
        """The other parameters, from 0 to 1 over the set."""
        found = []
        for name, (is_log, low, high) in self._scales.items():
            number = math.log(params[name]) if is_log else params[name]
            found.append((number - low) / ((high - low) or 1.0))
        return found

    @cached_property
    def _coordinates(self) -> Array:
        return np.array([self.scaled(other) for other in self.others]).reshape(len(self.others), -1)

    def combination(self, params: Params) -> int:
        """The combination of other parameters that is nearest to `params`."""
        return int(np.abs(self._coordinates - np.array(self.scaled(params))).sum(axis=1).argmin())

    def cost_at(self, rate: float, combination: int | None) -> float:
        """The true cost at a rate, between tabulated ones by `smoothly`; combination None: the best one for the rate. The worst
        finite one where the nearest tabulated rate does not train."""
        table = self.truth[self.index]
        costs = table.min(axis=1) if combination is None else table[:, combination]
        cost = self._between(rate, costs)
        return cost if math.isfinite(cost) else float(self.finite.max())

    def mean_of_runs_at(self, rate: float, combination: int) -> float:
        """As `cost_at`, of the mean over the recorded runs; infinite where the nearest tabulated rate does not train."""
        return self._between(rate, truth_of(self.runs)[self.index[:, combination]])

    def _between(self, rate: float, costs: Array) -> float:
        trains = np.isfinite(costs)
        return smoothly(rate, self.rates[trains], costs[trains]) if trains[np.abs(self.rates - rate).argmin()] else math.inf

    def trains_at(self, rate: float, combination: int) -> bool:
        """Whether enough runs at the nearest tabulated rate train through."""
        return math.isfinite(self.truth[self.index[np.abs(self.rates - rate).argmin(), combination]])

    def best_at(self, end: str, tolerance: float) -> bool:
        """Whether the best rate, or one within tolerance of it, lies in the outermost twentieth at the "low" or "high" end."""
        margin = OUTERMOST * (self.rates[-1] - self.rates[0])
        outermost = self.rates <= self.rates[0] + margin if end == "low" else self.rates >= self.rates[-1] - margin
        return bool((self.profile[outermost] <= self.best + tolerance).any())


def smoothly(rate: float, rates: Array, costs: Array) -> float:
    """The cost at a rate between tabulated ones, (rates,), ascending; at the next one's beyond their ends.

    By modified Akima interpolation of the costs' logarithms, where all are positive, else of the costs. A straight line between
    two rates beside the minimum lies above a curve that is convex there: of every other rate of the recorded tables, those near
    the best, it missed those between by 6.6 tolerances (text bag), 3.1 (digits), 2.1 (wine) and 1.0 (from scratch), root mean
    square, and this by 0.9, 0.3, 0.4 and 0.3.
    """
    if len(rates) == 1:
        return float(costs[0])
    is_positive = bool((costs > 0).all())
    curve = Akima1DInterpolator(rates, np.log(costs) if is_positive else costs, method="makima")
    cost = float(curve(min(max(rate, rates[0]), rates[-1])))
    return math.exp(cost) if is_positive else cost


def truth_of(runs: Array) -> Array:
    """The mean over the seeds that trained through, inf where more than MOST_DIVERGE of them diverged, (points,)."""
    recorded, trained = ~np.isnan(runs), np.isfinite(runs)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(trained, runs, 0.0).sum(axis=1) / trained.sum(axis=1)
    return np.where(trained.sum(axis=1) >= (1 - MOST_DIVERGE) * recorded.sum(axis=1), means, math.inf)


def sd_of(runs: Array) -> Array:
    """The standard deviation over the seeds that trained through, nan where they are few, (points,)."""
    trained = np.isfinite(runs)
    return np.array(
        [row[mask].std(ddof=1) if mask.sum() >= FEWEST_SEEDS else math.nan for row, mask in zip(runs, trained, strict=True)]
    )
