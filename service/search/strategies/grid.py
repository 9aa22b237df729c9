"""Grid search. Optuna's GridSampler is not used: it duplicates points under parallel workers and loses those that crash."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import assert_never

from optuna.samplers import BaseSampler

from service.domain.meaning import Meaning
from service.domain.request import MAX_TRIALS, JobRequest
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
from service.domain.spec import JobSpec
from service.domain.steps import spaced, steps
from service.errors import Invalid, pointer
from service.search.samplers import at_random
from service.search.sampling import Proposal, at_point
from service.search.snapshot import StudySnapshot
from service.search.strategies.protocol import Strategy

MAX_POINTS = 100_000


class GridProblem(ValueError):
    """A range that does not define a finite grid; `parameter` names it."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class Grid(Strategy):
    """Every grid point once with each of its training seeds."""

    needs_history = False
    counts_points = True

    def check(self, request: JobRequest, space: SearchSpace, meaning: Meaning) -> Iterator[Invalid]:
        if request.try_first:
            yield Invalid("/try_first", "a grid visits exactly its own points: add these to the ranges, or use another strategy")
        try:
            n_points = size(space)
        except GridProblem as problem:
            yield Invalid(pointer("search_space", problem.parameter), str(problem))
            return
        if n_points > MAX_POINTS:
            yield Invalid(
                "/search_space",
                f"the grid has {n_points} points, more than {MAX_POINTS}: use fewer points, or the random strategy",
            )
        elif n_points * request.replicates > MAX_TRIALS:
            detail = f"{n_points} points with {request.replicates} seeds each are more than {MAX_TRIALS} trials"
            yield Invalid("/replicates", detail)

    def n_points(self, space: SearchSpace) -> int:
        return size(space)

    def axis(self, name: str, dimension: Range) -> list[Scalar]:
        return axis(name, dimension)

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        return at_random(job_seed, number)  # only for the open parameters of trials that a foreign script has enqueued

    def propose(self, spec: JobSpec, snapshot: StudySnapshot, *, number: int, next_point: int, first_number: int = 0) -> Proposal:
        index, replicate = divmod(next_point, spec.replicates)
        proposal = at_point(spec, number, point(spec.search_space, spec.seed, index), replicate)
        return replace(proposal, takes_point=True, grid_point=index)


def size(space: SearchSpace) -> int:
    """The number of points of the grid over `space`.

    Raises GridProblem for a continuous range without a step or a number of points.
    """
    return math.prod(_count(name, dimension) for name, dimension in searched(space).items())


def point(space: SearchSpace, seed: int, index: int) -> Point:
    """The point at `index` of the grid, in an order drawn from `seed`: a smaller budget gets a random subset, not a corner."""
    ranges = searched(space)
    axes = [axis(name, dimension) for name, dimension in ranges.items()]
    position = _order(math.prod(map(len, axes)), seed)[index]
    values: list[Scalar] = []
    for values_of_axis in reversed(axes):
        position, offset = divmod(position, len(values_of_axis))
        values.append(values_of_axis[offset])
    return dict(zip(ranges, reversed(values), strict=True))


def axis(name: str, dimension: Range) -> list[Scalar]:
    """The grid values of one parameter: ascending with both ends for numbers, all choices in their order for categories."""
    match dimension:
        case CategoricalRange():
            return list(dimension.choices)
        case IntRange(points=int(points)):
            return sorted({round(value) for value in _spaced(dimension, points)})  # there may be more points than integers
        case IntRange():
            return list(range(dimension.low, dimension.high + 1, dimension.step))
        case FloatRange(points=int(points)):
            return sorted(set(_spaced(dimension, points)))  # points may be so close together that some are equal
        case FloatRange(step=float(step)):
            return list(steps(dimension.low, dimension.high, step))
        case FloatRange():
            raise GridProblem(name, "a grid over a continuous range needs a step, or a number of points")
    assert_never(dimension)


def _count(name: str, dimension: Range) -> int:
    values = discrete_values(dimension)
    if values is None or (isinstance(dimension, IntRange) and dimension.points is not None):
        return len(axis(name, dimension))
    return values


def _spaced(dimension: FloatRange | IntRange, points: int) -> Sequence[float]:
    return spaced(float(dimension.low), float(dimension.high), points, log=dimension.log)


@lru_cache(maxsize=16)
def _order(count: int, seed: int) -> list[int]:
    # By hashes instead of a library's random generator, so that all versions of workers get the same order.
    return sorted(range(count), key=lambda index: hashlib.sha256(f"{seed}/{index}".encode()).digest())
