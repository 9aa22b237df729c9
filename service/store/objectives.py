"""The objectives that workers have announced: by name and version, with their declarations. No function here commits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.store import tables
from service.store.workers import ALIVE

_LOCK = 0x41_6E_6E_6F_75_6E_63  # "Announc"

OFFERED = f"""
    SELECT offered, objective_sha256s ->> offered
    FROM stride.workers, unnest(objectives) AS offered
    WHERE {ALIVE} AND objective_sha256s ? offered
"""
"""Query: the names and versions, in hexadecimal digits, that workers that are alive offer."""
_VERSIONS = f"""
    SELECT name, sha256, declaration_sha256, announced_at, (name, encode(sha256, 'hex')) IN ({OFFERED}) AS is_offered
    FROM stride.objectives
"""
_NEWEST_FIRST = "is_offered DESC, announced_at DESC, sha256"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of an announced objective."""

    name: str
    sha256: bytes
    """Of declaration and source."""
    declaration_sha256: bytes
    announced_at: datetime
    """The last time."""
    is_offered: bool
    """Whether a worker that is alive offers it."""


def versions_of(conn: sa.Connection, name: str) -> list[Version]:
    """All versions: first those offered, and among equals the one announced last. Needs objectives_pkey."""
    rows = conn.exec_driver_sql(f"{_VERSIONS} WHERE name = %(name)s ORDER BY {_NEWEST_FIRST}", {"name": name})
    return [Version(**row) for row in rows.mappings()]


def newest(conn: sa.Connection) -> dict[str, Version]:
    """Of each announced objective the first of `versions_of`, by name."""
    rows = conn.exec_driver_sql(f"SELECT DISTINCT ON (name) * FROM ({_VERSIONS}) AS version ORDER BY name, {_NEWEST_FIRST}")
    return {row["name"]: Version(**row) for row in rows.mappings()}


def declaration(conn: sa.Connection, version: Version) -> dict[str, Any] | None:
    """The document of its declaration; None when retention has just deleted it."""
    columns = tables.objectives.c
    found: dict[str, Any] | None = conn.execute(
        sa.select(columns.declaration).where(columns.name == version.name, columns.sha256 == version.sha256)
    ).scalar()
    return found


def lock(conn: sa.Connection) -> None:
    """Wait until no other transaction announces; released when this one ends."""
    conn.exec_driver_sql("SELECT pg_advisory_xact_lock(%(key)s)", {"key": _LOCK})


def offered_otherwise(conn: sa.Connection, worker_id: UUID, declarations: Mapping[str, bytes]) -> dict[str, str]:
    """Which of the objectives other workers that are alive offer with another declaration, and the name of one such worker.

    declarations: the sha256 of each declaration, by the objective's name.
    """
    rows = conn.exec_driver_sql(
        f"""
        SELECT DISTINCT ON (mine.name) mine.name, worker.name AS worker
        FROM unnest(%(names)s::text[], %(sha256s)s::bytea[]) AS mine (name, declaration_sha256)
        JOIN stride.workers AS worker ON mine.name = ANY(worker.objectives)
        JOIN stride.objectives AS other
            ON other.name = mine.name AND encode(other.sha256, 'hex') = worker.objective_sha256s ->> mine.name
        WHERE worker.id <> %(worker_id)s AND {ALIVE} AND other.declaration_sha256 <> mine.declaration_sha256
        ORDER BY mine.name, worker.started_at
        """,
        {"names": list(declarations), "sha256s": list(declarations.values()), "worker_id": worker_id},
    )
    return {row.name: row.worker for row in rows}


def announce(
    conn: sa.Connection, worker_id: UUID, *, name: str, sha256: bytes, declaration: Mapping[str, Any], declaration_sha256: bytes
) -> None:
    """Store a version, or that it has been announced again."""
    statement = insert(tables.objectives).values(
        name=name,
        sha256=sha256,
        declaration=declaration,
        declaration_sha256=declaration_sha256,
        announced_by=worker_id,
    )
    again = {"announced_at": sa.func.clock_timestamp(), "announced_by": worker_id}
    conn.execute(statement.on_conflict_do_update(index_elements=["name", "sha256"], set_=again))
