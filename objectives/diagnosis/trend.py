"""The course of a training loss: where it began, where it ends, and what more training would win.

Falls of several shapes, each at many speeds, are fitted to the training loss as a function of the integral of the learning rate
(gradient flow: half the rate, half the speed). What the fits say is averaged, weighted by their likelihood: a curve too short or
too noisy to tell shapes apart is then judged by all that are possible.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import mul
from statistics import fmean, median

from objectives.diagnosis.curves import Step, first_loss, noise_of, rates_of, updates_of, without_spikes

STICKS_OUT = 0.15
"""How far it does so at least, in parts of the trend, and in standard deviations of the noise."""
STICKS_OUT_SD = 4.0
DELAY = math.exp(4)
SHAPES: tuple[Callable[[float], float], ...] = (
    lambda x: math.exp(-x),
    lambda x: 1 / (1 + x),
    lambda x: (1 + DELAY) * math.exp(-x) / (1 + DELAY * math.exp(-x)),  # these two break through after a plateau,
    lambda x: math.exp(-(x**3)),  # this one all at once
)
"""What is left to be learned after x time constants."""
SPEEDS = tuple(0.05 * 1.5**i for i in range(26))
"""Time constants in the run."""
SWIFT = 10.0
"""Faster falls are rarer, in proportion to their speed: else the noise of the first updates would pass for one."""
HEAT = 0.05
"""How high, roughly, the loss hovers at the peak rate once all is learned. Where the rate sinks all the time, the sinking of that
height looks like learning; that it is low is known beforehand."""
START_SD, START_UPDATES = 2.0, 5
"""How far from the first update's loss a fit may put the start, in standard deviations of an update's loss, and how many updates
at the beginning tell those: later, where losses are low, they vary more in parts of themselves."""
PIECES = 24
"""The curve is fitted in about so many pieces: shorter ones at first, where it falls fast."""
LEAST_PIECES = 4
"""The least that show a trend."""
LEAST_NOISE = 0.005
"""No loss is more exact than this, relatively: no shape is."""
LEAST_LEVEL = 1e-3
"""What is lower, in parts of the highest loss, counts as much as this: errors of nearly nothing matter little."""
TINY = 1e-10
"""Less than this is the rounding of sums."""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """The training loss without noise, swings and spikes."""

    start: float
    """Before the first update."""
    lowest: float
    end: float
    gain: float
    """What another run of the same length at the final learning rate would take off."""
    last_quarter: float
    """What the last quarter of the travelled way took off."""

    @property
    def fall(self) -> float:
        return 1 - self.end / self.start


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A stretch of the run, in parts of its way: the integral of the learning rate."""

    begin: float
    end: float
    rate: float
    """In parts of the peak."""
    loss: float
    """In parts of the highest."""
    weight: float
    """Of its square error."""


