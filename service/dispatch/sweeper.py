"""What nobody's request does: end jobs whose time is over. Any process may sweep; one at a time does.

Expired leases need no sweeping: the next claim sees them.
"""

from contextlib import suppress
from functools import partial
from uuid import UUID

import sqlalchemy as sa

from service.dispatch import lifecycle
from service.errors import JobNotFound
from service.store import jobs
from service.store.postgres import Database

_LOCK = 0x53_77_65_65_70  # "Sweep"


def sweep(database: Database) -> None:
    """One round. Raises DatabaseUnavailable."""
    for job_id in database.transact(_find):
        with suppress(JobNotFound):  # deleted meanwhile
            database.transact(partial(lifecycle.expire, job_id=job_id))


def _find(conn: sa.Connection) -> list[UUID]:
    if not conn.scalar(sa.text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}):
        return []
    return jobs.past_deadline(conn)
