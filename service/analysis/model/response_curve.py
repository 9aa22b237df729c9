"""Cost against learning rate: the minimum, the safe range about it, and the influence of the other parameters."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal

import numpy as np

from service.analysis.model.candidates import SAME, Allowed, Search
from service.analysis.model.curve_line import Line
from service.analysis.model.divergence_edge import DivergenceEdge
from service.analysis.model.encoding import Array
from service.analysis.model.estimates import Interval
from service.analysis.model.influence import Influence, influences
from service.analysis.model.observations import Observations
from service.analysis.model.optimum import Optimum, find_optima
from service.analysis.model.posterior import Posterior
from service.domain.space import Scalar

FEWEST = 4
"""Complete trials that a curve needs."""
FEWEST_RATES = 3
"""Different rates that a curve needs: two do not determine a minimum between them."""

MOSTLY = 0.5
"""Probability above which the best rate is said to lie at an edge, or trials to be lost."""

N_PLACES = 33
"""Rates at which the response curve is shown."""
TOLERANCE = 0.02
"""Where no tolerance is given, it is at least this part of the 80th percentile of regret."""
LARGEST_TOLERANCE = 0.5
"""Where no tolerance is given, it is at most this part of the 80th percentile of regret."""

Kind = Literal["params", "profile", "marginal"]


class ResponseCurve:
    """A response curve, fitted to a job's trials. It is deterministic: the same trials give the same numbers."""

    def __init__(self, seen: Observations, allowed: Allowed | None = None) -> None:
        """`seen` must hold at least FEWEST costs. allowed: which points may be answered, None: all."""
        self._seen = seen
        self._posterior = Posterior(seen, np.random.default_rng(len(seen.costs)))
        self.surface = self._posterior.surface
        self._search = Search(seen, self.surface, allowed)

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
        """At which end of the range the best rate most likely lies, so that rates beyond may be better.

        Not the high end where rates diverge: then the usable rates end by divergence.
        """
        if self.optimum.at_low_edge > MOSTLY:
            return "low"
        return "high" if self.optimum.at_high_edge > MOSTLY and self._posterior.edge is None else None

    def edge_at(self, point: Array) -> DivergenceEdge | None:
        """The divergence edge with the other parameters of a point, (1 + columns,)."""
        if self._posterior.edge is None:
            return None
        shift = float(self.surface.shifted(point[None])[0] - point[0])
        return self._posterior.edge.moved(-shift)

    def loses(self, points: Array) -> Array:
        """The probability of being lost at points, (n, 1 + columns)."""
        return self._posterior.loses(points)

    def influences(self, highest: float) -> list[Influence] | None:
        """How much the rate and each other parameter matter, in the order of the axes, up to the log10 rate `highest`."""
        return influences(self._search, self.surface, highest)

    def costs_beside(self, name: str, values: Sequence[Scalar]) -> tuple[Array, Array, Array]:
        """Over the rate and one more parameter, the others at the optimum: rates, log10, (n,); the expected cost, (values, n);
        and the probability of being lost, (values, n)."""
        rates = self._search.places(N_PLACES)
        rows = np.column_stack([rates, np.tile(self.optimum.point[1:], (len(rates), 1))])
        points = np.concatenate([self._fixing(name, value)(rows) for value in values])
        shape = len(values), len(rates)
        return rates, self._posterior.expected(points).reshape(shape), self.loses(points).reshape(shape)

    def _optima(self, fixings: Sequence[Callable[[Array], Array] | None]) -> tuple[list[Optimum], Array]:
        return find_optima(self._seen, self._posterior, self._search, fixings)

    def _fixing(self, name: str, value: Scalar) -> Callable[[Array], Array]:
        """A function that sets the columns of a parameter to a value."""
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
        """The curve with the other parameters of a point, (1 + columns,)."""
        rates = _with(self._search.places(2 * N_PLACES - 1), float(point[0]))
        points = np.column_stack([rates, np.tile(point[1:], (len(rates), 1))])
        draws, _ = self._posterior.draw(points)
        is_choice = self._seen.choices is not None
        return Line(rates=rates, draws=draws, at=self.surface.shifted(points), lost=self.loses(points), is_choice=is_choice)

    def interval_on(self, line: Line) -> Interval:
        """The interval of the best rate on a line; it holds the optimum's rate."""
        if not self._seen.axes:
            return self.optimum.interval
        return line.interval(self.optimum.rate, self._posterior.bounds(len(line.draws)))

    def safe_range(self, line: Line, tolerance: float) -> Interval | None:
        """The safe range about the optimum's rate; see `Line.safe_range`. A lost run counts as the 80th percentile of regret."""
        return line.safe_range(self.optimum.rate, tolerance, self._seen.spread)

    def is_flat(self, line: Line, tolerance: float) -> bool:
        """Whether any rate will do: no trial was lost, and the worst rate costs no more than the tolerance above the best."""
        return not len(self._seen.lost_rates) and line.is_flat(tolerance)

    def at_rate(self, rate: float) -> Optimum:
        """The optimum at a given log10 rate, with the other parameters at their best for it."""

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
        """The curve with the other parameters at their best for each rate."""
        if not self._seen.axes:
            return self.at_params(self.optimum.point)
        rates = self._line_rates
        return self._line(rates, self._search.good_others(self.optimum.point, rates), np.min)

    @cached_property
    def marginal(self) -> Line:
        """The curve averaged over the other parameters."""
        if not self._seen.axes:
            return self.profile
        rates = self._line_rates
        return self._line(rates, np.tile(self._search.spread(16)[:, 1:], (len(rates), 1, 1)), np.mean)

    @property
    def _line_rates(self) -> Array:
        return _with(self._search.places(N_PLACES), self.optimum.rate)

    def _line(self, rates: Array, others: Array, over: Callable[..., Array]) -> Line:
        """others: choices of the other parameters for each rate, (rates, choices, columns). over: reduces the draws over them."""
        by_rate = others.shape[:2]
        points = np.column_stack([np.repeat(rates, by_rate[1]), others.reshape(-1, others.shape[2])])
        draws, _ = self._posterior.draw(points)
        return Line(
            rates=rates,
            draws=over(draws.reshape(len(draws), *by_rate), axis=2),
            at=self.surface.shifted(points).reshape(by_rate).min(axis=1),
            lost=self.loses(points).reshape(by_rate).min(axis=1),
            is_choice=self._seen.choices is not None,
        )


def _with(rates: Array, rate: float) -> Array:
    """The rates with one more, ascending, unless it equals one of them up to rounding, as a step of a range may."""
    more: Array = rates if np.abs(rates - rate).min() < SAME else np.sort(np.append(rates, rate))
    return more
