"""Numbers with their uncertainty, in the units of the fit: rates are log10, lower costs are better."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.analysis.model.encoding import Array
from service.domain.answer import LEVEL, EstimateView, IntervalView

TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An interval that holds the true value with a probability of LEVEL."""

    low: float
    high: float

    @classmethod
    def of(cls, draws: Array) -> Self:
        """From draws of the posterior, (draws,)."""
        low, high = np.quantile(draws, TAILS)
        return cls(low=float(low), high=float(high))

    @classmethod
    def among(cls, draws: Array, places: Array, *, is_choice: bool) -> "Interval":
        """From draws of the posterior, each one of `places`. is_choice: whether no other places are possible."""
        interval = Interval.of(draws)
        if is_choice or interval.low < interval.high:
            return interval
        # Nearly all draws are at one place: what lies nearer to it than to others is not told from it.
        ascending = np.unique(places)
        at = int(np.searchsorted(ascending, interval.low))
        low, high = ascending[max(0, at - 1)], ascending[min(len(ascending) - 1, at + 1)]
        return Interval(low=float(low + interval.low) / 2, high=float(high + interval.high) / 2)

    def holding(self, value: float) -> "Interval":
        """The same interval, widened to hold `value`."""
        return Interval(low=min(self.low, value), high=max(self.high, value))

    def of_rates(self) -> IntervalView:
        """From log10 rates to rates."""
        return IntervalView(low=10**self.low, high=10**self.high)


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
        """As `of`, for skewed distributions: with the median for the mean."""
        return cls.at_medians(draws[:, None])[0]

    @classmethod
    def at_medians(cls, draws: Array) -> list[Self]:
        """As `at_median`, of several numbers, from their draws, (draws, n)."""
        rows = zip(np.median(draws, axis=0), *np.quantile(draws, TAILS, axis=0), strict=True)
        return [cls(mean=float(mean), low=float(low), high=float(high)) for mean, low, high in rows]

    def times(self, sign: float) -> EstimateView:
        """From costs to the metric. sign: 1 where a lower metric is better, else -1."""
        return EstimateView(mean=self.mean, low=self.low, high=self.high).times(sign)


def any_lowest(draws: Array) -> npt.NDArray[np.intp]:
    """The place of the lowest cost of each draw, (draws,), from draws (draws, n). Where several are equal, as at the bound of a
    metric, each is chosen as often as the others, by the golden ratio's multiples."""
    lowest = draws == draws.min(axis=1, keepdims=True)
    chosen = (np.arange(len(draws)) * GOLDEN % 1 * lowest.sum(axis=1)).astype(np.intp)
    places: npt.NDArray[np.intp] = (lowest.cumsum(axis=1) > chosen[:, None]).argmax(axis=1)
    return places
