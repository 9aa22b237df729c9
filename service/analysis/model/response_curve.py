"""Cost against learning rate: where its minimum lies, how far one may move, and what the other parameters have to do with it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from service.analysis.model.candidates import Candidates, Search
from service.analysis.model.curve_line import Line
from service.analysis.model.divergence_edge import DivergenceEdge, find_edge, lost_from
from service.analysis.model.encoding import Array
from service.analysis.model.estimates import LEVEL, Estimate, Interval
from service.analysis.model.observations import Observations
from service.analysis.model.surface import Surface
from service.domain.space import Scalar

FEWEST = 4
"""Trials that trained to their end which a curve takes."""
FEWEST_RATES = 3
"""Different rates that a curve takes: through two it has no minimum between them."""

EDGE = 0.05
"""Part of the range, in decades, that counts as its edge, at either end: the best points should not lie there (Deep Learning
Tuning Playbook, 2023)."""

MOSTLY = 0.5
"""Probability of lying at an edge above which the best rate is said to."""

MOST_DIVERGE = 0.25
"""No rate is the best one at which more than this part of trials are lost: one would not train at it."""

SAME = 1e-9
"""Rates that are closer, in decades, differ by rounding."""

N_DRAWS = 480
"""Joint draws of the expected cost: a 90% interval's ends are known to about 1.4% of probability."""
FEWEST_DRAWS = 48
"""Draws that are kept at least where most lie below what the metric can be."""
N_PLACES = 33
"""Rates at which the response curve is shown."""
TOLERANCE = 0.02
"""Where no tolerance is given, it is at least this part of the 80th percentile of regret."""
LARGEST_TOLERANCE = 0.5
"""Where no tolerance is given, it is at most this part of the 80th percentile of regret."""
ALIKE = 1.5
"""Points whose expected cost is within so many standard deviations of the chosen one's can hardly be told from it."""
PERHAPS_ALIKE = 3.0
"""Points whose expected cost is within so many standard deviations of the chosen one's may be as good."""
CAUTION = 0.5
"""The answered point has the lowest mean cost plus so many standard deviations of it: what is known little is not recommended.
Where nothing but a choice of rates is searched, the mean alone counts: each choice was tried, or lies between two that were."""

Kind = Literal["params", "profile", "marginal"]


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """Where the expected cost is lowest. Rates are log10, costs in the metric's units, lower is better."""

    rate: float
    point: Array = field(compare=False, repr=False)
    """The rate, and the coordinates of the other parameters, (1 + columns,)."""
    interval: Interval
    cost: Estimate
    at_low_edge: float
    """The probability that it lies in the outermost twentieth of the range."""
    at_high_edge: float
    regret: float
    """What the expected cost at `point` is above that of the optimum: with a probability of LEVEL it is no more."""
    draws: Array = field(compare=False, repr=False)
    """Of the expected cost at `point`, (draws,)."""


