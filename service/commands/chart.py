"""Draws a response curve in the terminal: the metric against the learning rate, a few lines high."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.answer import Answer, CurveView

ROWS = 9
MIN_WIDTH, MAX_WIDTH = 30, 72
LOGARITHMIC_FROM = 8.0
"""The vertical axis is logarithmic where the highest value is more than this many times the lowest: on a linear one the region
about the best rate would be a flat line."""


@dataclass(frozen=True, kw_only=True)
class Signs:
    """The characters that a chart is drawn with."""

    curve: str
    band: str
    axis: str
    safe: str
    best: str


PRETTY = Signs(curve="●", band="░", axis="─", safe="━", best="▲")
PLAIN = Signs(curve="o", band=".", axis="-", safe="=", best="^")
"""ASCII, for terminals whose encoding is not Unicode."""


def chart(answer: Answer, width: int, signs: Signs) -> list[str]:
    """The lines of a chart: the curve with its interval, and on the axis below it the safe range and the best rate where they are
    known. Empty where there is no curve."""
    curve = [point for point in answer.curve if all(map(math.isfinite, (point.mean, point.low, point.high)))]
    if len(curve) < 2:
        return []
    heights = _Heights.of(curve)
    names = [f"{value:.3g}" for value in (heights.high, heights.low)]
    margin = max(map(len, names))
    columns = min(MAX_WIDTH, max(MIN_WIDTH, width - margin - 3))
    rates = [math.log10(point.learning_rate) for point in curve]
    at = _Columns(low=rates[0], high=rates[-1], n=columns)
    means, lows, highs = zip(*((point.mean, point.low, point.high) for point in curve), strict=True)
    rows = [[" "] * columns for _ in range(ROWS)]
    for column in range(columns):
        mean, low, high = (_interpolated(rates, line, at.rate(column)) for line in (means, lows, highs))
        for row in range(heights.row(high), heights.row(low) + 1):
            rows[row][column] = signs.band
        rows[heights.row(mean)][column] = signs.curve
    lines = [f"{name:>{margin}} |{''.join(row).rstrip()}" for name, row in zip(_labels(names), rows, strict=True)]
    return [*lines, f"{'':{margin}} +{_axis(answer, at, signs)}", f"{'':{margin}}  {_ticks(at)}"]


@dataclass(frozen=True, kw_only=True)
class _Columns:
    low: float
    """log10 of the learning rate in the leftmost column."""
    high: float
    n: int

    def rate(self, column: int) -> float:
        return self.low + (self.high - self.low) * column / (self.n - 1)

    def of(self, rate: float) -> int:
        """The column of a learning rate; the first or the last one where it lies outside."""
        part = (math.log10(rate) - self.low) / ((self.high - self.low) or 1.0)
        return round(min(1.0, max(0.0, part)) * (self.n - 1))


@dataclass(frozen=True, kw_only=True)
class _Heights:
    low: float
    high: float
    logarithmic: bool

    @classmethod
    def of(cls, curve: Sequence[CurveView]) -> "_Heights":
        low, high = min(point.mean for point in curve), max(point.mean for point in curve)
        return cls(low=low, high=high, logarithmic=low > 0 and high > LOGARITHMIC_FROM * low)

    def row(self, value: float) -> int:
        """The row of a value, counted from the top; the first or the last one where it lies outside."""
        value = min(self.high, max(self.low, value))
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return round((high - value) / (high - low) * (ROWS - 1)) if high > low else ROWS - 1


def _interpolated(rates: Sequence[float], values: Sequence[float], rate: float) -> float:
    """The value at `rate` (log10), linear between its neighbours in `rates`."""
    right = next((index for index, known in enumerate(rates) if known >= rate), len(rates) - 1)
    left = max(0, right - 1)
    span = rates[right] - rates[left]
    return values[left] + (values[right] - values[left]) * (min(1.0, (rate - rates[left]) / span) if span else 0.0)


def _labels(names: Sequence[str]) -> list[str]:
    return [names[0], *[""] * (ROWS - 2), names[1]]


def _axis(answer: Answer, at: _Columns, signs: Signs) -> str:
    axis = [signs.axis] * at.n
    if safe := answer.safe_range:  # null where too many trials diverge at the best rate itself
        for column in range(at.of(safe.low), at.of(safe.high) + 1):
            axis[column] = signs.safe
    if answer.learning_rate is not None:
        axis[at.of(answer.learning_rate)] = signs.best
    return "".join(axis)


def _ticks(at: _Columns) -> str:
    """The labels of the axis: the powers of ten in the range, or its ends where it holds none."""
    exponents = range(math.ceil(at.low - 1e-9), math.floor(at.high + 1e-9) + 1)
    marks = {at.of(10.0**exponent): f"{10.0**exponent:g}" for exponent in exponents} or {
        0: f"{10**at.low:.2g}",
        at.n - 1: f"{10**at.high:.2g}",
    }
    line = ""
    for column, name in sorted(marks.items()):
        start = max(0, min(column - len(name) // 2, at.n - len(name)))
        if start > len(line) or not line:
            line = line.ljust(start) + name
    return line
