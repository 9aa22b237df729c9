"""The end of a trial, in one transaction: its result, its lease, its event, and the end of the job if it was the last."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.dispatch.outcome import Completed, Failed, Result, StoredResult, as_stored
from service.domain.budget import Issued, verdict
from service.domain.events import FINAL_EVENTS
from service.domain.job import Job, JobState
from service.domain.lease import Lease, Outcome
from service.domain.measurement import Measurement
from service.domain.trial import TrialError
from service.errors import JobNotFound, LeaseLost
from service.store import claims, jobs, leases, trials
from service.store.jobs import EventRow
from service.store.leases import ExpiredLease

LAST_LINES = 20
"""Lines of its log in the error of a trial that used up its attempts."""


def finish(
    conn: sa.Connection,
    lease: Lease,
    result: Result,
    *,
    lease_s: float,
    measurements: Sequence[Measurement] = (),
    notes: Mapping[str, Any] | None = None,
    log_tail: str | None = None,
) -> JobState:
    """Store a trial's result, and what was measured since the last report; returns the state of the job after it.

    notes: further user attributes of the trial, unless it failed.
    At most five statements, one more when other trials end with this one. Raises LeaseLost when the lease had ended; nothing is
    written then.
    """
    job = lock_job(conn, lease)
    if measurements:
        leases.report(conn, lease, measurements, job.spec.metric, lease_s=lease_s)
    issued = leases.end(conn, lease, job, Outcome.FINISHED, log_tail=log_tail)
    stored = as_stored(result, job.spec)
    trials.finish_trial(
        conn,
        lease.trial_id,
        stored.state,
        value=stored.value,
        user_attrs={**stored.user_attrs, **({} if isinstance(result, Failed) else notes or {})},
        system_attrs=stored.system_attrs,
    )
    return _settle(conn, job, issued, [_event(lease.number, stored, result)], result)


def lock_job(conn: sa.Connection, lease: Lease) -> Job:
    """Lock the lease's job. Raises LeaseLost when it was deleted, and the lease with it."""
    try:
        return jobs.lock(conn, lease.job_id)
    except JobNotFound as error:
        raise LeaseLost from error


def fail_exhausted(
    conn: sa.Connection, job: Job, last: Lease | ExpiredLease, reason: str, *, events: Sequence[EventRow], log_tail: str = ""
) -> None:
    """Fail a trial that has used up its attempts. The caller has locked the job and ended the trial's last lease."""
    last_lines = log_tail.strip().splitlines()[-LAST_LINES:]
    result = Failed(
        error=TrialError(
            type="AttemptsExhausted",
            message=f"{job.spec.max_attempts} attempts in a row ended without a new measurement; the last one: {reason}",
            traceback="\n".join(last_lines) or None,
        )
    )
    stored = as_stored(result, job.spec)
    trials.finish_trial(conn, last.trial_id, stored.state, user_attrs=stored.user_attrs)
    _settle(conn, job, claims.issued(conn, job), [*events, _event(last.number, stored, result)], result)


def _event(number: int, stored: StoredResult, result: Result) -> EventRow:
    """The event that trial `number` has ended."""
    error = {"error": str(result.error)} if isinstance(result, Failed) else {}
    return stored.event, {"trial": number, "value": _json_number(stored.value), **error}


def _settle(conn: sa.Connection, job: Job, issued: Issued, events: list[EventRow], result: Result) -> JobState:
    """Count the result, write the events, and end the job if it is done. A paused job ends when it is resumed."""
    failed = isinstance(result, Failed)
    failures = job.failures_in_a_row + 1 if failed else 0
    final = None
    if job.state is JobState.RUNNING:
        final = verdict(
            job,
            issued,
            failures_in_a_row=failures,
            value=result.value if isinstance(result, Completed) else None,
            error=str(result.error) if isinstance(result, Failed) else None,
            for_every_trial=isinstance(result, Failed) and result.for_every_trial,
        )
    if final is None:
        jobs.move(conn, job, failures_in_a_row=failures, events=events)
        return job.state
    state, reason = final
    if issued.open_leases or issued.waiting:
        jobs.stop_trials(conn, job, reason)
    jobs.move(
        conn,
        job,
        state=state,
        reason=reason,
        failures_in_a_row=failures,
        events=[*events, (FINAL_EVENTS[state], {"reason": reason})],
    )
    return state


def _json_number(value: float | None) -> float | None:
    """None for an infinity, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None
