"""Cost against learning rate: where its minimum lies, how far one may move, and what the others parameters have to do with it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from service.domain.space import Scalar
from service.report.divergence_edge import DivergenceEdge, find_edge
from service.report.encoding import Array, low_discrepancy
from service.report.estimates import LEVEL, Estimate, Interval
from service.report.observations import Observations
from service.report.surface import Surface

FEWEST = 4
"""Trials that trained to their end which a curve takes,"""
FEWEST_RATES = 3
"""at so many different rates: a curve through two has no minimum between them."""

EDGE = 0.05
"""A rate in the outermost twentieth of the range, in decades, lies at its edge (tuning playbook)."""
MOSTLY = 0.5

N_DRAWS = 480
FEWEST_DRAWS = 48
N_SCREENED = 4_096
N_ALONE = 2_001
"""Where the rate alone is searched."""
N_CANDIDATES = 300
N_EVERYWHERE = 33
STANDARD_DEVIATIONS = 4.0
N_PLACES = 33
N_OTHERS = 8
MOST_DIVERGE = 0.25
"""No rate is the best one at which more trials than this part diverge: one would not train at it."""
MAY_DIVERGE = 0.1
"""No rate is safe at which more trials than this part diverge."""
TOLERANCE = 0.02
"""Where no tolerance is given, it is at least this part of what four fifths of the trials lose to the best."""

Kind = Literal["profile", "marginal"]


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """Where the expected cost is lowest. Rates are log10, costs in the metric's units, lower is better."""

    rate: float
    point: Array = field(compare=False, repr=False)
    """The rate, and the coordinates of the other parameters."""
    interval: Interval
    cost: Estimate
    at_low_edge: float
    """The probability that it lies in the outermost twentieth of the range."""
    at_high_edge: float
    regret: float
    """What the expected cost at `rate` is above that of the optimum: with a probability of LEVEL it is no more."""
    draws: Array = field(compare=False, repr=False)
    """Of the expected cost at `rate`, (draws,)."""


@dataclass(frozen=True, kw_only=True)
class CurvePlace:
    """The curve at one log10 rate."""

    rate: float
    cost: Estimate


