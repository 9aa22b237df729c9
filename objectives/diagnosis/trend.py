"""The trend of a training loss: its start, its end, and what more training would gain.

Decay curves of several shapes, each at many speeds, are fitted to the training loss as a function of the integral of the learning
rate (as in gradient flow: half the rate, half the speed). Estimates are averaged over the fits, weighted by likelihood: where a
curve is too short or too noisy to tell shapes apart, all plausible ones count.

    t      integral of the learning rate since the start, as a fraction of that of the whole run, in [0, 1]
    r      learning rate, as a fraction of the peak rate
    L      training loss, as a fraction of the highest loss
    c      speed: the number of time constants in the run (SPEEDS)
    s(x)   what is left to be learned after x time constants, from 1 down to 0 (SHAPES)
    L = floor + height * s(c t) + excess * r * (1 - s(c t)), with the three factors not negative

The third term is the loss that gradient noise adds in proportion to the learning rate.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import mul
from statistics import fmean, median

from objectives.diagnosis.curves import Step, first_loss, noise_of, rates_of, updates_of, without_spikes

OUTLIER = 0.15
"""A step is left out if its loss exceeds the curve without spikes by more than this fraction of it, and by OUTLIER_SD."""
OUTLIER_SD = 4.0
"""The same limit in standard deviations of the noise."""
DELAY = math.exp(4)
"""Puts the steepest point of the logistic shape at 4 time constants."""
SHAPES: tuple[Callable[[float], float], ...] = (
    lambda x: math.exp(-x),
    lambda x: 1 / (1 + x),
    lambda x: (1 + DELAY) * math.exp(-x) / (1 + DELAY * math.exp(-x)),  # this one and the next fall after a plateau,
    lambda x: math.exp(-(x**3)),  # the last one at once
)
"""Functions s(x): what is left to be learned after x time constants."""
SPEEDS = tuple(0.05 * 1.5**i for i in range(26))
"""Values of c: the number of time constants in the run."""
FAST = 10.0
"""The prior weight of a higher speed is inversely proportional to it: else the noise of the first updates would be fitted."""
EXCESS_SD = 0.05
"""Prior standard deviation of the excess loss at the peak rate. While the learning rate decays, the decrease of this excess looks
like learning; the prior keeps it low."""
START_SD = 2.0
"""How far a fitted start may be from the loss of the first update, in standard deviations of an update's loss."""
START_UPDATES = 5
"""First updates that this standard deviation is estimated from: later losses are lower, and their relative noise is larger."""
PIECES = 24
"""Approximate number of pieces that the curve is fitted in. The first ones are shorter, since losses fall fastest there."""
MIN_PIECES = 4
"""Fewer pieces show no trend."""
MIN_NOISE = 0.005
"""Lower bound of the relative noise of a loss: the shapes are not more exact than this."""
MIN_LEVEL = 1e-3
"""Relative errors refer to at least this fraction of the highest loss: errors of losses near 0 matter little."""
TINY = 1e-10
"""Sums below this are rounding errors."""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """The training loss without noise, oscillation and spikes, in units of the loss."""

    start: float
    """Before the first update."""
    lowest: float
    end: float
    gain: float
    """How much the same number of steps again, at the final learning rate, would lower the loss."""
    last_quarter: float
    """How much the last quarter of the run, by the integral of the learning rate, lowered the loss."""

    @property
    def fall(self) -> float:
        """How much the loss fell, as a fraction of the start."""
        return 1 - self.end / self.start


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A part of the run, from t = begin to t = end."""

    begin: float
    end: float
    rate: float
    """Learning rate in its middle, as a fraction of the peak rate."""
    loss: float
    """Mean loss, as a fraction of the highest loss."""
    weight: float
    """Weight of its squared error: the inverse variance."""


def fit_trend(steps: Sequence[Step]) -> Trend | None:
    """Fit the trend; None if the curve is too short, all learning rates are 0, or a loss is not positive."""
    losses = [step.metrics["training_loss"] for step in steps]
    rates = rates_of(steps)
    integral = sum((a + b) / 2 for a, b in pairwise(rates))
    if min(losses, default=0.0) <= 0 or not integral > 0:
        return None
    update_noise = noise_of(updates_of(step) for step in steps)
    pieces = _pieces(steps, losses, update_noise)
    if len(pieces) < MIN_PIECES:
        return None
    start, gain, last_quarter = _mean_of_fits(pieces, last_rate=rates[-1] / max(rates), ahead=rates[-1] * len(steps) / integral)
    first, highest = first_loss(steps), max(losses)
    beginning = updates_of(steps[0])[:START_UPDATES]
    margin = START_SD * min(update_noise, noise_of([beginning])) * first if len(beginning) > 2 else math.inf
    return Trend(
        start=min(max(start * highest, first - margin), first + margin),
        lowest=min(without_spikes(losses)),
        end=median(losses[-max(1, len(losses) // 10) :]),
        gain=gain * highest,
        last_quarter=last_quarter * highest,
    )


def _mean_of_fits(pieces: Sequence[_Piece], *, last_rate: float, ahead: float) -> tuple[float, float, float]:
    """Start, gain and last quarter (see Trend), averaged over all fits by likelihood, as fractions of the highest loss.

    ahead: the integral of the learning rate over the same number of steps again, as a fraction of that of the run.
    """
    fits = []
    for shape in SHAPES:
        for speed in SPEEDS:
            left = [_mean_over(shape, speed * piece.begin, speed * piece.end) for piece in pieces]
            errors, (floor, height, excess) = _fit(pieces, left)
            before, now, later = shape(0.75 * speed), shape(speed), shape((1 + ahead) * speed)
            estimates = floor + height, (height - excess * last_rate) * (now - later), height * (before - now)
            fits.append((max(errors, TINY), min(1.0, FAST / speed), estimates))
    least = min(errors for errors, *_ in fits)
    weights = [prior * (least / errors) ** (len(pieces) / 2) for errors, prior, _ in fits]
    start, gain, last_quarter = (
        sum(weight * estimates[i] for weight, (*_, estimates) in zip(weights, fits, strict=True)) / sum(weights) for i in range(3)
    )
    return start, gain, last_quarter


def _pieces(steps: Sequence[Step], losses: Sequence[float], update_noise: float) -> list[_Piece]:
    """Mean losses of consecutive updates, or of steps if there are many. Steps that are outliers are left out."""
    step_noise = max(MIN_NOISE, noise_of([losses], straight=True))
    limit = 1 + max(OUTLIER, OUTLIER_SD * step_noise)
    rates, highest = rates_of(steps), max(losses)
    integrals = [0.0, *accumulate((a + b) / 2 for a, b in pairwise(rates))]
    points = []  # (position in steps, duration in steps, loss)
    for i, (step, loss, level) in enumerate(zip(steps, losses, without_spikes(losses), strict=True)):
        if loss <= limit * level:
            values = (updates_of(step) if i == 0 or len(steps) < PIECES else []) or [loss]
            points += [(i + j / len(values), 1 / len(values), value) for j, value in enumerate(values)]
    pieces, done, size = [], 0, 1
    while done < len(points):
        group = points[done : done + size]
        begin, end = group[0][0], group[-1][0] + group[-1][1]
        loss = fmean(value for *_, value in group) / highest
        n_updates = sum(duration < 1 for _, duration, _ in group)
        variance = step_noise**2 / max(1.0, end - begin) + update_noise**2 * n_updates / len(group) ** 2
        pieces.append(
            _Piece(
                begin=_at(integrals, begin) / integrals[-1],
                end=_at(integrals, end) / integrals[-1],
                rate=_at(rates, (begin + end) / 2) / max(rates),
                loss=loss,
                weight=1 / (variance * max(loss, MIN_LEVEL) ** 2),
            )
        )
        done, size = done + size, min(2 * size, math.ceil(len(points) / PIECES))
    return pieces


def _fit(pieces: Sequence[_Piece], left: Sequence[float]) -> tuple[float, list[float]]:
    """Weighted least squares of L by floor, height and excess, not negative. Returns the sum of squares and the three.

    left: the mean of s(c t) over each piece.
    """
    # By hand: a worker imports nothing else of scipy, and scipy.optimize would make its start a third slower and take 40 MB.
    columns = ([1.0] * len(left), left, [piece.rate * (1 - part) for piece, part in zip(pieces, left, strict=True)])
    losses, weights = [piece.loss for piece in pieces], [piece.weight for piece in pieces]
    weighted = [list(map(mul, weights, column)) for column in columns]
    gram = [[_dot(row, column) for column in columns] for row in weighted]
    gram[2][2] += EXCESS_SD**-2
    moments = [_dot(row, losses) for row in weighted]
    used = [0, 1, 2]
    while min(solution := _solve([[gram[i][j] for j in used] for i in used], [moments[i] for i in used])) < 0:
        used.pop(solution.index(min(solution)))
    factors = [0.0] * 3
    for i, value in zip(used, solution, strict=True):
        factors[i] = value
    return _dot(map(mul, weights, losses), losses) - _dot(factors, moments), factors


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a symmetric positive semidefinite system; an unknown that is not determined is 0."""
    n = len(right)
    diagonal = [matrix[i][i] for i in range(n)]
    for i in range(n):
        for j in range(i + 1, n):
            factor = matrix[j][i] / matrix[i][i] if matrix[i][i] > TINY * diagonal[i] else 0.0
            matrix[j] = [a - factor * b for a, b in zip(matrix[j], matrix[i], strict=True)]
            right[j] -= factor * right[i]
    solution = [0.0] * n
    for i in reversed(range(n)):
        rest = right[i] - sum(matrix[i][j] * solution[j] for j in range(i + 1, n))
        solution[i] = rest / matrix[i][i] if matrix[i][i] > TINY * diagonal[i] else 0.0
    return solution


def _dot(a: Iterable[float], b: Iterable[float]) -> float:
    total: float = sum(map(mul, a, b))
    return total


def _mean_over(shape: Callable[[float], float], begin: float, end: float) -> float:
    """The mean of `shape` over [begin, end], by Simpson's rule."""
    return (shape(begin) + 4 * shape((begin + end) / 2) + shape(end)) / 6


def _at(values: Sequence[float], place: float) -> float:
    """The values, interpolated linearly at the index `place`."""
    whole = min(int(place), len(values) - 2)
    return values[whole] + (place - whole) * (values[whole + 1] - values[whole])
