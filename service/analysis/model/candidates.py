"""Candidates for the best point: points spread over the search space, promising ones, and points that were tried."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.analysis.model.encoding import Array, low_discrepancy
from service.analysis.model.observations import Observations
from service.analysis.model.surface import Surface

N_SCREENED = 4_096
"""Points spread over the search space at which the surface is first predicted. A power of two."""
N_ALONE = 2_001
"""The same where only the rate is searched."""
N_CANDIDATES = 200
"""Promising points that are kept, at most."""
N_EVERYWHERE = 33
"""Points of the whole space that are kept as well, since a joint draw may have its minimum there."""
N_TRIED = 40
"""Most points that were tried and are candidates as well: those of the lowest cost."""
STANDARD_DEVIATIONS = 4.0
"""A point is promising if its expected cost is within this many standard deviations of the lowest one."""
N_OTHERS, N_BINS = 128, 32
"""For each rate, the other parameters are chosen among those of N_OTHERS evenly spread points and of the best point in each of
N_BINS bins of rates."""
N_GOOD = 3
"""Values of the other parameters that are kept for each rate: those of the lowest cost."""
FEW = 3.0
"""With fewer trained trials per coefficient of the surface and per parameter searched, the answer is a point that was tried."""
OF_FEW = 1 / 6
"""Part of the tried points, those of the lowest cost, among which the answer is chosen then."""
SAME = 1e-9
"""Rates that are closer than this, in decades, differ by rounding only."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Points, (n, 1 + columns), rate first."""

    points: Array
    promising: npt.NDArray[np.bool_]
    """(n,), whether the best point may be this one, by a rough prediction."""
    tried: npt.NDArray[np.bool_]
    """(n,), whether it was tried."""
    answerable: npt.NDArray[np.bool_]
    """(n,), whether it may be answered."""
    fresh: "FreshRuns | None"
    """Of the points at the end, where the answer must be one of them."""


