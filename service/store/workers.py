"""The register of workers and of clients, with the times of their last heartbeats. No function here commits."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.objective import EXTERNAL
from service.domain.trial import storable
from service.store import tables

_IS_CLIENT = "'external' = ANY(objectives)"
"""The condition under which a row is a client's, which trains by HTTP what no worker can offer."""
_LOST = "seen_at + make_interval(secs => lost_after_s) < clock_timestamp()"
"""The condition under which a worker counts as lost: no heartbeat for `lost_after_s`, which it set when it registered."""
ALIVE = f"stopped_at IS NULL AND NOT ({_LOST})"
"""The condition under which a worker counts as alive."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A worker as the API shows it."""

    id: UUID
    name: str
    state: str
    """idle, training, lost (no heartbeat for the time it set) or stopped."""
    objectives: list[str]
    set_aside: dict[str, str]
    """Objectives that it failed to train when it last tried, and why."""
    device: str
    version: str
    started_at: datetime
    seen_at: datetime
    open_leases: int


def register(
    conn: sa.Connection, worker_id: UUID, *, name: str, objectives: Sequence[str], device: str, version: str, lost_after_s: float
) -> None:
    """Register a worker. Idempotent, for retries after a lost reply."""
    conn.execute(
        insert(tables.workers)
        .values(
            id=worker_id,
            name=name,
            objectives=list(objectives),
            device=device,
            version=version,
            lost_after_s=lost_after_s,
        )
        .on_conflict_do_nothing()
    )


def client_seen(conn: sa.Connection, client_id: UUID, *, name: str, version: str, lost_after_s: float) -> None:
    """Record that a client has asked for something, and register it if it is new."""
    row = {
        "id": client_id,
        "name": name,
        "objectives": [EXTERNAL],
        "device": "http",
        "version": version,
        "lost_after_s": lost_after_s,
    }
    now = {"seen_at": sa.func.clock_timestamp(), "lost_at": None}
    conn.execute(insert(tables.workers).values(row).on_conflict_do_update(index_elements=["id"], set_=now))


def still_there(conn: sa.Connection, client_id: UUID) -> None:
    """Record that a client which is registered has reported something."""
    conn.exec_driver_sql(
        "UPDATE stride.workers SET seen_at = clock_timestamp(), lost_at = NULL WHERE id = %(id)s", {"id": client_id}
    )


def hosts_before(conn: sa.Connection, worker_id: UUID) -> int:
    """How many hosts have had living workers for longer than this worker's host. Containers of a worker each: 0, 1, 2, ..."""
    hosts: int = conn.exec_driver_sql(
        "WITH host AS (SELECT split_part(name, ':', 1) AS name, min(started_at) AS since FROM stride.workers"
        f" WHERE stopped_at IS NULL AND NOT {_IS_CLIENT} AND (id = %(id)s OR NOT ({_LOST})) GROUP BY 1)"
        " SELECT count(*) FROM host JOIN host AS own ON (host.since, host.name) < (own.since, own.name)"
        " WHERE own.name = (SELECT split_part(name, ':', 1) FROM stride.workers WHERE id = %(id)s)",
        {"id": worker_id},
    ).scalar_one()
    return hosts


def seen(conn: sa.Connection, worker_id: UUID) -> int:
    """Record a heartbeat; returns how many workers are alive, 0 when this one is not registered."""
    alive: int | None = conn.exec_driver_sql(
        "UPDATE stride.workers SET seen_at = clock_timestamp(), lost_at = NULL WHERE id = %(id)s"
        f" RETURNING (SELECT count(*) FROM stride.workers WHERE stopped_at IS NULL AND lost_at IS NULL AND NOT {_IS_CLIENT})",
        {"id": worker_id},
    ).scalar()
    return 0 if alive is None else max(1, alive)


def offer(
    conn: sa.Connection,
    worker_id: UUID,
    *,
    objectives: Sequence[str],
    sha256s: Mapping[str, bytes],
    set_aside: Mapping[str, str],
) -> None:
    """Set which objectives a worker offers from now on, and which it has set aside.

    sha256s: of declaration and source, by name, of those that are not built in.
    """
    conn.execute(
        tables.workers.update()
        .where(tables.workers.c.id == worker_id)
        .values(
            objectives=list(objectives),
            objective_sha256s={name: sha256.hex() for name, sha256 in sha256s.items()},
            set_aside={name: storable(why) for name, why in set_aside.items()},
        )
    )


def mark_lost(conn: sa.Connection) -> list[tuple[UUID, str]]:
    """Mark workers that are lost; returns the ids and names of those newly marked, without clients, which come and go."""
    rows = conn.exec_driver_sql(
        "UPDATE stride.workers SET lost_at = clock_timestamp() WHERE stopped_at IS NULL AND lost_at IS NULL"
        f" AND {_LOST} RETURNING id, name, {_IS_CLIENT} AS is_client"
    )
    return [(row.id, row.name) for row in rows if not row.is_client]


def stopped(conn: sa.Connection, worker_id: UUID) -> None:
    """Mark a worker that has shut down."""
    now = sa.func.clock_timestamp()
    conn.execute(tables.workers.update().where(tables.workers.c.id == worker_id).values(seen_at=now, stopped_at=now))


def page(conn: sa.Connection, *, limit: int, before: tuple[datetime, UUID] | None = None) -> list[Worker]:
    """Workers, newest first, from just before the position `before`."""
    columns = tables.workers.c
    leases = (
        sa.select(sa.func.count())
        .select_from(tables.leases)
        .where(tables.leases.c.worker_id == columns.id, tables.leases.c.ended_at.is_(None))
        .scalar_subquery()
    )
    is_gone = sa.and_(sa.text(_IS_CLIENT), leases == 0)  # nothing tells that it is there, and nothing was lost
    state = sa.case(
        (columns.stopped_at.is_not(None), "stopped"),
        (sa.and_(sa.text(_LOST), is_gone), "stopped"),
        (sa.text(_LOST), "lost"),
        (leases > 0, "training"),
        else_="idle",
    )
    statement = (
        sa.select(tables.workers, leases.label("open_leases"), state.label("state"))
        .order_by(columns.started_at.desc(), columns.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(sa.tuple_(columns.started_at, columns.id) < sa.tuple_(*map(sa.literal, before)))
    return [
        Worker(
            id=row.id,
            name=row.name,
            state=row.state,
            objectives=row.objectives,
            set_aside=row.set_aside,
            device=row.device,
            version=row.version,
            started_at=row.started_at,
            seen_at=row.seen_at,
            open_leases=row.open_leases,
        )
        for row in conn.execute(statement)
    ]


def offered(conn: sa.Connection, objectives: Collection[str]) -> dict[str, set[bytes | None]]:
    """Which of these objectives the workers that are alive offer, and in which versions; None: of one that is built in."""
    found: dict[str, set[bytes | None]] = defaultdict(set)
    rows = conn.exec_driver_sql(
        "SELECT DISTINCT name, decode(objective_sha256s ->> name, 'hex') AS sha256"
        f" FROM (SELECT unnest(objectives) AS name, objective_sha256s FROM stride.workers WHERE {ALIVE}) AS offer"
        " WHERE name = ANY(%(objectives)s::text[])",
        {"objectives": list(objectives)},
    )
    for row in rows:
        found[row.name].add(None if row.sha256 is None else bytes(row.sha256))
    return found
