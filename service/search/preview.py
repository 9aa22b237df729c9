"""A preview of a job for its dry run: the first points, from the same samplers on a study in memory, and the steps per trial."""

import math

from optuna.trial import FrozenTrial, TrialState

from service.domain.meaning import Role
from service.domain.objective import ExternalObjective
from service.domain.space import IntRange, Point, Range, fixed
from service.domain.spec import JobSpec
from service.domain.training_seeds import marks
from service.search.next_trial import points_to_try_first, propose_next
from service.search.sampling import Proposal, distributions
from service.search.sampling_view import MOMENT, unfinished_trial
from service.search.snapshot import EMPTY, StudySnapshot
from service.search.strategies import strategy_of

FIRST_POINTS = 5


def first_points(spec: JobSpec) -> list[Point]:
    """The points of the first trials, each with all parameters. A point with replicates is listed once for each of its trials.

    At most five: these lie within the start-up of every sampler, so they do not depend on results. Fewer where a bayesian job of
    few trials would repeat its best points earlier.
    """
    trials = None if spec.budget.trials is None else spec.budget.trials - (spec.budget.confirm or 0)
    count = FIRST_POINTS if trials is None else min(FIRST_POINTS, trials)
    strategy, snapshot = strategy_of(spec), EMPTY
    points: list[Point] = []
    first = points_to_try_first(spec)[:count]
    for number in range(count):
        if number >= len(first) and strategy.may_repeat(spec, number):
            break
        waiting = _enqueued(number, *first[number], spec.replicates) if number < len(first) else None
        proposal = propose_next(spec, snapshot, number=number, next_point=number - len(first), waiting=waiting)
        points.append(fixed(spec.search_space) | proposal.point)
        snapshot = StudySnapshot(
            trials=[*snapshot.trials, _completed(proposal, spec)],
            attrs=snapshot.attrs | dict(proposal.study_attrs),
        )
    return points


def steps_per_trial(spec: JobSpec) -> tuple[float, int] | None:
    """The steps of one trial: mean over the search space and maximum; None where nothing says how many there are."""
    if isinstance(spec.objective, ExternalObjective) and isinstance(spec.objective.steps, int):
        return spec.objective.steps, spec.objective.steps
    name = spec.meaning.named(Role.DURATION)
    dimension = None if name is None else spec.search_space.get(name)
    values = strategy_of(spec).axis(str(name), dimension) if isinstance(dimension, Range) else [dimension]
    if values is None and isinstance(dimension, IntRange):
        low, high = dimension.low, dimension.high
        mean = (high - low) / math.log(high / low) if dimension.log else (low + high) / 2
        return mean, high
    numbers = [value for value in values or () if isinstance(value, int)]
    return (sum(numbers) / len(numbers), max(numbers)) if numbers else None


def _enqueued(number: int, point: Point, replicate: int, replicates: int) -> FrozenTrial:
    attrs = {"fixed_params": point}
    return unfinished_trial(number, number, TrialState.WAITING, user_attrs=marks(replicate, replicates), system_attrs=attrs)


def _completed(proposal: Proposal, spec: JobSpec) -> FrozenTrial:
    return FrozenTrial(
        trial_id=proposal.number,
        number=proposal.number,
        state=TrialState.COMPLETE,
        value=0.0,
        params=dict(proposal.point),
        distributions=distributions(spec),
        user_attrs=dict(marks(proposal.replicate, spec.replicates)),
        system_attrs={"constraints": [-1.0], **proposal.trial_attrs},
        intermediate_values={},
        datetime_start=MOMENT,
        datetime_complete=MOMENT,
    )
