"""Extensions of jobs: the changed budget, and the keys with which they were asked for. No function here commits."""

from uuid import UUID

import sqlalchemy as sa

from service.domain.job import Job
from service.domain.request import Budget
from service.store import tables
from service.store.jobs import KEY_LIFETIME
from service.store.queries import query


def set_budget(conn: sa.Connection, job: Job, budget: Budget, *, added_seconds: float | None, anew: bool) -> None:
    """Change the budget of a job that the caller has locked.

    added_seconds: by which its time is longer. anew: its time is these seconds from now on, and no limit where there are none;
    failures are counted from 0.
    """
    parameters = {
        "job_id": job.id,
        "trials": budget.trials,
        "seconds": budget.seconds,
        "target": budget.target,
        "added_seconds": added_seconds,
        "anew": anew,
    }
    conn.exec_driver_sql(query("extend_job"), parameters)


def by_key(conn: sa.Connection, key: str) -> bytes | None:
    """The hash of the request that was made with this key; None if there is none. Clears an expired key first."""
    extensions = tables.extensions
    too_old = extensions.c.created_at < sa.func.clock_timestamp() - sa.text(f"interval '{KEY_LIFETIME}'")
    conn.execute(extensions.delete().where(extensions.c.idempotency_key == key, too_old))
    sha256: bytes | None = conn.execute(
        sa.select(extensions.c.request_sha256).where(extensions.c.idempotency_key == key)
    ).scalar_one_or_none()
    return sha256


def insert_key(conn: sa.Connection, key: str, job_id: UUID, request_sha256: bytes) -> None:
    """Raises IntegrityError when the key is in use."""
    conn.execute(tables.extensions.insert().values(idempotency_key=key, job_id=job_id, request_sha256=request_sha256))


def forget_old_keys(conn: sa.Connection) -> None:
    """Delete the keys that are older than their lifetime."""
    conn.exec_driver_sql(f"DELETE FROM stride.extensions WHERE created_at < clock_timestamp() - interval '{KEY_LIFETIME}'")
