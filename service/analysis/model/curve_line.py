"""The response curve along the rate: its minimum, and the safe range about it."""

import math
from dataclasses import dataclass

import numpy as np

from service.analysis.model.encoding import Array
from service.analysis.model.estimates import Interval, any_lowest
from service.domain.answer import LEVEL

SAFE = 0.85
"""Probability with which a rate of the safe range costs no more than the tolerance above the best (chosen on recorded training,
docs/decisions/0014)."""
MAY_DIVERGE = 0.1
"""A rate is not safe if more than this part of trials are lost at it."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """The curve over the range of rates, with the other parameters fixed or at their best for each rate."""

    rates: Array
    """log10, ascending, (n,)."""
    draws: Array
    """Joint draws of the expected cost, (draws, n)."""
    at: Array
    """The rates, shifted by the other parameters, (n,)."""
    lost: Array
    """The probability of being lost, (n,)."""
    is_choice: bool
    """Whether only these rates can be tried; else also those between them."""

    def regret(self, at: int) -> Array:
        """Upper bound, with a probability of SAFE, on each rate's cost above that of rate number `at`, (n,)."""
        regret: Array = np.quantile(self.draws - self.draws[:, at, None], SAFE, axis=0)
        return regret

    def interval(self, rate: float, bounds: Array | None) -> Interval:
        """Where the best rate lies; it holds `rate`. bounds: draws of the highest shifted rate that may be the best, (draws,)."""
        draws = self.draws
        if bounds is not None:
            draws = np.where(self.at > np.maximum(bounds, self.at.min())[:, None], math.inf, draws)
        within = Interval.among(self.rates[any_lowest(draws)], self.rates, is_choice=self.is_choice)
        return within.holding(rate)

    def safe_range(self, rate: float, tolerance: float, lost_costs: float) -> Interval | None:
        """Rates about `rate`, one of the line's, at which the expected cost is at most `tolerance` above that at `rate`, with a
        probability of SAFE, and no more than MAY_DIVERGE of trials are lost. None where more are lost at `rate` itself.

        lost_costs: the cost that a lost trial counts as.
        """
        at = int(np.abs(self.rates - rate).argmin())
        regret = np.where(self.lost <= MAY_DIVERGE, self.regret(at) + self.lost * lost_costs, math.inf)
        if math.isinf(regret[at]):
            return None
        limit = max(float(regret[at]), 0.0) + tolerance
        crossing = _last_below if self.is_choice else _crossing
        return Interval(
            low=crossing(self.rates[at::-1], regret[at::-1], limit), high=crossing(self.rates[at:], regret[at:], limit)
        )

    def is_flat(self, tolerance: float) -> bool:
        """Whether the worst rate costs no more than the tolerance above the best, with a probability of LEVEL."""
        return float(np.quantile(np.ptp(self.draws, axis=1), LEVEL)) <= tolerance


def _crossing(rates: Array, costs: Array, limit: float) -> float:
    """The rate at which costs first exceed `limit`, going from the first rate to the last, interpolated; else the last rate."""
    above = np.flatnonzero(costs > limit)
    above = above[above > 0]
    if not len(above):
        return float(rates[-1])
    after = int(above[0])
    before, beyond = float(costs[after - 1]), float(costs[after])
    share = max(0.0, (limit - before) / (beyond - before)) if math.isfinite(before) and math.isfinite(beyond) else 0.0
    return float(rates[after - 1] + share * (rates[after] - rates[after - 1]))


def _last_below(rates: Array, costs: Array, limit: float) -> float:
    """As `_crossing`, but the last rate before it."""
    above = np.flatnonzero(costs > limit)
    above = above[above > 0]
    return float(rates[above[0] - 1] if len(above) else rates[-1])
