"""Where the expected cost is lowest: the best point, by joint posterior draws at candidates."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from service.analysis.model.candidates import Candidates, FreshRuns, Search
from service.analysis.model.divergence_edge import find_edge, lost_from
from service.analysis.model.encoding import Array
from service.analysis.model.estimates import Estimate, Interval, any_lowest
from service.analysis.model.observations import Observations
from service.analysis.model.surface import Surface
from service.domain.answer import LEVEL

EDGE = 0.05
"""Part of the range, in decades, that counts as its edge, at either end: the best points should not lie there (Deep Learning
Tuning Playbook, 2023)."""
MOST_DIVERGE = 0.25
"""A rate at which more than this part of trials are lost is never the best one: nobody would train at it."""
N_DRAWS = 480
"""Joint draws of the expected cost: they give the ends of a 90% interval to about 1.4% of probability."""
FEWEST_DRAWS = 48
"""Fewest draws that are kept where most of them lie below the metric's bound."""
ALIKE = 1.5
"""Points whose expected cost is within this many standard deviations of the chosen one's can hardly be distinguished from it."""
PERHAPS_ALIKE = 3.0
"""Points whose expected cost is within this many standard deviations of the chosen one's may be as good."""
CAUTION = 0.5
"""The answered point minimizes the mean cost plus this many standard deviations: uncertain points are not recommended. Where
only choices of rates are searched, the mean alone counts: each choice was tried, or lies between two that were. So it does for
points that were retrained."""
SATURATED = 0.01
"""Where a metric is saturated, points within so large a part of the 80th percentile of regret are alike, and one in their middle
is answered: the lowest of their costs says nothing more, and may stand beside the end of what trains well."""
DOUBT = 2.0
"""Factor on the variance of a mean over fresh runs, where it is weighed against the surface, which has used them already."""


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """Where the expected cost is lowest. Rates are log10, costs in the metric's units, lower is better."""

    rate: float
    point: Array = field(compare=False, repr=False)
    """The rate, and the coordinates of the other parameters, (1 + columns,)."""
    interval: Interval
    cost: Estimate
    at_low_edge: float
    """The probability that the best rate lies within EDGE of the low end of the range."""
    at_high_edge: float
    """The same of the high end."""
    regret: float
    """Upper bound, with a probability of LEVEL, on the expected cost at `point` above that of the optimum."""
    draws: Array = field(compare=False, repr=False)
    """Draws of the expected cost at `point`, (draws,)."""


class Posterior:
    """The posterior of the expected cost, within the bounds of the metric, and of the rates at which trials are lost."""

    def __init__(self, seen: Observations, random: np.random.Generator) -> None:
        """`seen` must hold at least four costs."""
        self.surface = Surface(seen, random)
        trained = self.surface.shifted(np.column_stack([seen.rates, seen.others])[seen.complete])
        lost = self.surface.shifted(np.column_stack([seen.lost_rates, seen.lost_others]))
        self.edge = find_edge(trained, lost, seen.explosions_begin)
        """In shifted rates; None where no trial was lost, or not because of its rate."""
        self.ceiling = lost_from(trained, lost)
        """The answer's shifted rate is not above it."""
        self._seen = seen
        self._random = random

    def loses(self, points: Array) -> Array:
        """The probability of being lost at points, (n, 1 + columns)."""
        return np.zeros(len(points)) if self.edge is None else self.edge.probability(self.surface.shifted(points))

    def bounds(self, n: int) -> Array | None:
        """Draws of the highest shifted rate that may be the best, (n,)."""
        if self.edge is None:
            return None
        bounds: Array = np.minimum(self.edge.draw(n, self._random, MOST_DIVERGE), self.ceiling)
        return bounds

    def draw(self, points: Array) -> tuple[Array, Array]:
        """Joint draws of the expected cost, (draws, n), and its mean, (n,), given that it is nowhere below its bound."""
        draws, mean = self.surface.draw(points, N_DRAWS)
        # Warped costs have no upper bound: where trials say little, their mean would be extremely large.
        least, most = self.surface.least(points), self._seen.most
        draws, mean = np.clip(draws, least, most), np.clip(mean, least, most)
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

    def expected(self, points: Array) -> Array:
        """The expected cost at points, (n,), with the surface's hyperparameters at their mode."""
        cost: Array = np.clip(self.surface.expected(points), self.surface.least(points), self._seen.most)
        return self.bounded(cost)

    def bounded(self, draws: Array) -> Array:
        """Draws of the expected cost, none of them below its bound."""
        return draws if self._seen.bound is None else np.maximum(draws, self._seen.bound)


def find_optima(
    seen: Observations, posterior: Posterior, search: Search, fixings: Sequence[Callable[[Array], Array] | None]
) -> tuple[list[Optimum], Array]:
    """The best point for each of `fixings`, and joint draws of the best log10 rates, (draws, fixings).

    fixings: each sets some columns of points to values; None: sets nothing.
    """
    edge = posterior.edge
    highest = math.inf if edge is None else min(edge.quantile(0.99), posterior.ceiling)
    groups = [search.candidates(fixing, len(fixings), highest) for fixing in fixings]
    every, mean = posterior.draw(np.concatenate([group.points for group in groups]))
    ends = np.cumsum([len(group.points) for group in groups])[:-1]
    bounds = posterior.bounds(len(every))
    only_tried = search.are_few
    optima = [
        _optimum(seen, posterior, group, draws, its_mean, bounds, only_tried)
        for group, draws, its_mean in zip(groups, np.split(every, ends, axis=1), np.split(mean, ends), strict=True)
    ]
    return [optimum for optimum, _ in optima], np.stack([rates for _, rates in optima], axis=1)


