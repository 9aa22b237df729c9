"""Which points to train again with fresh seeds, before one of them is answered."""

from collections.abc import Iterator, Sequence

import numpy as np

from service.analysis.model.encoding import Array
from service.analysis.model.exact_values import exactly, other_values, trained_at
from service.analysis.model.observations import Observations, observe
from service.analysis.model.pruned_trials import Curves
from service.analysis.model.response_curve import FEWEST as FEWEST_TRIALS
from service.analysis.model.response_curve import FEWEST_RATES, ResponseCurve
from service.analysis.one_thread import one_thread
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import CategoricalRange, FloatRange, IntRange, Point, Scalar, contains, searched
from service.domain.trial import Trial

USUALLY = 3
"""Candidates, on recorded training better than two and as good as four."""
FEWEST, MOST = 2, 4
RUNS = 3
"""With so many fresh runs for each of MOST candidates, there are so many candidates."""


def candidates(job: Job, trials: Sequence[Trial], curves: Curves, *, trials_left: int | None) -> list[Point]:
    """The points to retrain: the one that the response curve answers, the best trial's, and those of the next best trials.

    Two to four different points, each with all searched parameters, within the search space; fewer where fewer trained to their
    end. trials: the job's; those that are not finished are left out. trials_left: how many fresh runs there will be, None: not
    known.
    """
    with one_thread():
        found = list(_different(_promising(job, trials, curves), job))
    return found[: _how_many(trials_left)]


def _how_many(trials_left: int | None) -> int:
    if trials_left is None:
        return USUALLY
    return FEWEST if trials_left < USUALLY else MOST if trials_left >= RUNS * MOST else USUALLY


def _promising(job: Job, trials: Sequence[Trial], curves: Curves) -> Iterator[Point]:
    """The most promising points first; there may be invalid ones, and repeats."""
    seen = observe(job, trials, curves)
    if seen is None or not seen.complete.any():
        return
    points = np.column_stack([seen.rates, seen.others])[seen.complete]
    by_cost = np.argsort(seen.costs[seen.complete], kind="stable")
    order = by_cost
    if seen.complete.sum() >= FEWEST_TRIALS and seen.n_rates >= FEWEST_RATES and not seen.is_constant:
        curve = ResponseCurve(seen)
        at = curve.optimum.point
        yield trained_at(at, seen) or _untried(job, at, seen)
        order = np.argsort(curve.surface.roughly(points)[0], kind="stable")
    for number in [by_cost[0], *order]:
        yield seen.trained_points[number]


def _untried(job: Job, point: Array, seen: Observations) -> Point:
    """The parameters at a point of the model, (1 + columns,)."""
    name = job.spec.meaning.named(Role.LEARNING_RATE)
    return other_values(point, seen) | ({} if name is None else {name: _rate(job, exactly(job, 10 ** float(point[0])))})


def _rate(job: Job, rate: float) -> Scalar:
    """The value of the job's range that is nearest to a rate."""
    match job.spec.meaning.value(Role.LEARNING_RATE, job.search_space):
        case CategoricalRange() as dimension:
            numbers = [choice for choice in dimension.choices if isinstance(choice, int | float) and not isinstance(choice, bool)]
            return min(numbers, key=lambda choice: abs(choice - rate), default=rate)
        case IntRange():
            return round(rate)
        case FloatRange() as dimension:
            return min(max(rate, dimension.low), dimension.high)
    return rate


def _different(points: Iterator[Point], job: Job) -> Iterator[Point]:
    """Those that lie in the search space, each once, with the searched parameters alone."""
    ranges, before = searched(job.search_space), set()
    for params in points:
        point = {name: params[name] for name in ranges if name in params}
        if all(name in point and contains(dimension, point[name]) for name, dimension in ranges.items()):
            # Steps may differ by rounding.
            key = tuple(float(f"{value:.12g}") if isinstance(value, float) else value for value in point.values())
            if key not in before:
                before.add(key)
                yield point