def fit_trend(steps: Sequence[Step]) -> Trend | None:
    """None: the curve is too short to have a trend, it has no rate, or a loss is not positive."""
    losses = [step.metrics["training_loss"] for step in steps]
    rates = rates_of(steps)
    way = sum((a + b) / 2 for a, b in pairwise(rates))
    if min(losses, default=0.0) <= 0 or not way > 0:
        return None
    update_noise = noise_of(updates_of(step) for step in steps)
    pieces = _pieces(steps, losses, update_noise)
    if len(pieces) < LEAST_PIECES:
        return None
    start, gain, last_quarter = _mean_of_fits(pieces, last_rate=rates[-1] / max(rates), ahead=rates[-1] * len(steps) / way)
    first, highest = first_loss(steps), max(losses)
    beginning = updates_of(steps[0])[:START_UPDATES]
    doubt = START_SD * min(update_noise, noise_of([beginning])) * first if len(beginning) > 2 else math.inf
    return Trend(
        start=min(max(start * highest, first - doubt), first + doubt),
        lowest=min(without_spikes(losses)),
        end=median(losses[-max(1, len(losses) // 10) :]),
        gain=gain * highest,
        last_quarter=last_quarter * highest,
    )


def _mean_of_fits(pieces: Sequence[_Piece], *, last_rate: float, ahead: float) -> tuple[float, float, float]:
    """The start, what the way `ahead` would win, and what the last quarter of the way did, weighted by likelihood."""
    fits = []
    for shape in SHAPES:
        for speed in SPEEDS:
            left = [_mean_over(shape, speed * piece.begin, speed * piece.end) for piece in pieces]
            errors, (floor, height, heat) = _fit(pieces, left)
            before, now, later = shape(0.75 * speed), shape(speed), shape((1 + ahead) * speed)
            says = floor + height, (height - heat * last_rate) * (now - later), height * (before - now)
            fits.append((max(errors, TINY), min(1.0, SWIFT / speed), says))
    least = min(errors for errors, *_ in fits)
    weights = [prior * (least / errors) ** (len(pieces) / 2) for errors, prior, _ in fits]
    start, gain, last_quarter = (
        sum(weight * says[i] for weight, (*_, says) in zip(weights, fits, strict=True)) / sum(weights) for i in range(3)
    )
    return start, gain, last_quarter


def _pieces(steps: Sequence[Step], losses: Sequence[float], update_noise: float) -> list[_Piece]:
    """Means of the losses of updates, or of steps where those are many, but for steps that stick out of the curve."""
    step_noise = max(LEAST_NOISE, noise_of([losses], straight=True))
    limit = 1 + max(STICKS_OUT, STICKS_OUT_SD * step_noise)
    rates, highest = rates_of(steps), max(losses)
    ways = [0.0, *accumulate((a + b) / 2 for a, b in pairwise(rates))]
    seen = []  # (when in steps, for how long, loss)
    for i, (step, loss, level) in enumerate(zip(steps, losses, without_spikes(losses), strict=True)):
        if loss <= limit * level:
            values = (updates_of(step) if i == 0 or len(steps) < PIECES else []) or [loss]
            seen += [(i + j / len(values), 1 / len(values), value) for j, value in enumerate(values)]
    pieces, done, size = [], 0, 1
    while done < len(seen):
        some = seen[done : done + size]
        begin, end = some[0][0], some[-1][0] + some[-1][1]
        loss = fmean(value for *_, value in some) / highest
        n_updates = sum(long < 1 for _, long, _ in some)
        variance = step_noise**2 / max(1.0, end - begin) + update_noise**2 * n_updates / len(some) ** 2
        pieces.append(
            _Piece(
                begin=_at(ways, begin) / ways[-1],
                end=_at(ways, end) / ways[-1],
                rate=_at(rates, (begin + end) / 2) / max(rates),
                loss=loss,
                weight=1 / (variance * max(loss, LEAST_LEVEL) ** 2),
            )
        )
        done, size = done + size, min(2 * size, math.ceil(len(seen) / PIECES))
    return pieces


def _fit(pieces: Sequence[_Piece], left: Sequence[float]) -> tuple[float, list[float]]:
    """Least squares: loss = floor + height * left + heat * rate * (1 - left), none negative; the sum of squares, the three."""
    # By hand: a worker imports nothing else of scipy, and with scipy.optimize its start takes a third longer and 40 MB more.
    columns = ([1.0] * len(left), left, [piece.rate * (1 - part) for piece, part in zip(pieces, left, strict=True)])
    losses, weights = [piece.loss for piece in pieces], [piece.weight for piece in pieces]
    weighted = [list(map(mul, weights, column)) for column in columns]
    gram = [[_dot(row, column) for column in columns] for row in weighted]
    gram[2][2] += HEAT**-2
    moments = [_dot(row, losses) for row in weighted]
    used = [0, 1, 2]
    while min(found := _solve([[gram[i][j] for j in used] for i in used], [moments[i] for i in used])) < 0:
        used.pop(found.index(min(found)))
    factors = [0.0] * 3
    for i, value in zip(used, found, strict=True):
        factors[i] = value
    return _dot(map(mul, weights, losses), losses) - _dot(factors, moments), factors


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Of a symmetric positive semidefinite system; directions without weight get 0."""
    n = len(right)
    diagonal = [matrix[i][i] for i in range(n)]
    for i in range(n):
        for j in range(i + 1, n):
            factor = matrix[j][i] / matrix[i][i] if matrix[i][i] > TINY * diagonal[i] else 0.0
            matrix[j] = [a - factor * b for a, b in zip(matrix[j], matrix[i], strict=True)]
            right[j] -= factor * right[i]
    found = [0.0] * n
    for i in reversed(range(n)):
        rest = right[i] - sum(matrix[i][j] * found[j] for j in range(i + 1, n))
        found[i] = rest / matrix[i][i] if matrix[i][i] > TINY * diagonal[i] else 0.0
    return found


def _dot(a: Iterable[float], b: Iterable[float]) -> float:
    total: float = sum(map(mul, a, b))
    return total


def _mean_over(shape: Callable[[float], float], begin: float, end: float) -> float:
    """Simpson's rule."""
    return (shape(begin) + 4 * shape((begin + end) / 2) + shape(end)) / 6


def _at(values: Sequence[float], place: float) -> float:
    """Linear between the values."""
    whole = min(int(place), len(values) - 2)
    return values[whole] + (place - whole) * (values[whole + 1] - values[whole])