def _optimum(
    seen: Observations,
    posterior: Posterior,
    among: Candidates,
    draws: Array,
    mean: Array,
    bounds: Array | None,
    only_tried: bool,
) -> tuple[Optimum, Array]:
    """The best point, and draws of the best log10 rate, (draws,), from joint draws at the candidates, (draws, n).

    bounds: draws of the highest shifted rate that may be the best. only_tried: choose a point that was tried, if one is allowed.
    """
    # Where the best rate lies is asked of the surface alone: retrained points that moved away from it, while those beside them
    # stay, would be the best ones of nearly all draws, or of none.
    surface = draws
    if among.fresh is not None:
        draws, mean = _towards_fresh_runs(posterior, among.fresh, draws, mean)
    points, rates, allowed = among.points, among.points[:, 0], surface
    only_choices = seen.choices is not None and not seen.axes
    score = mean if only_choices or among.fresh is not None else mean + CAUTION * draws.std(axis=0)
    may = among.promising.copy()
    if bounds is not None:
        at = posterior.surface.shifted(points)
        allowed = np.where(at > np.maximum(bounds, at.min())[:, None], math.inf, surface)
        loses = posterior.loses(points)
        score = score + loses * seen.spread  # a run that diverges costs as much as a bad one
        trains = (loses <= MOST_DIVERGE) & (at <= posterior.ceiling)
        if trains.any():
            may = trains & may if (trains & may).any() else trains
    may_be_best = may.copy()
    may = may & among.answerable if (may & among.answerable).any() else among.answerable
    if only_tried and (may & among.tried).any():
        may &= among.tried
    score = np.where(may, score, math.inf)
    optima: Array = rates[any_lowest(allowed)]
    best = _middle(score, rates, SATURATED * seen.spread) if seen.is_saturated else int(score.argmin())
    margin = EDGE * (seen.high - seen.low)
    within = Interval.of(optima)
    cost = Estimate.at_median(draws[:, best])
    bias, most_bias = (_selection_bias(draws, may_be_best, best, alike) for alike in (ALIKE, PERHAPS_ALIKE))
    if among.fresh is not None:
        # They are few, so that their mean may lie far below the worst of those that may be as good.
        most_bias = max(most_bias, _selection_bias(draws, may, best, PERHAPS_ALIKE, np.max))
    # That the bound itself is what to expect has a probability of its own, which no draw of the surface shows.
    best_seen = float(seen.costs[seen.complete].min())
    low = min(cost.low, best_seen) if seen.is_saturated else cost.low
    # What is to be expected is seldom better than the luckiest run; where costs span decades, draws may all be at the bound.
    high = max(cost.high + max(bias, most_bias), best_seen)
    optimum = Optimum(
        rate=float(rates[best]),
        point=points[best],
        interval=within.holding(float(rates[best])),
        cost=Estimate(mean=cost.mean + bias / 2, low=low, high=high),
        draws=draws[:, best],
        at_low_edge=float((optima <= seen.low + margin).mean()),
        at_high_edge=float((optima >= seen.high - margin).mean()),
        regret=max(0.0, float(np.quantile(np.maximum(draws, surface)[:, best] - allowed.min(axis=1), LEVEL))),
    )
    return optimum, optima


def _middle(scores: Array, rates: Array, within: float) -> int:
    """Of the points whose scores are lowest, but for a difference, the one whose rate is the median; both (n,)."""
    alike = np.flatnonzero(scores <= scores.min() + within)
    return int(alike[rates[alike].argsort(kind="stable")[len(alike) // 2]])


def _towards_fresh_runs(posterior: Posterior, fresh: FreshRuns, draws: Array, mean: Array) -> tuple[Array, Array]:
    """Joint draws, (draws, n), and means, (n,): those of the last m, the retrained points, move towards their fresh runs' means.

    The surface has used these runs. But it is smooth, and where a point truly departs from it, its repeats show that first.
    """
    ours = slice(len(mean) - len(fresh.points), None)
    noise = np.array([posterior.surface.noise_at(point) for point in fresh.points])
    # Variances of the runs' means, in those of the surface.
    ratio = (noise / np.maximum(draws[:, ours].std(axis=0), 1e-9 * noise)) ** 2 / fresh.runs
    part = 1 / (1 + DOUBT * ratio)
    moved, wider = np.zeros(len(mean)), np.ones(len(mean))
    moved[ours] = part * (fresh.costs - mean[ours])
    wider[ours] = np.sqrt(1 + part**2 * ratio)  # the noise of the runs' means comes along
    middle = draws.mean(axis=0)
    return posterior.bounded(middle + moved + wider * (draws - middle)), mean + moved


def _selection_bias(
    draws: Array, among: npt.NDArray[np.bool_], best: int, alike: float, over: Callable[[Array], Any] = np.mean
) -> float:
    """By how much the posterior mean at the chosen point may be too low, because it was chosen for being lowest.

    Where the true cost is flat about its minimum, the posterior means there differ only by their errors, and the lowest has the
    luckiest error. The true cost may be as high as the mean (or another function `over`) of all points whose expected cost is
    within `alike` standard deviations of it (James and Stein 1961 shrink means towards such a common mean).
    """
    above = draws[:, among].mean(axis=0) - draws[:, best].mean()
    near = above[above <= alike * draws[:, best].std()]
    return max(0.0, float(over(near))) if len(near) else 0.0