class ResponseCurve:
    """Fitted to a job's trials. All its numbers are the same for the same trials."""

    def __init__(self, seen: Observations) -> None:
        """Takes at least FEWEST costs."""
        self._seen = seen
        self._random = np.random.default_rng(len(seen.costs))
        self.surface = Surface(seen, self._random)
        trained = self.surface.shifted(np.column_stack([seen.rates, seen.others])[seen.complete])
        lost = self.surface.shifted(np.column_stack([seen.lost_rates, seen.lost_others]))
        self._edge: DivergenceEdge | None = find_edge(trained, lost, seen.explosions_begin)
        """In shifted rates."""
        self._ceiling = lost_from(trained, lost)
        """No shifted rate above it is answered."""
        self._search = Search(seen, self.surface)

    @cached_property
    def optimum(self) -> Optimum:
        """The best rate, with the other parameters at their best."""
        return self._optima([None])[0][0]

    def optima_of(self, name: str, values: Sequence[Scalar]) -> tuple[list[Optimum], Array]:
        """The best rate for each value of a searched parameter, the others at their best; and joint draws of those log10 rates,
        (draws, values)."""
        return self._optima([self._fixing(name, value) for value in values])

    @property
    def at_edge(self) -> Literal["low", "high"] | None:
        """At which end of the range the best rate most likely lies, so that those beyond may be better.

        None at the high end where rates diverge: then divergence is what ends the range.
        """
        if self.optimum.at_low_edge > MOSTLY:
            return "low"
        return "high" if self.optimum.at_high_edge > MOSTLY and self._edge is None else None

    def edge_at(self, point: Array) -> DivergenceEdge | None:
        """Where rates diverge with the other parameters of a point, (1 + columns,)."""
        if self._edge is None:
            return None
        shift = float(self.surface.shifted(point[None])[0] - point[0])
        return self._edge.moved(-shift)

    def loses(self, points: Array) -> Array:
        """The probability of being lost at points, (n, 1 + columns)."""
        return np.zeros(len(points)) if self._edge is None else self._edge.probability(self.surface.shifted(points))

    def _optima(self, fixings: Sequence[Callable[[Array], Array] | None]) -> tuple[list[Optimum], Array]:
        highest = math.inf if self._edge is None else min(self._edge.quantile(0.99), self._ceiling)
        groups = [self._search.candidates(fixing, len(fixings), highest) for fixing in fixings]
        every, mean = self._drawn(np.concatenate([group.points for group in groups]))
        ends = np.cumsum([len(group.points) for group in groups])[:-1]
        bounds = self._bounds(len(every))
        found = [
            self._optimum(group, draws, its_mean, bounds)
            for group, draws, its_mean in zip(groups, np.split(every, ends, axis=1), np.split(mean, ends), strict=True)
        ]
        return [optimum for optimum, _ in found], np.stack([rates for _, rates in found], axis=1)

    def _bounds(self, n: int) -> Array | None:
        """Draws of the highest shifted rate that may be the best, (n,)."""
        if self._edge is None:
            return None
        bounds: Array = np.minimum(self._edge.draw(n, self._random, MOST_DIVERGE), self._ceiling)
        return bounds

    def _drawn(self, points: Array) -> tuple[Array, Array]:
        """Joint draws of the expected cost, (draws, n), and its mean, (n,), given that it is nowhere below its bounds."""
        draws, mean = self.surface.draw(points, N_DRAWS)
        # Warped costs have no upper end: where trials say little, their mean would be beyond all measure.
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

    def _optimum(self, among: Candidates, draws: Array, mean: Array, bounds: Array | None) -> tuple[Optimum, Array]:
        """From joint draws at the candidates, (draws, n).

        bounds: draws of the highest shifted rate that may be the best.
        """
        points, rates, allowed = among.points, among.points[:, 0], draws
        only_choices = self._seen.choices is not None and not self._seen.axes
        score = mean if only_choices else mean + CAUTION * draws.std(axis=0)
        may = among.promising.copy()
        if bounds is not None:
            at = self.surface.shifted(points)
            allowed = np.where(at > np.maximum(bounds, at.min())[:, None], math.inf, draws)
            loses = self.loses(points)
            score = score + loses * self._seen.spread  # a run that diverges is a lost one
            trains = (loses <= MOST_DIVERGE) & (at <= self._ceiling)
            if trains.any():
                may = trains & may if (trains & may).any() else trains
        may_be_best = may.copy()
        if self._search.are_few and (may & among.tried).any():
            may &= among.tried
        score = np.where(may, score, math.inf)
        optima: Array = rates[allowed.argmin(axis=1)]
        best = int(score.argmin())
        margin = EDGE * (self._seen.high - self._seen.low)
        within = Interval.of(optima)
        cost = Estimate.at_median(draws[:, best])
        bias, most_bias = (_selection_bias(draws, may_be_best, best, alike) for alike in (ALIKE, PERHAPS_ALIKE))
        optimum = Optimum(
            rate=float(rates[best]),
            point=points[best],
            interval=within.holding(float(rates[best])),
            cost=Estimate(mean=cost.mean + bias / 2, low=cost.low, high=cost.high + max(bias, most_bias)),
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
        """The standard deviation of one training at a point, within the bounds TOLERANCE and LARGEST_TOLERANCE."""
        spread = self._seen.spread
        return min(max(self.surface.noise_at(point), TOLERANCE * spread), LARGEST_TOLERANCE * spread)

    def at_params(self, point: Array) -> Line:
        """With the other parameters of a point, (1 + columns,)."""
        rates = _with(self._search.places(2 * N_PLACES - 1), float(point[0]))
        points = np.column_stack([rates, np.tile(point[1:], (len(rates), 1))])
        draws, _ = self._drawn(points)
        is_choice = self._seen.choices is not None
        return Line(rates=rates, draws=draws, at=self.surface.shifted(points), lost=self.loses(points), is_choice=is_choice)

    def interval_on(self, line: Line) -> Interval:
        """Where the best rate lies on a line; it holds the optimum's."""
        if not self._seen.axes:
            return self.optimum.interval
        return line.interval(self.optimum.rate, self._bounds(len(line.draws)))

    def safe_range(self, line: Line, tolerance: float) -> Interval | None:
        """About the optimum's rate; see `Line.safe_range`. A run that diverges counts as the 80th percentile of regret."""
        return line.safe_range(self.optimum.rate, tolerance, self._seen.spread)

    def is_flat(self, line: Line, tolerance: float) -> bool:
        """Whether any rate will do: nothing was lost, and the worst rate loses no more than the tolerance to the best."""
        return not len(self._seen.lost_rates) and line.is_flat(tolerance)

    def at_rate(self, rate: float) -> Optimum:
        """As the optimum, with the log10 rate given and the other parameters at their best for it."""

        def fixed(points: Array) -> Array:
            return np.column_stack([np.full(len(points), rate), points[:, 1:]])

        return self._optima([fixed])[0][0]

    def costs_at(self, rates: Array) -> Array:
        """Joint draws of the expected cost at log10 rates within the range searched, with the other parameters at their best:
        (draws, n)."""
        places, draws = self.profile.rates, self.profile.draws
        after = np.clip(np.searchsorted(places, rates), 1, len(places) - 1)
        share = (rates - places[after - 1]) / (places[after] - places[after - 1])
        between: Array = (1 - share) * draws[:, after - 1] + share * draws[:, after]
        return between

    @cached_property
    def profile(self) -> Line:
        """With the other parameters at their best for each rate."""
        if not self._seen.axes:
            return self.at_params(self.optimum.point)
        rates = self._line_rates
        return self._line(rates, self._search.good_others(self.optimum.point, rates), np.min)

    @cached_property
    def marginal(self) -> Line:
        """Averaged over the other parameters."""
        if not self._seen.axes:
            return self.profile
        rates = self._line_rates
        return self._line(rates, np.tile(self._search.spread(16)[:, 1:], (len(rates), 1, 1)), np.mean)

    @property
    def _line_rates(self) -> Array:
        return _with(self._search.places(N_PLACES), self.optimum.rate)

    def _line(self, rates: Array, others: Array, over: Callable[..., Array]) -> Line:
        """others: for each rate, (rates, choices, columns)."""
        by_rate = others.shape[:2]
        points = np.column_stack([np.repeat(rates, by_rate[1]), others.reshape(-1, others.shape[2])])
        draws, _ = self._drawn(points)
        return Line(
            rates=rates,
            draws=over(draws.reshape(len(draws), *by_rate), axis=2),
            at=self.surface.shifted(points).reshape(by_rate).min(axis=1),
            lost=self.loses(points).reshape(by_rate).min(axis=1),
            is_choice=self._seen.choices is not None,
        )


def _with(rates: Array, rate: float) -> Array:
    """Ascending; with one more, unless it is among them but for rounding, as a step of a range may be."""
    more: Array = rates if np.abs(rates - rate).min() < SAME else np.sort(np.append(rates, rate))
    return more


def _selection_bias(draws: Array, among: npt.NDArray[np.bool_], best: int, alike: float) -> float:
    """What the expected cost at the point chosen may be above its posterior mean, since it was chosen for being low.

    Where the true cost is level about its minimum, the posterior means there differ by their errors alone, and the lowest one is
    the one with the luckiest error. It may be as high as the mean of all points that are expected within `alike` standard
    deviations of it (to their common mean James and Stein 1961 shrink means).
    """
    above = draws[:, among].mean(axis=0) - draws[:, best].mean()
    near = above[above <= alike * draws[:, best].std()]
    return max(0.0, float(near.mean())) if len(near) else 0.0
