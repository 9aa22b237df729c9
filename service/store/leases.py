"""Leases: which worker may write which trial. No function here commits."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.domain.budget import Issued
from service.domain.job import Job, JobState
from service.domain.lease import Attempt, Lease, Outcome
from service.domain.measurement import Measurement
from service.domain.trial import storable
from service.errors import LeaseLost
from service.store import tables
from service.store.queries import query

LOG_TAIL_CHARACTERS = 16_384


@dataclass(frozen=True, kw_only=True)
class ExpiredLease:
    """An expired lease that the caller has locked to take it over."""

    id: int
    trial_id: int
    number: int
    attempt: int
    released_at: datetime | None
    worker: str | None
    outage: bool
    """Whether it expired while the database was down: no fault of the trial."""


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """The lease was renewed, and this is what the worker must know."""

    job_state: JobState
    released: bool


def find_expired(
    conn: sa.Connection,
    objectives: Sequence[str],
    sha256s: Sequence[bytes],
    only: UUID | None = None,
    *,
    patience_s: float,
) -> tuple[int, UUID] | None:
    """An expired lease on a trial of one of `objectives`, and its job. Locks nothing: the takeover checks again.

    sha256s: the versions offered of those that are not built in. only: the one job that is looked at; None: any. patience_s:
    seconds after a start of the server for which holders from before it may still renew.
    """
    offered = {"objectives": list(objectives), "sha256s": list(sha256s), "only": only}
    row = conn.exec_driver_sql(query("find_expired_lease"), offered | {"patience_s": patience_s}).one_or_none()
    return None if row is None else (row.lease_id, row.job_id)


def by_token(conn: sa.Connection, token: UUID) -> tuple[Lease, Outcome | None] | None:
    """The lease with `token`, and its outcome if it has ended. For a worker whose reply was lost."""
    row = conn.exec_driver_sql(
        "SELECT id, job_id, trial_id, number, attempt, outcome FROM stride.leases JOIN optuna.trials USING (trial_id)"
        " WHERE token = %(token)s",
        {"token": token},
    ).one_or_none()
    if row is None:
        return None
    lease = Lease(id=row.id, token=token, job_id=row.job_id, trial_id=row.trial_id, number=row.number, attempt=row.attempt)
    return lease, None if row.outcome is None else Outcome(row.outcome)


def lock_expired(conn: sa.Connection, lease_id: int) -> ExpiredLease | None:
    """Lock a lease to take it over; None when it was renewed or ended, or is locked already. The caller holds the job."""
    row = conn.exec_driver_sql(query("lock_expired_lease"), {"lease_id": lease_id}).mappings().one_or_none()
    return None if row is None else ExpiredLease(**row)


def end_taken_over(conn: sa.Connection, lease: ExpiredLease) -> Outcome:
    """End a lease that the caller has locked to take it over."""
    outcome = Outcome.VANISHED if lease.released_at is None else Outcome.RELEASED
    silent = "it expired while the database was down" if lease.outage else "no sign of life from its worker"
    conn.exec_driver_sql(
        "UPDATE stride.leases SET ended_at = clock_timestamp(), outcome = %(outcome)s, reason = coalesce(reason, %(reason)s),"
        " excused = %(excused)s WHERE id = %(id)s",
        {
            "id": lease.id,
            "outcome": str(outcome),
            "reason": silent if outcome is Outcome.VANISHED else None,
            "excused": lease.outage,
        },
    )
    return outcome


def excuse(conn: sa.Connection, token: UUID) -> None:
    """Its worker found that its lease was taken over: the trial did not kill the worker. Changes the ended lease only."""
    conn.exec_driver_sql(
        "UPDATE stride.leases SET excused = true, reason = 'its worker lost touch with the database for longer than the lease'"
        " WHERE token = %(token)s AND outcome = 'vanished' AND NOT excused",
        {"token": token},
    )


def resumed(conn: sa.Connection, lease: Lease, step: int | None) -> None:
    """Record that the attempt was resumed from the checkpoint of `step`; None: it was not. The caller holds the lease."""
    conn.exec_driver_sql("UPDATE stride.leases SET from_step = %(step)s WHERE id = %(id)s", {"id": lease.id, "step": step})


def find_exhausted(conn: sa.Connection, *, expired_for_s: float, patience_s: float) -> list[tuple[int, UUID]]:
    """Leases that expired at least `expired_for_s` ago, of trials that may have used up their attempts. Locks nothing.

    patience_s: seconds after a start of the server for which holders from before it may still renew.
    """
    parameters = {"expired_for_s": expired_for_s, "patience_s": patience_s}
    rows = conn.exec_driver_sql(query("find_exhausted_leases"), parameters)
    return [(row.lease_id, row.job_id) for row in rows]


def end(
    conn: sa.Connection,
    lease: Lease,
    job: Job,
    outcome: Outcome,
    *,
    reason: str | None = None,
    log_tail: str | None = None,
) -> Issued:
    """End a lease by its token; the caller holds the job. Returns what of the job is left beside it. Raises LeaseLost when it had
    ended."""
    row = (
        conn.exec_driver_sql(
            query("end_lease"),
            {
                "lease_id": lease.id,
                "token": lease.token,
                "study_id": job.study_id,
                "outcome": str(outcome),
                "reason": _stored_reason(reason),
                "log_tail": _stored_log(log_tail),
            },
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise LeaseLost
    return Issued(**row)


def report(
    conn: sa.Connection,
    lease: Lease,
    measurements: Sequence[Measurement],
    metric: str,
    *,
    lease_s: float,
    log_tail: str | None = None,
) -> Renewal:
    """Renew a lease and store what was measured, `metric` also as the trial's intermediate values. One statement.

    Steps that were reported before are overwritten. With no measurements it is a heartbeat.
    Raises LeaseLost when the lease had ended; nothing is written then.
    """
    row = conn.exec_driver_sql(
        query("report"),
        {
            "lease_id": lease.id,
            "token": lease.token,
            "lease_s": lease_s,
            "log_tail": _stored_log(log_tail),
            "steps": [item.step for item in measurements],
            "fractions": [float(item.fraction) for item in measurements],
            "in_warmup": [item.in_warmup for item in measurements],
            "metrics": [stored_metrics(item) for item in measurements],
            "learning_rates": [float(item.learning_rate) for item in measurements],
            "seconds": [float(item.seconds) for item in measurements],
            "details": [_stored_details(item) for item in measurements],
            "values": [float(item.metrics[metric]) for item in measurements],
        },
    ).one_or_none()
    if row is None:
        raise LeaseLost
    return Renewal(job_state=JobState(row.state), released=row.released)


def stored_metrics(measurement: Measurement) -> str:
    """The metrics of a step as JSON."""
    return json.dumps({name: _json_number(value) for name, value in measurement.metrics.items()})


def hold(conn: sa.Connection, lease: Lease) -> None:
    """Lock a lease by its token for a write under it, until the transaction ends. Raises LeaseLost when it had ended."""
    row = conn.exec_driver_sql(
        "SELECT FROM stride.leases WHERE id = %(id)s AND token = %(token)s AND ended_at IS NULL FOR NO KEY UPDATE",
        {"id": lease.id, "token": lease.token},
    ).one_or_none()
    if row is None:
        raise LeaseLost


def release(conn: sa.Connection, lease: Lease, reason: str, *, log_tail: str | None = None) -> None:
    """Release a trial: its lease expires now and is never renewed. Raises LeaseLost when it had ended."""
    row = conn.exec_driver_sql(
        "UPDATE stride.leases SET expires_at = clock_timestamp(), released_at = clock_timestamp(), reason = %(reason)s,"
        " log_tail = coalesce(%(log_tail)s, log_tail)"
        " WHERE id = %(id)s AND token = %(token)s AND ended_at IS NULL RETURNING id",
        {"id": lease.id, "token": lease.token, "reason": storable(reason), "log_tail": _stored_log(log_tail)},
    ).one_or_none()
    if row is None:
        raise LeaseLost


def fruitless_attempts(conn: sa.Connection, trial_id: int) -> int:
    """How many attempts in a row, up to the last, died without a new step.

    Released attempts do not count, nor do those that ended because the database was unavailable.
    """
    rows = conn.exec_driver_sql(
        "SELECT outcome, excused, last_step FROM stride.leases WHERE trial_id = %(trial_id)s AND ended_at IS NOT NULL"
        " ORDER BY attempt",
        {"trial_id": trial_id},
    )
    fruitless, furthest = 0, 0
    for outcome, excused, last_step in rows:
        if (last_step or 0) > furthest:
            fruitless, furthest = 0, last_step
        elif outcome in (Outcome.TRAINER_DIED, Outcome.VANISHED) and not excused:
            fruitless += 1
    return fruitless


def held(conn: sa.Connection) -> dict[UUID, tuple[UUID, int]]:
    """What each worker with an open lease is at: the job, and the number of its newest trial there."""
    rows = conn.exec_driver_sql(
        "SELECT DISTINCT ON (worker_id) worker_id, job_id, number FROM stride.leases JOIN optuna.trials USING (trial_id)"
        " WHERE ended_at IS NULL ORDER BY worker_id, id DESC"
    )
    return {worker_id: (job_id, number) for worker_id, job_id, number in rows}


def attempts(conn: sa.Connection, trial_ids: Sequence[int]) -> dict[int, list[Attempt]]:
    """The attempts at each trial, in order."""
    leases, workers = tables.leases.c, tables.workers.c
    statement = (
        sa.select(tables.leases, workers.name.label("worker"))
        .outerjoin(tables.workers, workers.id == leases.worker_id)
        .where(leases.trial_id.in_(trial_ids))
        .order_by(leases.trial_id, leases.attempt)
    )
    found: dict[int, list[Attempt]] = {trial_id: [] for trial_id in trial_ids}
    for row in conn.execute(statement):
        found[row.trial_id].append(
            Attempt(
                attempt=row.attempt,
                worker=row.worker or str(row.worker_id),
                started_at=row.started_at,
                ended_at=row.ended_at,
                outcome=None if row.outcome is None else Outcome(row.outcome),
                reason=row.reason,
                from_step=row.from_step,
            )
        )
    return found


def log_tail(conn: sa.Connection, trial_id: int) -> str:
    """The last log lines of a trial's newest attempt that has any."""
    leases = tables.leases.c
    statement = (
        sa.select(leases.log_tail)
        .where(leases.trial_id == trial_id, leases.log_tail != "")
        .order_by(leases.attempt.desc())
        .limit(1)
    )
    return conn.execute(statement).scalar() or ""


def _stored_log(text: str | None) -> str | None:
    """None leaves what is stored: an empty log is that of a trainer process that has just taken a dead one's place."""
    return storable(text)[-LOG_TAIL_CHARACTERS:] if text else None


def _stored_reason(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _stored_details(measurement: Measurement) -> str | None:
    """What a measurement carries beyond its metrics; None for nothing."""
    details: dict[str, Any] = {}
    if measurement.group_rates:
        details["group_rates"] = [
            {
                "group": rate.group,
                "learning_rate": _json_number(rate.learning_rate),
                "momentum": None if rate.momentum is None else _json_number(rate.momentum),
            }
            for rate in measurement.group_rates
        ]
    if measurement.update_losses:
        details["update_losses"] = [[update, _json_number(loss)] for update, loss in measurement.update_losses]
    if measurement.best_step is not None:
        details["best_step"] = measurement.best_step
    return json.dumps(details) if details else None


def _json_number(value: float) -> float | str:
    """JSON has no nan and no infinities: they are stored as strings that `float` reads back."""
    return value if math.isfinite(value) else str(value)