@dataclass(frozen=True, kw_only=True)
class FreshRuns:
    """Points that were retrained with fresh seeds, and did not diverge."""

    points: Array
    """(m, 1 + columns)."""
    costs: Array
    """(m,), means over the runs."""
    runs: Array
    """(m,), how many."""


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Which points may be answered, where retraining has shown it."""

    only: FreshRuns | None
    """Only these, if there are any."""
    never: Array
    """None of these, (n, 1 + columns)."""


class Search:
    """Finds candidates."""

    def __init__(self, seen: Observations, surface: Surface, allowed: Allowed | None = None) -> None:
        self._seen = seen
        self._surface = surface
        self._allowed = allowed or Allowed(only=None, never=np.empty((0, 1 + seen.others.shape[1])))

    @property
    def are_few(self) -> bool:
        """Whether there are too few trained trials for the surface's coefficients, so that the answer must be a point tried."""
        return self._surface.trials_per_coefficient < FEW * (1 + len(self._seen.axes))

    def candidates(self, fixing: Callable[[Array], Array] | None, n_groups: int, highest: float) -> Candidates:
        """Points where the optimum may lie, by a rough prediction, and some of all others.

        fixing: sets some columns of points to values. n_groups: groups of candidates that share the computing time. highest: the
        highest shifted rate that may be the best.
        """
        points, mean, sd = self._screened
        n_candidates = max(40, N_CANDIDATES // n_groups)
        if fixing is not None:
            points = fixing(points[: max(N_SCREENED // 4, N_SCREENED // n_groups)])
            mean, sd = self._surface.roughly(points)
        at = self._surface.shifted(points)
        feasible = at <= highest
        if not feasible.any():
            feasible[at.argmin()] = True
        learns = np.isinf(self._surface.least(points))
        if (feasible & learns).any():
            feasible &= learns
        best = np.where(feasible, mean, math.inf).argmin()
        promising = np.flatnonzero(feasible & (mean - mean[best] <= STANDARD_DEVIATIONS * np.hypot(sd, sd[best])))
        if len(promising) > n_candidates:
            order = promising[points[promising, 0].argsort()]
            promising = order[np.linspace(0, len(order) - 1, n_candidates).round().astype(int)]
        everywhere = np.linspace(0, len(points) - 1, N_EVERYWHERE).round().astype(int)
        promising = np.union1d(promising, [best])
        chosen = np.union1d(promising, everywhere)
        points, is_promising = points[chosen], np.isin(chosen, promising)
        n_untried, fresh = len(points), None
        if fixing is None:
            fresh = self._allowed.only
            points = np.concatenate([points, self._tried, *([] if fresh is None else [fresh.points])])
        answerable = ~_are_among(points, self._allowed.never)
        if fresh is not None:
            answerable = np.arange(len(points)) >= len(points) - len(fresh.points)
        return Candidates(
            points=points,
            promising=np.concatenate([is_promising, np.ones(len(points) - n_untried, dtype=bool)]),
            tried=np.arange(len(points)) >= n_untried,
            answerable=answerable,
            fresh=fresh,
        )

    def good_others(self, best: Array, rates: Array) -> Array:
        """Values of the other parameters about best for each of n rates, (n, choices, columns), and those of `best`."""
        spread, mean, _ = self._screened
        parts = (spread[:, 0] - self._seen.low) / (self._seen.high - self._seen.low)
        bins = np.minimum((parts * N_BINS).astype(int), N_BINS - 1)
        lowest = [np.flatnonzero(bins == each)[mean[bins == each].argmin()] for each in np.unique(bins)]
        others = np.unique(np.concatenate([spread[:N_OTHERS, 1:], spread[lowest, 1:], best[None, 1:]]), axis=0)
        points = np.column_stack([np.repeat(rates, len(others)), np.tile(others, (len(rates), 1))])
        cost = self._surface.roughly(points)[0].reshape(len(rates), len(others))
        good = np.argsort(cost, axis=1, kind="stable")[:, :N_GOOD]
        chosen: Array = np.concatenate([others[good], np.tile(best[1:], (len(rates), 1, 1))], axis=1)
        return chosen

    def places(self, n: int) -> Array:
        """n log10 rates spread evenly over the range; with choices, the nearest ones, or all if there are at most n."""
        even, choices = np.linspace(self._seen.low, self._seen.high, n), self._seen.choices
        if choices is None:
            return even
        if len(choices) <= n:
            return choices
        after = np.clip(np.searchsorted(choices, even), 1, len(choices) - 1)
        nearest = after - (even - choices[after - 1] < choices[after] - even)
        near: Array = choices[np.unique(nearest)]
        return near

    @property
    def n_parameters(self) -> int:
        """How many are searched, the rate included."""
        return 1 + len(self._seen.axes)

    def spread(self, n: int) -> Array:
        """Points spread over the search space, (n, 1 + columns)."""
        return self.at(low_discrepancy(n, self.n_parameters, np.random.default_rng(0)), self._seen.high)

    def at(self, parts: Array, highest: float) -> Array:
        """Points, (n, 1 + columns), at parts of each parameter's range, (n, parameters), rate first.

        highest: the log10 rate that counts as the end of its range.
        """
        seen = self._seen
        if seen.choices is None:
            columns = [seen.low + (highest - seen.low) * parts[:, :1]]
        else:
            choices = seen.choices[seen.choices <= highest + SAME]
            columns = [choices[np.minimum((parts[:, :1] * len(choices)).astype(int), len(choices) - 1)]]
        columns += [axis.candidates(parts[:, index]) for index, axis in enumerate(seen.axes, start=1)]
        return np.concatenate(columns, axis=1)

    @cached_property
    def _screened(self) -> tuple[Array, Array, Array]:
        """Points spread over the search space, (n, 1 + columns), with rough means and standard deviations of their cost."""
        points = self.spread(N_SCREENED) if self._seen.axes else self.places(N_ALONE)[:, None]
        return points, *self._surface.roughly(points)

    @cached_property
    def _tried(self) -> Array:
        """The best of the points tried, (n, 1 + columns): by a rough prediction; where trials are few, by their own costs."""
        complete = self._seen.complete
        points, of = np.unique(np.column_stack([self._seen.rates, self._seen.others])[complete], axis=0, return_inverse=True)
        if self.are_few:
            cost = np.bincount(of.ravel(), self._seen.costs[complete]) / np.bincount(of.ravel())
            count = max(1, int(OF_FEW * len(points)))
        else:
            cost, count = self._surface.roughly(points)[0], N_TRIED
        within = (points[:, 0] >= self._seen.low) & (points[:, 0] <= self._seen.high)
        order = np.argsort(np.where(within, cost, math.inf), kind="stable")[: min(count, int(within.sum()))]
        best: Array = points[order]
        return best


def _are_among(points: Array, others: Array) -> npt.NDArray[np.bool_]:
    """Which of n points equal one of others up to rounding, (n,)."""
    among: npt.NDArray[np.bool_] = (np.abs(points[:, None] - others[None]).max(axis=2, initial=0.0) < SAME).any(axis=1)
    return among
