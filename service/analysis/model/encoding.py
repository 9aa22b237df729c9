"""Parameters as coordinates, in which a statistical model measures distances.

A parameter with a logarithmic scale, or searched on one, is encoded by its logarithm; a decay m by log(1 - m), since 1 / (1 - m)
is the number of updates that it averages over; words and booleans are one-hot.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.domain.meaning import Meaning, ParameterMeaning, Role, Scale
from service.domain.space import (
    CategoricalRange,
    FloatRange,
    IntRange,
    Point,
    Range,
    Scalar,
    SearchSpace,
    discrete_values,
    searched,
)
from service.domain.steps import nearest_step

Array = npt.NDArray[np.float64]

FARTHEST = 1.5
"""Foreign values farther from the middle of the range than this, in parts of the range, are left out."""

LARGEST_RATE = 1e100
"""Larger rates are nonsense that a foreign script wrote."""
LARGEST_DECAY = 0.9999
"""Larger decays count as this one: log(1 - m) has no limit at 1."""
SHIFT_SD = 0.2
"""Least standard deviation of a declared shift, in decades, however short the range."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """The normal prior of a shift, in decades."""

    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One searched parameter beside the learning rate, as one or more columns of coordinates between 0 and 1."""

    name: str
    range: Range
    known: ParameterMeaning
    """What its objective declares about it."""

    @cached_property
    def _choices(self) -> tuple[Scalar, ...]:
        return tuple(self.range.choices) if isinstance(self.range, CategoricalRange) else ()

    @cached_property
    def is_ordered(self) -> bool:
        """Whether its values are numbers; words and booleans have no order."""
        return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in self._choices)

    @property
    def width(self) -> int:
        """Its number of columns."""
        return 1 if self.is_ordered else len(self._choices)

    @property
    def shift(self) -> "Shift":
        """The prior on how many decades a coordinate shifts the rate."""
        if not self.is_ordered:
            return Shift(mean=0.0, sd=1.0)
        low, high = self._scaled_ends
        known = self.known.rate_shift
        if known is None or self._scale != self.known.scale:
            return Shift(mean=0.0, sd=0.5)
        # The shifted rate is relative to the best one: it falls as the best one rises.
        return Shift(mean=-known.power * (high - low), sd=SHIFT_SD + known.sd * (high - low))

    def encode(self, value: Scalar) -> list[float] | None:
        """The coordinates of a value, (width,); None for one that the parameter cannot have, as from a foreign script."""
        if not self.is_ordered:
            return [float(type(choice) is type(value) and choice == value) for choice in self._choices]
        number = finite(value)
        if number is None:
            return None
        low, high = self._scaled_ends
        part = (self._scaled(number) - low) / (high - low) if high > low else 0.0
        return [part] if abs(part - 0.5) <= FARTHEST else None

    def decode(self, coordinates: Array) -> Scalar:
        """The value at coordinates, (width,): the nearest possible one, to three digits where there is no step."""
        if not self.is_ordered:
            return self._choices[int(coordinates.argmax())]
        number = float(self._at(coordinates[:1])[0])
        match self.range:
            case CategoricalRange():
                return min(self.range.choices, key=lambda choice: abs(float(choice) - number))
            case IntRange():
                return round(number)
            case FloatRange(step=float(step)):
                return nearest_step(self.range.low, self.range.high, step, number)
            case FloatRange():
                return min(max(self._to_three_digits(number), self.range.low), self.range.high)

    def candidates(self, parts: Array) -> Array:
        """Coordinates, (n, width), of values at `parts` of the range, numbers from 0 to 1, (n,)."""
        if self._choices:
            rows = np.array([self.encode(choice) for choice in self._choices], dtype=float)
            indices = np.minimum((parts * len(rows)).astype(int), len(rows) - 1)
            chosen: Array = rows[indices]
            return chosen
        if isinstance(self.range, FloatRange) and self.range.step is None:
            return parts[:, None]
        low, high = self._scaled_ends
        numbers = [self._scaled(float(number)) for number in self._at(parts)]
        return (np.array(numbers)[:, None] - low) / ((high - low) or 1.0)

    def _at(self, parts: Array) -> Array:
        """The numbers at parts of the scaled range, rounded to steps, (n,)."""
        low, high = self._scaled_ends
        numbers: Array = low + parts * (high - low)
        if self._scale == "decay":
            numbers = 1 - 10**-numbers
        elif self._scale == "log":
            numbers = 10**numbers
        count = discrete_values(self.range)
        if isinstance(self.range, CategoricalRange) or self.range.step is None or count is None:
            return numbers
        steps = np.clip(np.round((numbers - self.range.low) / self.range.step), 0, count - 1)
        return self.range.low + steps * self.range.step

    def _to_three_digits(self, number: float) -> float:
        low, high = self._ends
        if self._scale == "decay":
            return round(1 - float(f"{1 - number:.3g}"), 12)
        if self._scale == "log" and high > 2 * low:
            return float(f"{number:.3g}")
        return number if high <= low else round(number, 3 - math.floor(math.log10(high - low)))

    @cached_property
    def _ends(self) -> tuple[float, float]:
        if isinstance(self.range, CategoricalRange):
            numbers = [float(choice) for choice in self._choices if not isinstance(choice, str)]
            return min(numbers), max(numbers)
        return float(self.range.low), float(self.range.high)

    @cached_property
    def _scaled_ends(self) -> tuple[float, float]:
        low, high = self._ends
        return self._scaled(low), self._scaled(high)

    @cached_property
    def _scale(self) -> Scale:
        """The declared scale where the range allows it."""
        low, high = self._ends
        if self.known.scale == "decay" and low >= 0 and high <= 1:
            return "decay"
        return "log" if low > 0 and (self.known.scale == "log" or getattr(self.range, "log", False)) else "linear"

    def _scaled(self, value: float) -> float:
        match self._scale:
            case "decay":
                return -math.log10(1 - min(max(value, 0.0), LARGEST_DECAY))
            case "log":
                return math.log10(max(value, self._ends[0] / 1e3))
            case "linear":
                return value


