"""The end of an expired lease: its trial can be attempted again, or fails if it has used up its attempts."""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

import sqlalchemy as sa

from service.dispatch.finish import fail_exhausted
from service.dispatch.patience import Patience
from service.domain.events import Event
from service.domain.job import Job, JobState
from service.errors import JobNotFound
from service.store import jobs, leases
from service.store.jobs import EventRow
from service.store.leases import ExpiredLease
from service.store.postgres import Database

ABANDONED_AFTER_S = 10.0
"""Seconds after its lease expired for which a trial is left to workers. Then the sweeper checks if that was its last attempt."""


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """A trial whose expired lease was just ended. The caller opens the next lease in the same transaction."""

    job: Job
    lease: ExpiredLease
    event: EventRow


def take_over(conn: sa.Connection, lease_id: int, job_id: UUID) -> TakenOver | None:
    """Lock the job and end a lease that was found expired. None if it was renewed or ended meanwhile, or if that was the trial's
    last attempt, and the trial has failed.

    The transaction must not lock rows of another job: two takeovers could deadlock.
    """
    job = jobs.lock(conn, job_id)
    if job.state is not JobState.RUNNING:
        return None
    expired = leases.lock_expired(conn, lease_id)
    if expired is None:
        return None
    outcome = leases.end_taken_over(conn, expired)
    event: EventRow = (
        Event.LEASE_TAKEN_OVER,
        {"trial": expired.number, "attempt": expired.attempt + 1, "from": expired.worker, "outcome": outcome},
    )
    if leases.fruitless_attempts(conn, expired.trial_id) >= job.spec.max_attempts:
        fail_exhausted(conn, job, expired, "its workers vanished", events=[event])
        return None
    return TakenOver(job=job, lease=expired, event=event)


def fail_abandoned(database: Database) -> None:
    """Fail trials that have used up their attempts and that no worker has taken over. Raises DatabaseUnavailable."""
    patience = Patience(database, unrenewed_s=ABANDONED_AFTER_S)
    if not patience.has_run_out():
        return

    def fail(conn: sa.Connection, lease_id: int, job_id: UUID) -> None:
        if take_over(conn, lease_id, job_id) is not None:
            raise _Undo

    find = partial(leases.find_exhausted, expired_for_s=ABANDONED_AFTER_S, patience_s=patience.seconds)
    for lease_id, job_id in database.transact(find):
        try:
            database.transact(lambda conn, lease_id=lease_id, job_id=job_id: fail(conn, lease_id, job_id))  # type: ignore[misc]
        except (_Undo, JobNotFound):
            continue


class _Undo(Exception):
    """The trial has attempts left: roll back, and leave it to a worker."""
