"""Grid search: our own, since Optuna's duplicates points under parallel workers and loses crashed ones."""

import hashlib
import itertools
import math
from functools import lru_cache
from typing import assert_never

from service.domain.space import CategoricalRange, FloatRange, IntRange, Point, Range, Scalar, SearchSpace, searched

MAX_POINTS = 100_000


class GridProblem(ValueError):
    """The range spans no finite grid; `parameter` says which one."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


def size(space: SearchSpace) -> int:
    """How many points the grid over `space` has.

    Raises GridProblem for a continuous range without a step or a number of points.
    """
    return math.prod(_count(name, dimension) for name, dimension in searched(space).items())


def point(space: SearchSpace, seed: int, index: int) -> Point:
    """The `index`-th point of the grid, in an order drawn from `seed`: a grid cut short is a random subset, not a corner."""
    ranges = searched(space)
    axes = [axis(name, dimension) for name, dimension in ranges.items()]
    position = _order(math.prod(map(len, axes)), seed)[index]
    values: list[Scalar] = []
    for values_of_axis in reversed(axes):
        position, offset = divmod(position, len(values_of_axis))
        values.append(values_of_axis[offset])
    return dict(zip(ranges, reversed(values), strict=True))


def axis(name: str, dimension: Range) -> list[Scalar]:
    """The values a grid takes along one parameter, ascending, ends included."""
    match dimension:
        case CategoricalRange():
            return list(dimension.choices)
        case IntRange(points=None):
            return list(range(dimension.low, dimension.high + 1, dimension.step))
        case IntRange():
            return sorted({round(value) for value in _spaced(dimension)})
        case FloatRange(step=None, points=None):
            raise GridProblem(name, "a grid over a continuous range needs a step, or a number of points")
        case FloatRange(step=None):
            return list(_spaced(dimension))
        case FloatRange():
            assert dimension.step is not None
            count = _steps(dimension.low, dimension.high, dimension.step)
            return [min(dimension.low + index * dimension.step, dimension.high) for index in range(count)]
    assert_never(dimension)


def _count(name: str, dimension: Range) -> int:
    # Without listing the values: a range of whole numbers may be astronomically long.
    if isinstance(dimension, IntRange) and dimension.points is None:
        return (dimension.high - dimension.low) // dimension.step + 1
    if isinstance(dimension, FloatRange) and dimension.step is not None:
        return _steps(dimension.low, dimension.high, dimension.step)
    return len(axis(name, dimension))


def _steps(low: float, high: float, step: float) -> int:
    return math.floor((high - low) / step + 1e-9) + 1


def _spaced(dimension: FloatRange | IntRange) -> list[float]:
    assert dimension.points is not None
    low, high, last = float(dimension.low), float(dimension.high), dimension.points - 1
    between = (
        (low * (high / low) ** (index / last) if dimension.log else low + (high - low) * index / last) for index in range(1, last)
    )
    return list(itertools.chain([low], between, [high]))


@lru_cache(maxsize=16)
def _order(count: int, seed: int) -> list[int]:
    # By hashes and not by a library's generator: workers of different versions must agree on it for ever.
    return sorted(range(count), key=lambda index: hashlib.sha256(f"{seed}/{index}".encode()).digest())
