"""The first points of a job, before there is one: the same samplers on a study that exists only here."""

import math
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from service.dispatch import grid
from service.dispatch.samplers import distribution, silenced
from service.dispatch.sampling import propose
from service.dispatch.study_cache import StudySnapshot
from service.domain.job import Direction, JobSpec
from service.domain.space import IntRange, Point, Range, fixed, searched
from service.domain.strategy import Grid

FIRST_POINTS = 5


def first_points(spec: JobSpec, direction: Direction) -> list[Point]:
    """The points of the first trials, all parameters each.

    Up to five, which lie within the start-up of every sampler: they do not depend on results.
    """
    space = spec.search_space or {}
    trials = spec.budget.trials if spec.budget else None
    count = FIRST_POINTS if trials is None else min(FIRST_POINTS, trials)
    if isinstance(spec.strategy, Grid):
        return [fixed(space) | grid.point(space, spec.seed, index) for index in range(count)]
    snapshot = StudySnapshot(trials=[], attrs={})
    points: list[Point] = []
    for number in range(count):
        waiting = _enqueued(number, spec.try_first[number]) if number < len(spec.try_first) else None
        proposal = propose(spec, direction, snapshot, number=number, waiting=waiting)
        points.append(fixed(space) | proposal.point)
        snapshot = StudySnapshot(
            trials=[*snapshot.trials, _completed(number, proposal.point, searched(space))],
            attrs=snapshot.attrs | dict(proposal.study_attrs),
        )
    return points


def epochs_per_trial(spec: JobSpec) -> tuple[float, int] | None:
    """The epochs that one trial trains, on average over the search space and at most; None when the objective has none."""
    dimension = (spec.search_space or {}).get("epochs")
    if isinstance(dimension, IntRange) and not isinstance(spec.strategy, Grid):
        low, high = dimension.low, dimension.high
        mean = (high - low) / math.log(high / low) if dimension.log else (low + high) / 2
        return mean, high
    values = grid.axis("epochs", dimension) if isinstance(dimension, Range) else [dimension]
    numbers = [value for value in values if isinstance(value, int)]
    return (sum(numbers) / len(numbers), max(numbers)) if numbers else None


def _enqueued(number: int, point: Point) -> FrozenTrial:
    return FrozenTrial(
        trial_id=number,
        number=number,
        state=TrialState.WAITING,
        value=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={"fixed_params": dict(point)},
        intermediate_values={},
        datetime_start=None,
        datetime_complete=None,
    )


def _completed(number: int, point: Point, ranges: dict[str, Range]) -> FrozenTrial:
    now = datetime.now()
    with silenced():
        distributions = {name: distribution(dimension) for name, dimension in ranges.items()}
    return FrozenTrial(
        trial_id=number,
        number=number,
        state=TrialState.COMPLETE,
        value=0.0,
        params=dict(point),
        distributions=distributions,
        user_attrs={},
        system_attrs={"constraints": [-1.0]},
        intermediate_values={},
        datetime_start=now,
        datetime_complete=now,
    )
