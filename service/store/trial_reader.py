"""Trials for the API and the answers: counts, pages, the best one. Reads Optuna's tables; nothing here writes or locks."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa

from service.domain.job import Job
from service.domain.lease import INTERRUPTED, Attempt, Outcome, TimeSpent
from service.domain.measurement import CurvePoint
from service.domain.space import Point, fixed
from service.domain.trial import Trial, TrialCounts, TrialError, TrialState
from service.errors import TrialNotFound
from service.store import leases, measurements
from service.store.trials import TrialRecord, read_trial, trials_of, trials_since

_INTERNAL_ATTRS = frozenset({"error", "diverged_at_step"})
"""User attributes that the API shows as fields of their own."""

# Python writes infinities, nan and NUL into JSON, which PostgreSQL cannot parse. A foreign script may store anything there: hence
# the check for valid JSON first, the strict path, and no error where it does not match.
_NUMBERS = "replace(replace(attribute.value_json, 'Infinity', '1e308'), 'NaN', '0')"
_VIOLATED = (
    "EXISTS (SELECT FROM optuna.trial_system_attributes AS attribute"
    " WHERE attribute.trial_id = trial.trial_id AND attribute.key = 'constraints'"
    f" AND CASE WHEN pg_input_is_valid({_NUMBERS}, 'jsonb')"
    f" THEN jsonb_path_exists({_NUMBERS}::jsonb, 'strict $[*] ? (@ > 0)', '{{}}', true) END)"
)

_STATE = (
    "CASE trial.state WHEN 'WAITING' THEN 'waiting' WHEN 'RUNNING' THEN 'running' WHEN 'PRUNED' THEN 'pruned'"
    f" WHEN 'FAIL' THEN 'failed' ELSE CASE WHEN {_VIOLATED} THEN 'infeasible' ELSE 'complete' END END"
)


def counts(conn: sa.Connection, study_ids: Sequence[int]) -> dict[int, TrialCounts]:
    """How many trials of each study are in each state."""
    rows = conn.exec_driver_sql(
        f"SELECT study_id, {_STATE} AS state, count(*) FROM optuna.trials AS trial"
        " WHERE study_id = ANY(%(study_ids)s::integer[]) GROUP BY 1, 2",
        {"study_ids": list(study_ids)},
    )
    found: dict[int, dict[str, int]] = {study_id: {} for study_id in study_ids}
    for study_id, state, count in rows:
        found[study_id][state] = count
    return {study_id: TrialCounts(**states) for study_id, states in found.items()}


def time_spent(conn: sa.Connection, job_id: UUID) -> list[TimeSpent]:
    """The time that workers have spent on a job, most first: by what has become of the trials, and on interrupted attempts."""
    rows = conn.exec_driver_sql(
        "SELECT CASE WHEN lease.outcome = ANY(%(interrupted)s::text[]) THEN %(name)s"
        f" ELSE {_STATE} END AS spent_on, count(*) AS attempts,"
        " sum(extract(epoch FROM coalesce(lease.ended_at, least(lease.expires_at, clock_timestamp())) - lease.started_at))"
        " AS seconds"
        " FROM stride.leases AS lease JOIN optuna.trials AS trial USING (trial_id)"
        " WHERE lease.job_id = %(job_id)s GROUP BY 1 ORDER BY 3 DESC",
        {
            "job_id": job_id,
            "name": INTERRUPTED,
            "interrupted": [str(each) for each in (Outcome.TRAINER_DIED, Outcome.VANISHED, Outcome.RELEASED)],
        },
    )
    return [TimeSpent(on=row.spent_on, attempts=row.attempts, seconds=float(row.seconds)) for row in rows]


def best(conn: sa.Connection, job: Job) -> Trial | None:
    """The complete trial with the best finite value; of ties the first."""
    order = "ASC" if job.spec.direction == "minimize" else "DESC"
    trial_id = conn.exec_driver_sql(
        "SELECT trial_id FROM optuna.trials AS trial JOIN optuna.trial_values USING (trial_id)"
        " WHERE study_id = %(study_id)s AND state = 'COMPLETE' AND objective = 0 AND value_type = 'FINITE'"
        f" ORDER BY value {order}, number LIMIT 1",
        {"study_id": job.study_id},
    ).scalar()
    return None if trial_id is None else as_trial(read_trial(conn, job.study_id, trial_id), job)


def last_failure(conn: sa.Connection, job: Job) -> TrialError | None:
    """The error of the trial that failed last with one."""
    failed = last_failed(conn, job)
    return None if failed is None else failed[1]


def last_failed(conn: sa.Connection, job: Job) -> tuple[int, TrialError] | None:
    """The number and the error of the trial that failed last with one."""
    row = conn.exec_driver_sql(
        "SELECT number, value_json FROM optuna.trials JOIN optuna.trial_user_attributes USING (trial_id)"
        " WHERE study_id = %(study_id)s AND state = 'FAIL' AND key = 'error'"
        " ORDER BY datetime_complete DESC, number DESC LIMIT 1",
        {"study_id": job.study_id},
    ).one_or_none()
    error = None if row is None else _error(json.loads(row.value_json))
    return None if row is None or error is None else (row.number, error)


def page(conn: sa.Connection, job: Job, *, limit: int, after: int = -1) -> list[Trial]:
    """Trials of a job in order of their numbers, from just after the number `after`, with their attempts."""
    ids = list(
        conn.exec_driver_sql(
            "SELECT trial_id FROM optuna.trials WHERE study_id = %(study_id)s AND number > %(after)s"
            " ORDER BY number LIMIT %(limit)s",
            {"study_id": job.study_id, "after": after, "limit": limit},
        ).scalars()
    )
    if not ids:
        return []
    attempts, steps = leases.attempts(conn, ids), measurements.last_steps(conn, ids)
    records = trials_of(conn, job.study_id, ids)
    trials = (as_trial(record, job, attempts[record.trial_id], steps.get(record.trial_id)) for record in records)
    return sorted(trials, key=lambda trial: trial.number)


def finished(conn: sa.Connection, job: Job) -> list[Trial]:
    """All trials of a job that have ended with a result: complete, infeasible or pruned; by number."""
    return _finished(conn, job, with_curves=False)[0]


def n_finished(conn: sa.Connection, study_ids: Sequence[int]) -> dict[int, int]:
    """How many trials of each study `finished` would read."""
    rows = conn.exec_driver_sql(
        "SELECT study_id, count(*) FROM optuna.trials"
        " WHERE study_id = ANY(%(study_ids)s::integer[]) AND state IN ('COMPLETE', 'PRUNED') GROUP BY study_id",
        {"study_ids": list(study_ids)},
    )
    return dict.fromkeys(study_ids, 0) | {study_id: count for study_id, count in rows}


def finished_with_pruned_curves(conn: sa.Connection, job: Job) -> tuple[list[Trial], dict[int, tuple[CurvePoint, ...]]]:
    """As `finished_with_curves`; without curves where no trial was pruned, since reading them takes most of the time."""
    with_curves = conn.exec_driver_sql(
        "SELECT EXISTS (SELECT FROM optuna.trials WHERE study_id = %(study_id)s AND state = 'PRUNED')", {"study_id": job.study_id}
    ).scalar_one()
    return _finished(conn, job, with_curves=with_curves)


def finished_with_curves(conn: sa.Connection, job: Job) -> tuple[list[Trial], dict[int, tuple[CurvePoint, ...]]]:
    """What `finished` reads, and how each trial's metric was measured, by trial number."""
    return _finished(conn, job, with_curves=True)


