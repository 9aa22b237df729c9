"""Events: those of a job, read in order, and those without a job, written.

A job's events are written by `jobs.move`, which numbers them under the job's lock.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.domain.events import Event, JobEvent
from service.domain.trial import storable
from service.store import tables


def write(conn: sa.Connection, event: Event, payload: Mapping[str, Any]) -> None:
    """Write an event that belongs to no job, and is read by its time."""
    conn.execute(tables.events.insert().values(type=str(event), payload=storable_payload(payload)))


def page(conn: sa.Connection, job_id: UUID, *, after: int, limit: int) -> list[JobEvent]:
    """A job's events in the order of `seq`, from just after `after`. Needs events_job_id_seq_key."""
    events = tables.events.c
    rows = conn.execute(
        sa.select(events.seq, events.at, events.type, events.payload)
        .where(events.job_id == job_id, events.seq > after)
        .order_by(events.seq)
        .limit(limit)
    )
    return [JobEvent(**row) for row in rows.mappings()]


def last(conn: sa.Connection, job_id: UUID, *, limit: int) -> list[JobEvent]:
    """A job's newest events, the newest first."""
    events = tables.events.c
    rows = conn.execute(
        sa.select(events.seq, events.at, events.type, events.payload)
        .where(events.job_id == job_id)
        .order_by(events.seq.desc())
        .limit(limit)
    )
    return [JobEvent(**row) for row in rows.mappings()]


def storable_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A payload without the characters that PostgreSQL cannot store: reasons may quote an objective or a file's name."""
    return {name: storable(value) if isinstance(value, str) else value for name, value in payload.items()}
