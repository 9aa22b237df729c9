"""How a trial ends that a client has trained: judged from its stored steps, once."""

import math
from collections.abc import Mapping
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


def store_end(conn: sa.Connection, holder: TokenHolder, claim: Claim, end: End, *, lease_s: float) -> Ended:
    """Judge a trial by the steps of this attempt, and of those that it has resumed from. Raises LeaseLost."""
    upto = max(holder.last_step or 0, holder.from_step or 0)
    steps = [item for item in measurements.of_trial(conn, claim.lease.trial_id) if item.step <= upto]
    untold = [] if steps or end.value is None else [alone(claim, end.value)]
    curve = curve_of(claim, steps or untold)
    result = _result(conn, claim, curve, end)
    spec, objective = claim.job.phase.spec, external_objective(claim.job.spec.objective.model_dump(mode="json"))
    noted = notes(result, curve, objective, spec, claim.lease, claim.params)
    state = finish(conn, claim.lease, result, lease_s=lease_s, measurements=untold, notes=noted)
    return Ended(result=_NAMES[type(result)], value=_value(result), state=state)


def became_of(conn: sa.Connection, run: Run) -> Ended:
    """What became of a trial that has ended. Raises JobNotFound, TrialNotFound."""
    job = jobs.get(conn, run.job_id)
    trial = trial_reader.get(conn, job, run.number)
    value = trial.value if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else None
    return Ended(result=_RESULTS[trial.state], value=value, state=job.state)


def _result(conn: sa.Connection, claim: Claim, curve: Curve, end: End) -> Result:
    if curve.divergence is not None:
        return curve.divergence
    mark = trials.system_attr(conn, claim.lease.trial_id, PRUNE)
    if isinstance(mark, str):
        last = measurements.newest(conn, claim.lease.trial_id)  # an earlier attempt may have come further than this one
        if last is None:
            return Failed(error=TrialError(type="TimeLimit", message=f"nothing was measured within {mark}"))
        return curve.ended_at(last, stopped_by=mark, user_attrs=end.user_attrs)
    if mark is not None and curve.last is not None:
        return curve.ended_at(curve.last, user_attrs=end.user_attrs)
    if end.error is not None:
        return Failed(error=end.error)
    return curve.completed(end.test_metrics, {}, value=end.value, user_attrs=end.user_attrs)


def _value(result: Result) -> float | None:
    value = result.value if isinstance(result, Completed | Pruned) else math.nan
    return value if math.isfinite(value) else None