def curves(conn: sa.Connection, job: Job, numbers: Sequence[int]) -> dict[int, tuple[CurvePoint, ...]]:
    """How the metric of some trials was measured, by their numbers."""
    ids = conn.exec_driver_sql(
        "SELECT trial_id FROM optuna.trials WHERE study_id = %(study_id)s AND number = ANY(%(numbers)s::integer[])",
        {"study_id": job.study_id, "numbers": list(numbers)},
    ).scalars()
    return {record.number: record.curve for record in trials_of(conn, job.study_id, list(ids))}


def _finished(conn: sa.Connection, job: Job, *, with_curves: bool) -> tuple[list[Trial], dict[int, tuple[CurvePoint, ...]]]:
    trials: list[Trial] = []
    curves: dict[int, tuple[CurvePoint, ...]] = {}
    for record in trials_since(conn, job.study_id, with_curves=with_curves):
        if record.state in ("COMPLETE", "PRUNED"):
            trials.append(as_trial(record, job))
            curves[record.number] = record.curve
    return trials, curves


def trial_id(conn: sa.Connection, job: Job, number: int) -> int:
    """Raises TrialNotFound."""
    found: int | None = conn.exec_driver_sql(
        "SELECT trial_id FROM optuna.trials WHERE study_id = %(study_id)s AND number = %(number)s",
        {"study_id": job.study_id, "number": number},
    ).scalar()
    if found is None:
        raise TrialNotFound(job.id, number)
    return found


def get(conn: sa.Connection, job: Job, number: int) -> Trial:
    """One trial with its attempts. Raises TrialNotFound."""
    found = trial_id(conn, job, number)
    attempts, steps = leases.attempts(conn, [found])[found], measurements.last_steps(conn, [found])
    return as_trial(read_trial(conn, job.study_id, found), job, attempts, steps.get(found))


def as_trial(record: TrialRecord, job: Job, attempts: Sequence[Attempt] = (), last_step: int | None = None) -> Trial:
    """A stored trial as the API shows it: with all its parameters, fixed ones included."""
    searched: Point = {param.name: value for param in record.params if (value := param.external) is not None}
    return Trial(
        number=record.number,
        state=_state(record),
        value=record.value,
        params=fixed(job.phase_of(record.system_attrs).spec.search_space) | searched,
        user_attrs={key: value for key, value in record.user_attrs.items() if key not in _INTERNAL_ATTRS},
        diverged_at_step=step if isinstance(step := record.user_attrs.get("diverged_at_step"), int) else None,
        error=_error(record.user_attrs.get("error")),
        started_at=_utc(record.started_at),
        finished_at=_utc(record.completed_at),
        attempts=tuple(attempts),
        last_step=last_step,
    )


def _state(record: TrialRecord) -> TrialState:
    match record.state:
        case "WAITING":
            return TrialState.WAITING
        case "RUNNING":
            return TrialState.RUNNING
        case "PRUNED":
            return TrialState.PRUNED
        case "FAIL":
            return TrialState.FAILED
        case "COMPLETE":
            return TrialState.INFEASIBLE if _violated(record.system_attrs.get("constraints")) else TrialState.COMPLETE


def _violated(constraints: object) -> bool:
    """The same test as `_VIOLATED`, in Python."""
    numbers = constraints if isinstance(constraints, list) else []
    return any(isinstance(number, int | float) and not isinstance(number, bool) and number > 0 for number in numbers)


def _error(stored: object) -> TrialError | None:
    # A foreign script may store anything under that name.
    match stored:
        case {"type": str(type_), "message": str(message), **rest}:
            traceback = rest.get("traceback")
            return TrialError(type=type_, message=message, traceback=traceback if isinstance(traceback, str) else None)
        case _:
            return None


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