def low_discrepancy(n: int, dimensions: int, random: np.random.Generator) -> Array:
    """Numbers from 0 to 1 that fill their space evenly: a scrambled Sobol sequence, (n, dimensions). n: a power of two."""
    from scipy.stats import qmc  # takes a second, which would slow every start of the API

    points: Array = qmc.Sobol(dimensions, rng=random).random(n)
    return points


def axes(space: SearchSpace, meaning: Meaning) -> list[Axis]:
    """The parameters searched other than the learning rate."""
    return [
        Axis(name=name, range=dimension, known=meaning.of(name))
        for name, dimension in searched(space).items()
        if name != meaning.named(Role.LEARNING_RATE)
    ]


def encode(point: Point, among: list[Axis]) -> list[float] | None:
    """The coordinates of a point; None where a parameter is missing or has an impossible value."""
    coordinates: list[float] = []
    for axis in among:
        value = point.get(axis.name)
        encoded = None if value is None else axis.encode(value)
        if encoded is None:
            return None
        coordinates += encoded
    return coordinates


def decode(coordinates: Array, among: list[Axis]) -> dict[str, Scalar]:
    """The point at coordinates, (columns,)."""
    ends = np.cumsum([axis.width for axis in among])
    return {axis.name: axis.decode(coordinates[end - axis.width : end]) for axis, end in zip(among, ends, strict=True)}


def learning_rate(point: Point, meaning: Meaning) -> float | None:
    """The learning rate of a point; None where a foreign script gave none, or no number under that name."""
    return finite(meaning.value(Role.LEARNING_RATE, point))


def has_rate(point: Point, meaning: Meaning) -> bool:
    """Whether its rate is positive and sensible; a foreign script, or a range from 0 on, may have tried another."""
    rate = learning_rate(point, meaning)
    return rate is not None and 0 < rate <= LARGEST_RATE


def finite(value: object) -> float | None:
    """`value` as a finite number; None if it is no number, or too large."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
