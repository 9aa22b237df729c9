"""Retention: deletes events and measurements of jobs that ended long ago. Their trials and best models stay until DELETE.

Also workers that have ended, and announced objectives that no worker offers.
"""

import math
import time
from dataclasses import dataclass, fields

import sqlalchemy as sa

from service.store.objectives import OFFERED
from service.store.postgres import Database

TIMEOUT_S = 60.0
"""Limit for each batch."""

BATCH = 10_000
"""Rows of each kind that one transaction deletes, so that a large backlog neither holds locks nor exceeds the timeout."""


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """How many rows were deleted."""

    measurements: int = 0
    """Of ended jobs. Optuna's intermediate values stay, so curves of the job's metric do, too."""
    events: int = 0
    workers: int = 0
    """Workers that have stopped or were lost, and their names in attempts with them."""
    objectives: int = 0
    """Versions of announced objectives that no worker offers. Jobs need none of them: they keep what was declared."""

    def __add__(self, other: "Deleted") -> "Deleted":
        return Deleted(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})


def delete_all(database: Database, days: float) -> Deleted:
    """Delete all that is older than so many days, batch by batch. Raises DatabaseUnavailable; what was deleted stays deleted."""
    return delete_some(database, days, for_s=math.inf)


def delete_some(database: Database, days: float, *, for_s: float) -> Deleted:
    """Delete what is older than so many days, beginning no further batch after so many seconds.

    Raises DatabaseUnavailable; what was deleted stays deleted.
    """
    total, until = Deleted(), time.monotonic() + for_s
    while True:
        some = database.transact(lambda conn: _delete(conn, days), timeout_s=TIMEOUT_S)
        total += some
        if some == Deleted() or time.monotonic() >= until:
            return total


def _delete(conn: sa.Connection, days: float) -> Deleted:
    parameters = {"days": float(days), "batch": BATCH}  # the seconds of a hundred years do not fit an integer
    before = "clock_timestamp() - make_interval(secs => 86400 * %(days)s)"
    old_jobs = f"SELECT id, study_id FROM stride.jobs WHERE finished_at < {before}"

    def delete(table: str, rows: str) -> int:
        return conn.exec_driver_sql(
            f"WITH job AS ({old_jobs}) DELETE FROM {table} WHERE ctid = ANY(ARRAY({rows} LIMIT %(batch)s))", parameters
        ).rowcount

    return Deleted(
        measurements=delete(
            "stride.measurements",
            "SELECT measured.ctid FROM job JOIN optuna.trials USING (study_id)"
            " JOIN stride.measurements AS measured USING (trial_id)",
        ),
        events=delete("stride.events", "SELECT event.ctid FROM job JOIN stride.events AS event ON event.job_id = job.id")
        + delete("stride.events", f"SELECT ctid FROM stride.events WHERE at < {before} AND job_id IS NULL"),
        workers=delete(
            "stride.workers",
            f"SELECT worker.ctid FROM stride.workers AS worker WHERE coalesce(stopped_at, lost_at) < {before}"
            " AND NOT EXISTS (SELECT FROM stride.leases WHERE worker_id = worker.id AND ended_at IS NULL)",
        ),
        objectives=delete(
            "stride.objectives",
            f"SELECT ctid FROM stride.objectives WHERE announced_at < {before}"
            f" AND (name, encode(sha256, 'hex')) NOT IN ({OFFERED})",
        ),
    )
