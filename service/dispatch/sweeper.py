"""Periodic maintenance. Any process may sweep, one at a time: a process that does not get the advisory lock skips its turn. The
lock is held while the sweeper looks for work; each change of a job is checked again under the job's own lock.

`sweep`, about every two seconds: completes jobs whose time budget is used up. `tidy_up`, less often: marks workers without a
heartbeat as lost, fails trials that have used up their attempts, completes jobs whose last numbers a foreign script took, deletes
checkpoints that are no longer needed. Expired leases need no sweeping: the next claim finds them.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

import sqlalchemy as sa

from service.dispatch import lifecycle
from service.dispatch.takeover import fail_abandoned
from service.domain.events import Event
from service.errors import JobNotFound
from service.store import checkpoints, events, extensions, jobs, workers
from service.store.postgres import Database

_SWEEP_LOCK = 0x53_77_65_65_70  # "Sweep"
_TIDY_LOCK = 0x54_69_64_79  # "Tidy"


def sweep(database: Database) -> None:
    """One round. Raises DatabaseUnavailable."""
    for job_id in database.transact(_overdue):
        with suppress(JobNotFound):  # deleted meanwhile
            database.transact(partial(lifecycle.expire, job_id=job_id))


def tidy_up(database: Database) -> Sequence[str]:
    """One round; returns the paths of checkpoints that were deleted, whose files may go. Raises DatabaseUnavailable."""
    paths = database.transact(_tidy)
    if paths is None:
        return []
    fail_abandoned(database)
    for job_id in database.transact(jobs.find_done):
        with suppress(JobNotFound):
            database.transact(partial(lifecycle.complete_if_done, job_id=job_id))
    return paths


def _overdue(conn: sa.Connection) -> list[UUID]:
    return jobs.past_deadline(conn) if _alone(conn, _SWEEP_LOCK) else []


def _tidy(conn: sa.Connection) -> list[str] | None:
    """The paths of deleted checkpoints; None when another process is sweeping."""
    if not _alone(conn, _TIDY_LOCK):
        return None
    for worker_id, name in workers.mark_lost(conn):
        events.write(conn, Event.WORKER_LOST, {"worker": name, "id": str(worker_id)})
    jobs.forget_old_keys(conn)
    extensions.forget_old_keys(conn)
    return checkpoints.prune(conn)


def _alone(conn: sa.Connection, key: int) -> bool:
    """Take the advisory lock until the transaction ends; False when another process holds it."""
    alone: bool = conn.exec_driver_sql("SELECT pg_try_advisory_xact_lock(%(key)s)", {"key": key}).scalar_one()
    return alone
