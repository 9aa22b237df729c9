"""From a study to the next point: Optuna's sampler thinks on a view in memory, and nothing is written."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from service.domain.space import Point, searched
from service.domain.spec import JobSpec
from service.domain.trial import Param
from service.search.pruners import pruner
from service.search.samplers import at_random, distribution, keep_space, silenced, view_name
from service.search.sampling_view import SamplingView
from service.search.snapshot import EMPTY, StudySnapshot


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A point to try, and what the sampler wants kept of its thinking."""

    number: int
    """The trial number it was drawn for."""
    waiting_trial_id: int | None = None
    """The enqueued trial whose open parameters it fills."""
    params: Sequence[Param]
    point: Point
    trial_attrs: Mapping[str, Any] = field(default_factory=dict)
    study_attrs: Mapping[str, Any] = field(default_factory=dict)
    sampler_error: str | None = None
    """Why the sampler raised, when it did; the point was drawn at random then."""
    replicate: int = 0
    """Which replicate of its point it is."""
    grid_point: int | None = None
    """The index of its point in a grid."""
    takes_point: bool = False
    """Whether it is the next of the points that the job's row counts."""


class Unsampleable(Exception):
    """No point can be drawn from a job's search space, not even at random; the message says what was tried."""


def propose(
    spec: JobSpec,
    snapshot: StudySnapshot,
    sampler: Callable[[int, int], BaseSampler],
    *,
    number: int,
    waiting: FrozenTrial | None = None,
) -> Proposal:
    """Ask a sampler for the trial `number`, or for what the enqueued trial `waiting` leaves open.

    A sampler that raises does not stop the job: that one trial is drawn at random, what was enqueued kept if it can be.
    sampler: makes one, from the job's seed and the trial's number. Raises Unsampleable when that cannot be done either.
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
    """The ranges of the job's space as Optuna knows them, in the order in which it is asked."""
    with silenced():
        return {name: distribution(dimension) for name, dimension in searched(spec.search_space).items()}


def stored_params(spec: JobSpec, point: Point) -> list[Param]:
    """A point of the job's space as Optuna stores it, in the order in which Optuna is asked."""
    return [_param(name, known, point[name]) for name, known in distributions(spec).items() if name in point]


def at_point(spec: JobSpec, number: int, point: Point, replicate: int) -> Proposal:
    """The trial `number` at a point that is known."""
    return Proposal(number=number, params=stored_params(spec, point), point=point, replicate=replicate)


def point_of(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> Point | None:
    """The point of the job's space that a trial tries; None for a foreign trial with a space of its own."""
    if any(trial.distributions.get(name) != known for name, known in space.items()):
        return None
    return {name: trial.params[name] for name in space}


def _at_random(spec: JobSpec, number: int, waiting: FrozenTrial | None) -> Proposal:
    chosen = at_random(spec.seed, number)
    if waiting is None:
        return _ask(spec, EMPTY, chosen, number, None)
    try:
        return _ask(spec, EMPTY, chosen, number, waiting)
    except Exception:  # it was enqueued with a value that the parameter cannot take
        return replace(_ask(spec, EMPTY, chosen, number, None), waiting_trial_id=waiting._trial_id)


def _ask(spec: JobSpec, snapshot: StudySnapshot, chosen: BaseSampler, number: int, waiting: FrozenTrial | None) -> Proposal:
    others = snapshot.trials
    if waiting is not None:
        others = [trial for trial in others if trial._trial_id != waiting._trial_id]
    view = SamplingView(
        name=view_name(spec.seed),
        direction=spec.direction,
        # Other enqueued trials are not this ask's to start.
        trials=[trial for trial in others if trial.state != optuna.trial.TrialState.WAITING],
        next_number=number,
        study_attrs=snapshot.attrs,
        own=copy.deepcopy(waiting),  # Optuna notes in it what it suggests
    )
    if snapshot.space is not None:
        keep_space(chosen, snapshot.space)
    space = distributions(spec)
    with silenced():
        study = optuna.study.Study(study_name=view_name(spec.seed), storage=view, sampler=chosen, pruner=pruner(spec.pruner))
        study.ask(space)
    assert view.own is not None
    point = {name: view.own.params[name] for name in space}
    return Proposal(
        number=number,
        waiting_trial_id=waiting._trial_id if waiting else None,
        params=[_param(name, space[name], value) for name, value in point.items()],
        point=point,
        # What multivariate samplers note about their own thinking is of no use once the params are fixed.
        trial_attrs={key: value for key, value in view.written_trial_attrs.items() if not key.startswith(("tpe:", "gp:"))},
        study_attrs=view.written_study_attrs,
    )


def _param(name: str, known: BaseDistribution, value: Any) -> Param:
    return Param(name=name, value=known.to_internal_repr(value), distribution=distribution_to_json(known))
