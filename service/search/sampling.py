"""From a study to the next point: Optuna's sampler runs on a view in memory, and nothing is written."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from service.domain.space import Point, as_written, searched
from service.domain.spec import JobSpec
from service.domain.trial import Param
from service.search.pruners import pruner
from service.search.samplers import at_random, distribution, keep_space, silenced, view_name
from service.search.sampling_view import SamplingView
from service.search.snapshot import EMPTY, StudySnapshot


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A point to try, and the attributes that the sampler writes."""

    number: int
    """The trial number for which it was drawn."""
    waiting_trial_id: int | None = None
    """The enqueued trial whose missing parameters it fills."""
    params: Sequence[Param]
    point: Point
    trial_attrs: Mapping[str, Any] = field(default_factory=dict)
    study_attrs: Mapping[str, Any] = field(default_factory=dict)
    sampler_error: str | None = None
    """The error that the sampler raised, if it did; the point was then drawn at random."""
    replicate: int = 0
    """The replicate index of the trial."""
    grid_point: int | None = None
    """The index of the point in a grid."""
    candidate: int | None = None
    """Which candidate it trains again, in a phase that confirms."""
    takes_point: bool = False
    """Whether the trial advances `next_point`, the counter of points in the job's row."""


class Unsampleable(Exception):
    """No point can be drawn from a job's search space, not even at random; the message holds the error."""


def propose(
    spec: JobSpec,
    snapshot: StudySnapshot,
    sampler: Callable[[int, int], BaseSampler],
    *,
    number: int,
    waiting: FrozenTrial | None = None,
) -> Proposal:
    """Ask a sampler for the point of trial `number`, or for the parameters that the enqueued trial `waiting` leaves open.

    A sampler that raises does not stop the job: the point is then drawn at random, and keeps the enqueued values if they are
    valid. Raises Unsampleable when that fails, too.

    sampler: makes a sampler from the job's seed and the trial's number.
    """
    number = waiting.number if waiting else number
    try:
        return _ask(spec, snapshot, sampler(spec.seed, number), number, waiting)
    except Exception as error:  # samplers are not ours, and neither are a foreign script's enqueued values
        try:
            proposal = _at_random(spec, number, waiting)
        except Exception as error_at_random:
            raise Unsampleable(f"{type(error_at_random).__name__}: {error_at_random}") from error
        return replace(proposal, sampler_error=f"{type(error).__name__}: {error}")


def distributions(spec: JobSpec) -> dict[str, BaseDistribution]:
    """The ranges of the job's space as Optuna's distributions, in the order in which Optuna samples them."""
    with silenced():
        return {name: distribution(dimension) for name, dimension in searched(spec.search_space).items()}


def stored_params(spec: JobSpec, point: Point) -> list[Param]:
    """A point of the job's space as Optuna stores it, in the order in which Optuna samples its parameters."""
    return stored_points(spec, [point])[0]


def stored_points(spec: JobSpec, points: Sequence[Point]) -> list[list[Param]]:
    """Each of the points as Optuna stores it."""
    space = distributions(spec)
    texts = {name: distribution_to_json(known) for name, known in space.items()}
    return [
        [
            Param(name=name, value=known.to_internal_repr(point[name]), distribution=texts[name])
            for name, known in space.items()
            if name in point
        ]
        for point in points
    ]


def at_point(spec: JobSpec, number: int, point: Point, replicate: int) -> Proposal:
    """The proposal of a given point for the trial `number`."""
    return Proposal(number=number, params=stored_params(spec, point), point=point, replicate=replicate)


def point_of(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> Point | None:
    """The point of the job's space that a trial tries; None for a foreign trial with a different space."""
    if any(trial.distributions.get(name) != known for name, known in space.items()):
        return None
    return {name: trial.params[name] for name in space}


def _at_random(spec: JobSpec, number: int, waiting: FrozenTrial | None) -> Proposal:
    chosen = at_random(spec.seed, number)
    if waiting is None:
        return _ask(spec, EMPTY, chosen, number, None)
    try:
        return _ask(spec, EMPTY, chosen, number, waiting)
    except Exception:  # an enqueued value is not valid for its parameter
        return replace(_ask(spec, EMPTY, chosen, number, None), waiting_trial_id=waiting._trial_id)


def _ask(spec: JobSpec, snapshot: StudySnapshot, chosen: BaseSampler, number: int, waiting: FrozenTrial | None) -> Proposal:
    others = snapshot.trials
    if waiting is not None:
        others = [trial for trial in others if trial._trial_id != waiting._trial_id]
    view = SamplingView(
        name=view_name(spec.seed),
        direction=spec.direction,
        # Optuna's `ask` would start another enqueued trial.
        trials=[trial for trial in others if trial.state != optuna.trial.TrialState.WAITING],
        next_number=number,
        study_attrs=snapshot.attrs,
        own=copy.deepcopy(waiting),  # Optuna writes the suggested values to it
    )
    if snapshot.space is not None:
        keep_space(chosen, snapshot.space)
    space = distributions(spec)
    with silenced():
        study = optuna.study.Study(study_name=view_name(spec.seed), storage=view, sampler=chosen, pruner=pruner(spec.pruner))
        study.ask(space)
    assert view.own is not None
    point = {name: as_written(dimension, view.own.params[name]) for name, dimension in searched(spec.search_space).items()}
    return Proposal(
        number=number,
        waiting_trial_id=waiting._trial_id if waiting else None,
        params=[_param(name, space[name], value) for name, value in point.items()],
        point=point,
        # Notes of multivariate samplers about how they drew a point are of no use once it is drawn.
        trial_attrs={key: value for key, value in view.written_trial_attrs.items() if not key.startswith(("tpe:", "gp:"))},
        study_attrs=view.written_study_attrs,
    )


def _param(name: str, known: BaseDistribution, value: Any) -> Param:
    return Param(name=name, value=known.to_internal_repr(value), distribution=distribution_to_json(known))
