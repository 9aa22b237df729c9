"""How an expired lease ends: its trial is free for the next attempt, or fails when it has used up its attempts."""

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
"""How long after its lease expired a trial is left to workers, before the sweeper looks whether that was its last attempt."""


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """A trial whose lease has ended, held by whoever ended it until it opens the next, in the same transaction."""

    job: Job
    lease: ExpiredLease
    event: EventRow


def take_over(conn: sa.Connection, lease_id: int, job_id: UUID) -> TakenOver | None:
    """End a lease that was found expired, locking its job; None when it is not any more, or that was the trial's last attempt.

    Nothing of another job may be locked in the same transaction: two that did so crosswise would wait for each other.
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
    """Fail trials that have used up their attempts while no worker is there to take them over. Raises DatabaseUnavailable."""
    patience = Patience(database, silent_s=ABANDONED_AFTER_S)
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
    """The trial may go on: leave it to a worker."""
