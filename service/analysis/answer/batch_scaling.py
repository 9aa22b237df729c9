"""How the best learning rate moves with the batch size: rate ~ batch_size ** power, beside the usual rules.

In practice the power falls as the batch size grows. With gradient noise scale N, the best rate of SGD is proportional to
1 / (1 + N / batch_size): linear for small batches, constant for large ones (McCandlish et al. 2018, 1812.06162, section 2.2).
Over many language models the power was 0.12 to 0.60 (Li et al. 2025, 2503.04715, "Step Law"). So the predicted rate may flatten
beyond the batch sizes tried.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.analysis.model.encoding import Array
from service.analysis.model.estimates import Interval
from service.analysis.words import batch_scaling as words
from service.domain.answer import IntervalView, PredictionView
from service.errors import NoBatchScaling

LINEAR = 1.0
"""k times the batch, k times the rate (Goyal et al. 2017, 1706.02677)."""
SQUARE_ROOT = 0.5
"""Krizhevsky 2014, 1404.5997."""
BEYOND_THE_CURVES = 0.12
"""Standard deviation of a power beyond the uncertainty of the response curves. They shift one curve along the rate, but on
digits the rates that are too slow scale linearly with the batch size, those that diverge with its root, and the best between."""

FEWEST = 3
"""Batch sizes that a fit needs: with two, nothing shows how well it fits."""
SPAN = 2.0
"""The least ratio of the largest batch size to the smallest: closer ones do not determine a slope."""
LOG_RATES = (-12.0, 6.0)
"""Range of the predictions, log10."""
FAR = 4.0
"""Nothing is predicted further than this factor from the batch sizes fitted to."""
USUAL_POWER, USUAL_SPREAD = 0.5, 0.2
"""Mean and standard deviation of the prior on the power: 95% between 0.1 and 0.9, with square-root scaling in the middle.
Predictions combine it with the trials, so that few trials do not widen them without limit; the answered power is from the trials
alone."""
GOES_ON = 0.5
"""Probability that the power stays the same beyond the largest batch size; otherwise a random part of it is left."""
OF_THE_DRAWS = (0.12, 0.88)
"""Quantiles of the draws that bound a predicted rate with a probability of LEVEL. The draws are wider than the errors: where a
curve is flat, each draw has its minimum elsewhere. On recorded runs (benchmarks/batch_scaling_real.py, development seeds), at
four times the largest batch size tried, the interval held a rate within tolerance of the best in all cases, and the best rate of
the table, within half a step, in 96%."""
WARM_UP_EPOCHS = 5
WARM_UP_FROM = 2.0
"""Warm-up is advised for a rate of at least this factor times that of the nearest batch size tried."""


@dataclass(frozen=True, kw_only=True)
class BatchScaling:
    """A fitted power, and the batch sizes that it was fitted to."""

    power: float
    interval: IntervalView
    """The interval of the power."""
    batch_sizes: tuple[int, ...]
    linear: bool
    """Whether linear scaling lies within the interval."""
    square_root: bool
    because: str
    _powers: Array
    """Draws of the power, for predictions, (draws,)."""
    _middles: Array
    """Draws of the best log10 rate at the batch size whose log10 is `_centre`, (draws,)."""
    _centre: float
    _scatter: Array
    _optima: tuple[float, ...]
    _steps_are_epochs: bool

    def predict(self, batch_size: int, random: np.random.Generator) -> PredictionView:
        """The best rate for `batch_size`, and how to get there. Raises NoBatchScaling far from the batch sizes fitted to.

        Beyond the largest of them, half of the draws flatten: their power is multiplied by a random number from 0 to 1. That
        widens the interval towards low rates.
        """
        smallest, largest = min(self.batch_sizes), max(self.batch_sizes)
        if batch_size > FAR * largest or batch_size * FAR < smallest:
            raise NoBatchScaling(words.too_far(batch_size, smallest, largest, far=FAR))
        n = len(self._powers)
        beyond = max(0.0, math.log10(batch_size / largest))
        flattens = np.where(random.uniform(size=n) < GOES_ON, 0.0, random.uniform(size=n))
        steps = math.log10(batch_size) - self._centre - beyond * flattens
        rates = self._middles + self._powers * steps + self._scatter * random.standard_normal(n)
        low, rate, high = np.quantile(np.clip(rates, *LOG_RATES), (OF_THE_DRAWS[0], 0.5, OF_THE_DRAWS[1])).tolist()
        return PredictionView(
            batch_size=batch_size,
            learning_rate=10**rate,
            interval=Interval(low=low, high=high).of_rates(),
            advice=self._advice(batch_size, rate),
        )

    def _advice(self, batch_size: int, rate: float) -> str:
        nearest = min(range(len(self.batch_sizes)), key=lambda at: abs(math.log(self.batch_sizes[at] / batch_size)))
        warms_up = 10 ** (rate - self._optima[nearest]) >= WARM_UP_FROM
        largest = max(self.batch_sizes)
        return words.advice(
            self.batch_sizes[nearest],
            10 ** self._optima[nearest],
            warms_up=warms_up,
            epochs=WARM_UP_EPOCHS if self._steps_are_epochs else None,
            beyond=largest if batch_size > largest else None,
        )


def fit_power(
    batch_sizes: Sequence[int], rates: Sequence[float], draws: Array, *, steps_are_epochs: bool = True
) -> BatchScaling | None:
    """Fit a power to the best log10 rates at some batch sizes, and their joint posterior draws, (draws, batch sizes).

    Least squares in each draw, weighted by the inverse variances of the draws, so that the interval includes the uncertainty of
    the response curves. It is widened where the rates scatter about the line by more than that, and by BEYOND_THE_CURVES. None
    with fewer than FEWEST batch sizes, or where they are too close.
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
    # A misfit of 1 is explained by the draws' own variances; a larger one widens the interval by its root.
    fitted = powers.mean() + (powers - powers.mean()) * math.sqrt(max(1.0, misfit))
    beyond = BEYOND_THE_CURVES * np.random.default_rng(0).standard_normal(len(powers))
    beyond -= beyond.mean()
    widened = fitted + beyond
    within, power = Interval.of(widened), float(powers.mean())
    interval = IntervalView(low=within.low, high=within.high)
    linear, square_root = (interval.low <= scaling <= interval.high for scaling in (LINEAR, SQUARE_ROOT))
    return BatchScaling(
        power=power,
        interval=interval,
        batch_sizes=tuple(batch_sizes),
        linear=linear,
        square_root=square_root,
        because=words.because(power, interval, linear=linear, square_root=square_root),
        _powers=_with_usual(fitted) + beyond,
        _middles=middles,
        _centre=centre,
        _scatter=np.full(len(widened), math.sqrt(max(0.0, misfit - 1.0) / float(weights.mean()))),
        _optima=tuple(rates),
        _steps_are_epochs=steps_are_epochs,
    )


def _with_usual(powers: Array) -> Array:
    """Draws of a power combined with the prior on it: the product of two normal densities."""
    share = USUAL_SPREAD**2 / (USUAL_SPREAD**2 + float(powers.var()))
    mean = float(powers.mean())
    known: Array = share * mean + (1 - share) * USUAL_POWER + math.sqrt(share) * (powers - mean)
    return known
