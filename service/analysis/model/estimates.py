"""Numbers with their uncertainty."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from service.analysis.model.encoding import Array

LEVEL = 0.9
"""Of all intervals."""
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Holds the truth with a probability of LEVEL."""

    low: float
    high: float

    @classmethod
    def of(cls, draws: Array) -> Self:
        """From draws of the posterior, (draws,)."""
        low, high = np.quantile(draws, TAILS)
        return cls(low=float(low), high=float(high))

    def holding(self, value: float) -> "Interval":
        """Widened so far that it holds `value`."""
        return Interval(low=min(self.low, value), high=max(self.high, value))

    def of_rates(self) -> "Interval":
        """From log10 rates to rates."""
        return Interval(low=10**self.low, high=10**self.high)


@dataclass(frozen=True, kw_only=True)
class Estimate(Interval):
    """A number, and the interval that it lies in."""

    mean: float

    @classmethod
    def of(cls, draws: Array) -> Self:
        """From draws of the posterior, (draws,)."""
        low, high = np.quantile(draws, TAILS)
        return cls(mean=float(draws.mean()), low=float(low), high=float(high))

    @classmethod
    def at_median(cls, draws: Array) -> Self:
        """As `of`, for what is skewed: its middle is the median."""
        low, high = np.quantile(draws, TAILS)
        return cls(mean=float(np.median(draws)), low=float(low), high=float(high))

    def times(self, sign: float) -> "Estimate":
        """From cost to metric, or back: sign is 1 where lower is better, else -1."""
        ends = sorted((sign * self.low, sign * self.high))
        return Estimate(mean=sign * self.mean, low=ends[0], high=ends[1])

    def __str__(self) -> str:
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g})"
