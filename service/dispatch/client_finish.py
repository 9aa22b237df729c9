"""How a trial ends that a client has trained: judged from its stored steps, once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from objectives.external import external_objective
from service.dispatch.attempt import Claim
from service.dispatch.client_curve import alone, curve_of
from service.dispatch.clients import Run
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Curve, Failed, Infeasible, Pruned, Result, notes
from service.dispatch.renew import PRUNE
from service.domain.job import JobState
from service.domain.measurement import Measurement
from service.domain.trial import TrialError, TrialState
from service.store import jobs, measurements, trial_reader, trials
from service.store.tokens import TokenHolder


@dataclass(frozen=True, kw_only=True)
class End:
    """How a client ends a trial."""

    value: float | None = None
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    test_metrics: Mapping[str, float] = field(default_factory=dict)
    error: TrialError | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of a trial."""

    result: Literal["completed", "infeasible", "pruned", "failed"]
    value: float | None
    """None where it has none that is finite."""
    state: JobState
    """Of the job."""


_NAMES: Mapping[type[Result], Literal["completed", "infeasible", "pruned", "failed"]] = {
    Completed: "completed",
    Infeasible: "infeasible",
    Pruned: "pruned",
    Failed: "failed",
}
_RESULTS: Mapping[TrialState, Literal["completed", "infeasible", "pruned", "failed"]] = {
    TrialState.COMPLETE: "completed",
    TrialState.INFEASIBLE: "infeasible",
    TrialState.PRUNED: "pruned",
    TrialState.FAILED: "failed",
}


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What is stored of a trial that is to be judged: the steps of this attempt, and of those that it has resumed from."""

    claim: Claim
    steps: Sequence[Measurement]
    newest: Measurement | None
    """An earlier attempt may have come further than this one."""
    mark: Any
    """That the trial was ended early; text: by what, if not by the pruner."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The result of a trial, to be stored."""

    claim: Claim
    result: Result
    untold: Sequence[Measurement]
    notes: Mapping[str, Any]


def read_trained(conn: sa.Connection, holder: TokenHolder, claim: Claim) -> Trained:
    """What is judged of a trial. The caller has seen that its lease is open."""
    upto, stored = max(holder.last_step or 0, holder.from_step or 0), measurements.of_trial(conn, claim.lease.trial_id)
    return Trained(
        claim=claim,
        steps=[item for item in stored if item.step <= upto],
        newest=measurements.newest(conn, claim.lease.trial_id),
        mark=trials.system_attr(conn, claim.lease.trial_id, PRUNE),
    )


def judge(trained: Trained, end: End) -> Judged:
    """Judge a trial, with no transaction open: for a hundred thousand steps that takes seconds."""
    claim = trained.claim
    untold = [] if trained.steps or end.value is None else [alone(claim, end.value)]
    curve = curve_of(claim, trained.steps or untold)
    result = _result(trained, curve, end)
    spec, objective = claim.job.phase.spec, external_objective(claim.job.spec.objective.model_dump(mode="json"))
    noted = notes(result, curve, objective, spec, claim.lease, claim.params)
    return Judged(claim=claim, result=result, untold=untold, notes=noted)


def store_end(conn: sa.Connection, judged: Judged, *, lease_s: float) -> Ended:
    """Store the result of a trial. Raises LeaseLost."""
    result = judged.result
    state = finish(conn, judged.claim.lease, result, lease_s=lease_s, measurements=judged.untold, notes=judged.notes)
    return Ended(result=_NAMES[type(result)], value=_value(result), state=state)


def became_of(conn: sa.Connection, run: Run) -> Ended:
    """What became of a trial that has ended. Raises JobNotFound, TrialNotFound."""
    job = jobs.get(conn, run.job_id)
    trial = trial_reader.get(conn, job, run.number)
    value = trial.value if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else None
    return Ended(result=_RESULTS[trial.state], value=value, state=job.state)


def _result(trained: Trained, curve: Curve, end: End) -> Result:
    if curve.divergence is not None:
        return curve.divergence
    mark = trained.mark
    if isinstance(mark, str):
        if trained.newest is None:
            return Failed(error=TrialError(type="TimeLimit", message=f"nothing was measured within {mark}"))
        return curve.ended_at(trained.newest, stopped_by=mark, user_attrs=end.user_attrs)
    if mark is not None and curve.last is not None:
        return curve.ended_at(curve.last, user_attrs=end.user_attrs)
    if end.error is not None:
        return Failed(error=end.error)
    return curve.completed(end.test_metrics, {}, value=end.value, user_attrs=end.user_attrs)


def _value(result: Result) -> float | None:
    value = result.value if isinstance(result, Completed | Pruned) else math.nan
    return value if math.isfinite(value) else None
