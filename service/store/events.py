"""Events without a job. A job's events are written by `jobs.move`, which numbers them under the job's lock."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from service.domain.events import Event
from service.domain.trial import storable
from service.store import tables


def write(conn: sa.Connection, event: Event, payload: Mapping[str, Any]) -> None:
    """Write an event that belongs to no job, and is read by its time."""
    conn.execute(tables.events.insert().values(type=str(event), payload=storable_payload(payload)))


def storable_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A payload without the characters that PostgreSQL cannot store: reasons may quote an objective or a file's name."""
    return {name: storable(value) if isinstance(value, str) else value for name, value in payload.items()}
