"""How the best learning rate moves with the batch size: rate ~ batch_size ** power, beside the usual rules."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.report.encoding import Array
from service.report.estimates import Interval

LINEAR = 1.0
"""k times the batch, k times the rate (Goyal et al. 2017, 1706.02677)."""
SQUARE_ROOT = 0.5
"""Krizhevsky 2014, 1404.5997."""
BEYOND_THE_CURVES = 0.12
"""How uncertain a power is, as a standard deviation, beyond what response curves know. They slide one curve along the rate, but
on digits what is too slow goes linearly with the batch size, what diverges with its root, and the best rate in between."""

FEWEST = 3
"""Batch sizes that a power takes: with two, nothing says how well it fits."""
SPAN = 2.0
"""The largest must be so many times the smallest: closer ones have no slope between them."""
LOG_RATES = (-12.0, 6.0)
"""No prediction lies beyond."""
FAR = 4.0
"""A prediction so many times beyond what was tried is a guess."""
WARM_UP_EPOCHS = 5
WARM_UP_FROM = 2.0
"""A rate so many times that of the nearest batch size tried is to be warmed up to."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The best rate for a batch size that was not tried."""

    batch_size: int
    rate: float
    """log10, as the interval."""
    interval: Interval
    advice: str


@dataclass(frozen=True, kw_only=True)
class BatchScaling:
    """A fitted power, and what it was fitted to."""

    power: float
    interval: Interval
    batch_sizes: tuple[int, ...]
    linear: bool
    """Whether linear scaling lies within the interval."""
    square_root: bool
    because: str
    _powers: Array
    _offsets: Array
    _scatter: Array
    _optima: tuple[float, ...]

    def predict(self, batch_size: int, random: np.random.Generator) -> Prediction:
        """The best rate for `batch_size`, and how to get there."""
        rates = self._offsets + self._powers * math.log10(batch_size) + self._scatter * random.standard_normal(len(self._powers))
        rates = np.clip(rates, *LOG_RATES)
        rate = float(np.median(rates))
        return Prediction(batch_size=batch_size, rate=rate, interval=Interval.of(rates), advice=self._advice(batch_size, rate))

    def _advice(self, batch_size: int, rate: float) -> str:
        smallest, largest = min(self.batch_sizes), max(self.batch_sizes)
        nearest = min(range(len(self.batch_sizes)), key=lambda at: abs(math.log(self.batch_sizes[at] / batch_size)))
        parts = []
        if 10 ** (rate - self._optima[nearest]) >= WARM_UP_FROM:
            parts.append(
                f"warm up from {10 ** self._optima[nearest]:.2g}, the best rate at batch size {self.batch_sizes[nearest]},"
                f" over the first {WARM_UP_EPOCHS} epochs, or a tenth of a short training"
            )
        if batch_size > FAR * largest or batch_size * FAR < smallest:
            parts.append(
                f"only {smallest} to {largest} were tried, and beyond some batch size the best rate stops growing: try it"
            )
        return "; ".join(parts) or "no warm-up is needed for this step"


def fit_power(batch_sizes: Sequence[int], rates: Sequence[float], draws: Array) -> BatchScaling | None:
    """From the best log10 rates at some batch sizes, and joint posterior draws of them, (draws, batch sizes).

    Weighted least squares in each draw, with weights by the draws' variances; so the interval holds what the response curves do
    not know. What the rates scatter about the line beyond that is added to it, as Student's t has it with so few points, and
    BEYOND_THE_CURVES. None with fewer than three batch sizes.
    """
    if len(batch_sizes) < FEWEST or max(batch_sizes) < SPAN * min(batch_sizes):
        return None
    x = np.log10(np.array(batch_sizes, dtype=float))
    weights = 1 / np.maximum(draws.var(axis=0), 1e-4)
    centre = float((weights * x).sum() / weights.sum())
    spread = float((weights * (x - centre) ** 2).sum())
    powers = (draws * weights * (x - centre)).sum(axis=1) / spread
    middles = (draws * weights).sum(axis=1) / weights.sum()
    line = middles.mean() + powers.mean() * (x - centre)
    freedom = len(x) - 2
    misfit = float((weights * (draws.mean(axis=0) - line) ** 2).sum()) / freedom
    # A misfit of 1 is what the draws' own variances explain; what is more widens the interval by its root.
    beyond = np.random.default_rng(0).standard_normal(len(powers))
    widened = (
        powers.mean() + (powers - powers.mean()) * math.sqrt(max(1.0, misfit)) + BEYOND_THE_CURVES * (beyond - beyond.mean())
    )
    interval, power = Interval.of(widened), float(powers.mean())
    linear, square_root = (interval.low <= scaling <= interval.high for scaling in (LINEAR, SQUARE_ROOT))
    return BatchScaling(
        power=power,
        interval=interval,
        batch_sizes=tuple(batch_sizes),
        linear=linear,
        square_root=square_root,
        because=_because(power, interval, linear, square_root),
        _powers=widened,
        _offsets=middles - widened * centre,
        _scatter=np.full(len(widened), math.sqrt(max(0.0, misfit - 1.0) / float(weights.mean()))),
        _optima=tuple(rates),
    )


def _because(power: float, interval: Interval, linear: bool, square_root: bool) -> str:
    found = f"the best rate goes with the batch size to the power of {power:.2f} ({interval.low:.2f} to {interval.high:.2f})"
    match linear, square_root:
        case True, True:
            return f"{found}: trials do not tell linear from square-root scaling yet"
        case True, False:
            return f"{found}: scale it linearly, twice the batch, twice the rate"
        case False, True:
            return f"{found}: scale it with the square root, four times the batch, twice the rate"
        case _:
            return f"{found}: neither linear nor square-root scaling describes it"
