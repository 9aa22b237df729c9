"""Events without a job. A job's events are written by `jobs.move`, which numbers them under the job's lock."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from service.domain.events import Event
from service.store import tables


def write(conn: sa.Connection, event: Event, payload: Mapping[str, Any]) -> None:
    """An event of no job, read by its time."""
    conn.execute(tables.events.insert().values(type=str(event), payload=dict(payload)))
