"""Parameters as coordinates: what a statistical model may take as near and far.

Learning rates, batch sizes and whatever is searched on a logarithmic scale count by their logarithm; momentum and the betas of
Adam by log(1 - m), since 1 / (1 - m) is how many updates they average over; words and booleans by being the same or not.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.domain.space import CategoricalRange, IntRange, Point, Range, Scalar, SearchSpace, searched

Array = npt.NDArray[np.float64]

LEARNING_RATE = "learning_rate"
DECAYS = frozenset({"momentum", "beta1", "beta2", "alpha"})
"""Parameters that say how much of an average is kept from update to update."""

FARTHEST = 1.5
"""A foreign value farther from the middle of its range, in parts of the range, says nothing of what lies within."""

LARGEST_DECAY = 0.9999
"""What is above counts as this: the logarithm has no end at 1."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """What is thought of a shift: normal, in decades."""

    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One searched parameter beside the learning rate, as one or more columns of coordinates between 0 and 1."""

    name: str
    range: Range

    @property
    def _choices(self) -> tuple[Scalar, ...]:
        return tuple(self.range.choices) if isinstance(self.range, CategoricalRange) else ()

    @property
    def is_ordered(self) -> bool:
        """Whether its values are numbers, which have a scale; words and booleans have none."""
        return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in self._choices)

    @property
    def width(self) -> int:
        """How many columns it takes."""
        return 1 if self.is_ordered else len(self._choices)

    @property
    def shift(self) -> "Shift":
        """By how many decades a coordinate shifts the rate that counts, as far as one knows before any trial."""
        low, high = (self._scaled(end) for end in self._ends()) if self.is_ordered else (0.0, 0.0)
        if self.name == "momentum" and self._is_decay:
            return Shift(mean=high - low, sd=0.2 + 0.2 * (high - low))
        if self.name == "batch_size":
            return Shift(mean=-0.75 * (high - low), sd=0.2 + 0.35 * (high - low))
        return Shift(mean=0.0, sd=0.5 if self.is_ordered else 1.0)

    def encode(self, value: Scalar) -> list[float] | None:
        """The coordinates of a value; None for what the parameter cannot be, as a foreign script may have it."""
        if not self.is_ordered:
            return [float(type(choice) is type(value) and choice == value) for choice in self._choices]
        number = finite(value)
        if number is None:
            return None
        low, high = (self._scaled(end) for end in self._ends())
        part = (self._scaled(number) - low) / (high - low) if high > low else 0.0
        return [part] if abs(part - 0.5) <= FARTHEST else None

    def decode(self, coordinates: Array) -> Scalar:
        """The value at coordinates, (width,): the nearest that may be tried, of numbers to three digits."""
        if not self.is_ordered:
            return self._choices[int(coordinates.argmax())]
        low, high = (self._scaled(end) for end in self._ends())
        number = self._unscaled(low + float(coordinates[0]) * (high - low))
        if isinstance(self.range, CategoricalRange):
            return min(self.range.choices, key=lambda choice: abs(float(choice) - number))
        if self.range.step is not None:
            number = self.range.low + round((number - self.range.low) / self.range.step) * self.range.step
        if isinstance(self.range, IntRange):
            return min(max(round(number), self.range.low), self.range.high)
        return min(max(float(f"{number:.3g}"), self.range.low), self.range.high)

    def candidates(self, parts: Array) -> Array:
        """Values spread over the range by `parts`, numbers from 0 to 1: their coordinates, (n, width)."""
        if not self._choices:
            return parts[:, None]
        rows = np.array([self.encode(choice) for choice in self._choices], dtype=float)
        indices = np.minimum((parts * len(rows)).astype(int), len(rows) - 1)
        chosen: Array = rows[indices]
        return chosen

    def _ends(self) -> tuple[float, float]:
        if isinstance(self.range, CategoricalRange):
            numbers = [float(choice) for choice in self._choices if not isinstance(choice, str)]
            return min(numbers), max(numbers)
        return float(self.range.low), float(self.range.high)

    @property
    def _is_decay(self) -> bool:
        low, high = self._ends()
        return self.name in DECAYS and low >= 0 and high <= 1

    @property
    def _is_log(self) -> bool:
        return self._ends()[0] > 0 and (self.name == "batch_size" or getattr(self.range, "log", False))

    def _unscaled(self, value: float) -> float:
        if self._is_decay:
            return 1 - 10**-value
        return 10**value if self._is_log else value

    def _scaled(self, value: float) -> float:
        if self._is_decay:
            return -math.log10(1 - min(max(value, 0.0), LARGEST_DECAY))
        return math.log10(max(value, self._ends()[0] / 1e3)) if self._is_log else value


def low_discrepancy(n: int, dimensions: int, random: np.random.Generator) -> Array:
    """Numbers from 0 to 1 that fill their space evenly: a scrambled Sobol sequence, (n, dimensions). n: a power of two."""
    from scipy.stats import qmc  # takes a second, which the API would spend whenever it starts

    points: Array = qmc.Sobol(dimensions, rng=random).random(n)
    return points


def axes(space: SearchSpace) -> list[Axis]:
    """What is searched beside the learning rate."""
    return [Axis(name=name, range=dimension) for name, dimension in searched(space).items() if name != LEARNING_RATE]


def encode(point: Point, among: list[Axis]) -> list[float] | None:
    """The coordinates of a point; None where it lacks a parameter or has one that cannot be."""
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


def learning_rate(point: Point) -> float | None:
    """None where a foreign script gave none, or something else under that name."""
    return finite(point.get(LEARNING_RATE))


def finite(value: object) -> float | None:
    """`value` as a number; None for what is none, or too large for one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