class ResponseCurve:
    """Fitted to a job's trials. All its numbers are the same for the same trials."""

    def __init__(self, seen: Observations) -> None:
        """Takes at least FEWEST costs; a second at 500."""
        self._seen = seen
        self._random = np.random.default_rng(len(seen.costs))
        self.surface = Surface(seen, self._random)
        self.edge: DivergenceEdge | None = find_edge(seen.trained_rates, seen.diverged_rates)

    @cached_property
    def optimum(self) -> Optimum:
        """The best rate, with the other parameters at their best."""
        return self._optima([None])[0][0]

    def optima_of(self, name: str, values: Sequence[Scalar]) -> tuple[list[Optimum], Array]:
        """The best rate for each value of a searched parameter, the others at their best; and joint draws of those log10 rates,
        (draws, values)."""
        return self._optima([self._fixing(name, value) for value in values])

    def _optima(self, fixings: Sequence[Callable[[Array], Array] | None]) -> tuple[list[Optimum], Array]:
        groups = [self._candidates(fixing, len(fixings)) for fixing in fixings]
        every, mean = self._drawn(np.concatenate([points for points, _ in groups]))
        ends = np.cumsum([len(points) for points, _ in groups])[:-1]
        bounds = None if self.edge is None else self.edge.draw(len(every), self._random, MOST_DIVERGE)
        found = [
            self._optimum(points, promising, draws, its_mean, bounds)
            for (points, promising), draws, its_mean in zip(
                groups, np.split(every, ends, axis=1), np.split(mean, ends), strict=True
            )
        ]
        return [optimum for optimum, _ in found], np.stack([rates for _, rates in found], axis=1)

    def _drawn(self, points: Array) -> tuple[Array, Array]:
        """Joint draws of the expected cost, (draws, n), and its mean, (n,), given that it is nowhere below its bounds."""
        draws, mean = self.surface.draw(points, N_DRAWS)
        least = self.surface.least(points)
        draws, mean = np.maximum(draws, least), np.maximum(mean, least)
        if self._seen.bound is None:
            return draws, mean
        lowest = draws.min(axis=1)
        possible = lowest >= self._seen.bound
        if possible.all():
            return draws, mean
        if possible.sum() < FEWEST_DRAWS:
            possible = lowest >= np.sort(lowest)[-FEWEST_DRAWS]
        draws = np.maximum(draws[possible], self._seen.bound)
        return draws, draws.mean(axis=0)

    def _optimum(
        self, points: Array, promising: npt.NDArray[np.bool_], draws: Array, mean: Array, bounds: Array | None
    ) -> tuple[Optimum, Array]:
        """From joint draws at `points`, of which the promising ones are thought to hold it.

        bounds: draws of the highest rate that may be the best.
        """
        rates, allowed = points[:, 0], draws
        if self.edge is not None and bounds is not None:
            allowed = np.where(rates > np.maximum(bounds, rates.min())[:, None], math.inf, draws)
            diverges = self.edge.probability(rates)
            mean = mean + diverges * self._seen.spread  # a run that diverges is a lost one
            trains = diverges <= MOST_DIVERGE
            if trains.any():
                mean = np.where(trains & promising if (trains & promising).any() else trains, mean, math.inf)
        optima: Array = rates[allowed.argmin(axis=1)]
        best = int(mean.argmin())
        margin = EDGE * (self._seen.high - self._seen.low)
        within = Interval.of(optima)
        optimum = Optimum(
            rate=float(rates[best]),
            point=points[best],
            interval=Interval(low=float(min(within.low, rates[best])), high=float(max(within.high, rates[best]))),
            cost=Estimate.at_median(draws[:, best]),
            draws=draws[:, best],
            at_low_edge=float((optima <= self._seen.low + margin).mean()),
            at_high_edge=float((optima >= self._seen.high - margin).mean()),
            regret=max(0.0, float(np.quantile(draws[:, best] - allowed.min(axis=1), LEVEL))),
        )
        return optimum, optima

    def _fixing(self, name: str, value: Scalar) -> Callable[[Array], Array]:
        """What sets the columns of a parameter to a value."""
        at = 1
        for axis in self._seen.axes:
            if axis.name == name:
                break
            at += axis.width
        else:
            raise ValueError(f"{name} is not searched")
        coordinates = axis.encode(value)

        def fix(points: Array) -> Array:
            fixed = points.copy()
            fixed[:, at : at + axis.width] = coordinates
            return fixed

        return fix

    def tolerance(self, point: Array) -> float:
        """What the training seed changes at a point, but at least a fiftieth of what four fifths of the trials lose to the
        best."""
        return max(self.surface.noise_at(point), TOLERANCE * self._seen.spread)

    def safe_range(self, around: float, tolerance: float) -> Interval | None:
        """Rates about `around` at which the expected cost is at most `tolerance` above that at `around`, and no more than a tenth
        diverge.

        With the other parameters at their best; what diverges counts as in the choice of the best rate. None where more diverge
        at `around` itself.
        """
        places, _ = self._profile
        rates = np.sort(np.append(places, around))
        costs, at = np.median(self.costs_at(rates), axis=0), int(np.searchsorted(rates, around))
        if self.edge is not None:
            diverges = self.edge.probability(rates)
            costs = np.where(diverges <= MAY_DIVERGE, costs + diverges * self._seen.spread, math.inf)
            if math.isinf(costs[at]):
                return None
        limit = float(costs[at]) + tolerance
        return Interval(low=_crossing(rates[at::-1], costs[at::-1], limit), high=_crossing(rates[at:], costs[at:], limit))

    def at_edge(self, safe: Interval | None) -> Literal["low", "high"] | None:
        """At which end of the range the best rate most likely lies, so that those beyond may be better.

        None where the safe range `safe` is half of the range, and at the high end where rates diverge: then divergence is what
        ends the range.
        """
        if safe is not None and safe.high - safe.low >= (self._seen.high - self._seen.low) / 2:
            return None
        if self.optimum.at_low_edge >= MOSTLY:
            return "low"
        return "high" if self.optimum.at_high_edge >= MOSTLY and self.edge is None else None

    def at_rate(self, rate: float) -> Optimum:
        """As the optimum, with the log10 rate given and the other parameters at their best for it."""

        def fixed(points: Array) -> Array:
            return np.column_stack([np.full(len(points), rate), points[:, 1:]])

        return self._optima([fixed])[0][0]

    def costs_at(self, rates: Array) -> Array:
        """Joint draws of the expected cost at log10 rates within the range searched, with the other parameters at their best:
        (draws, n)."""
        places, draws = self._profile
        after = np.clip(np.searchsorted(places, rates), 1, len(places) - 1)
        share = (rates - places[after - 1]) / (places[after] - places[after - 1])
        between: Array = (1 - share) * draws[:, after - 1] + share * draws[:, after]
        return between

    def curve(self, kind: Kind = "profile") -> list[CurvePlace]:
        """The curve over the range searched, as far as most trials train through."""
        rates, draws = self._profile if kind == "profile" else self._draws(N_PLACES, self._spread(16)[:, 1:], np.mean)
        if self.edge is not None:
            trains = self.edge.probability(rates) <= 0.5
            rates, draws = rates[trains], draws[:, trains]
        if not len(rates):
            return []
        return [CurvePlace(rate=float(rate), cost=Estimate.at_median(there)) for rate, there in zip(rates, draws.T, strict=True)]

    @cached_property
    def _profile(self) -> tuple[Array, Array]:
        """log10 rates, (n,), and draws of the curve there with the other parameters at their best, (draws, n)."""
        return self._draws(N_PLACES if self._seen.axes else 2 * N_PLACES - 1, self._good_others(), np.min)

    def _draws(self, n_rates: int, others: Array, over: Callable[..., Array]) -> tuple[Array, Array]:
        rates = np.linspace(self._seen.low, self._seen.high, n_rates)
        points = np.column_stack([np.repeat(rates, len(others)), np.tile(others, (len(rates), 1))])
        draws, _ = self._drawn(points)
        return rates, over(draws.reshape(len(draws), len(rates), len(others)), axis=2)

    def _good_others(self) -> Array:
        """The other parameters at their best for rates all over the range, (n, columns)."""
        if not self._seen.axes:
            return np.zeros((1, 0))
        spread, mean, _ = self._screened
        parts = (spread[:, 0] - self._seen.low) / (self._seen.high - self._seen.low)
        bins = np.minimum((parts * N_OTHERS).astype(int), N_OTHERS - 1)
        best = [np.flatnonzero(bins == each)[mean[bins == each].argmin()] for each in np.unique(bins)]
        good: Array = np.unique(np.concatenate([spread[best, 1:], self.optimum.point[None, 1:]]), axis=0)
        return good

    @cached_property
    def _screened(self) -> tuple[Array, Array, Array]:
        """Points all over the search space, (n, 1 + columns), and what a rough look says of them: mean and standard deviation."""
        points = self._spread(N_SCREENED) if self._seen.axes else np.linspace(self._seen.low, self._seen.high, N_ALONE)[:, None]
        return points, *self.surface.roughly(points)

    def _spread(self, n: int) -> Array:
        """Points all over the search space, (n, 1 + columns)."""
        seen = self._seen
        parts = low_discrepancy(n, 1 + len(seen.axes), np.random.default_rng(0))
        columns = [seen.low + (seen.high - seen.low) * parts[:, :1]]
        columns += [axis.candidates(parts[:, index]) for index, axis in enumerate(seen.axes, start=1)]
        return np.concatenate(columns, axis=1)

    def _candidates(self, fixing: Callable[[Array], Array] | None, n_groups: int) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Points among which the optimum lies, as far as a rough look can tell, with some of all others; and which are which.

        n_groups: which share the time that looking and drawing take.
        """
        points, mean, sd = self._screened
        n_candidates = max(40, N_CANDIDATES // n_groups)
        if fixing is not None:
            points = fixing(points[: max(N_SCREENED // 4, N_SCREENED // n_groups)])
            mean, sd = self.surface.roughly(points)
        feasible = points[:, 0] <= self.edge.quantile(0.99) if self.edge is not None else np.ones(len(points), dtype=bool)
        learns = np.isinf(self.surface.least(points))
        if (feasible & learns).any():
            feasible &= learns
        if not feasible.any():
            feasible[points[:, 0].argmin()] = True
        best = np.where(feasible, mean, math.inf).argmin()
        promising = np.flatnonzero(feasible & (mean - mean[best] <= STANDARD_DEVIATIONS * np.hypot(sd, sd[best])))
        if len(promising) > n_candidates:
            order = promising[points[promising, 0].argsort()]
            promising = order[np.linspace(0, len(order) - 1, n_candidates).round().astype(int)]
        everywhere = np.linspace(0, len(points) - 1, N_EVERYWHERE).round().astype(int)
        promising = np.union1d(promising, [best])
        chosen = np.union1d(promising, everywhere)
        return points[chosen], np.isin(chosen, promising)


def _crossing(rates: Array, costs: Array, limit: float) -> float:
    """How far costs stay below `limit` from the first rate on, interpolated."""
    above = np.flatnonzero(costs > limit)
    above = above[above > 0]
    if not len(above):
        return float(rates[-1])
    after = int(above[0])
    before, beyond = float(costs[after - 1]), float(costs[after])
    share = max(0.0, (limit - before) / (beyond - before)) if math.isfinite(before) and math.isfinite(beyond) else 0.0
    return float(rates[after - 1] + share * (rates[after] - rates[after - 1]))
