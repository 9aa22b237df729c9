"""Checkpoints: written under the lease, read by the next attempt. No function here commits, and none touches a file.

A checkpoint in a folder exists if its row does. Functions that delete rows return the paths, whose files the caller deletes after
the commit; `unknown_paths` finds files that no row refers to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from service.domain.checkpoint import Checkpoint, Kind
from service.domain.lease import Lease
from service.store.queries import query


@dataclass(frozen=True, kw_only=True)
class StoredCheckpoint(Checkpoint):
    """A checkpoint with its row's id, without its content, which `content` reads."""

    id: int


def insert(conn: sa.Connection, lease: Lease, checkpoint: Checkpoint) -> list[str]:
    """Store a checkpoint, and keep the one before it, but no others; returns the paths of files to delete after the commit.

    The caller holds the lease. Idempotent.
    """
    rows = conn.exec_driver_sql(
        query("insert_checkpoint"),
        {
            "job_id": lease.job_id,
            "trial_id": lease.trial_id,
            "lease_id": lease.id,
            "kind": str(checkpoint.kind),
            "step": checkpoint.step,
            "size": checkpoint.size,
            "sha256": checkpoint.sha256,
            "content": checkpoint.content,
            "path": checkpoint.path,
        },
    )
    return [path for path in rows.scalars() if path is not None]


def newest(
    conn: sa.Connection, trial_id: int, kind: Kind = Kind.STATE, *, without: Sequence[int] = ()
) -> StoredCheckpoint | None:
    """A trial's newest checkpoint whose id is not in `without`; its content is not read."""
    row = conn.exec_driver_sql(
        "SELECT id, step, size, sha256, path FROM stride.checkpoints WHERE trial_id = %(trial_id)s AND kind = %(kind)s"
        " AND id <> ALL(%(without)s::bigint[]) ORDER BY id DESC LIMIT 1",
        {"trial_id": trial_id, "kind": str(kind), "without": list(without)},
    ).one_or_none()
    if row is None:
        return None
    return StoredCheckpoint(id=row.id, kind=kind, step=row.step, size=row.size, sha256=row.sha256, content=None, path=row.path)


def content(conn: sa.Connection, checkpoint_id: int) -> bytes | None:
    """The bytes of a checkpoint stored in the database; None when it was deleted, or is stored in a folder."""
    found: bytes | None = conn.exec_driver_sql(
        "SELECT content FROM stride.checkpoints WHERE id = %(id)s", {"id": checkpoint_id}, execution_options={"binary": True}
    ).scalar()
    return found


def discard(conn: sa.Connection, checkpoint_id: int) -> None:
    """Delete a damaged checkpoint. The caller holds the lease of its trial."""
    conn.exec_driver_sql("DELETE FROM stride.checkpoints WHERE id = %(id)s", {"id": checkpoint_id})


LATELY_S = 3600.0
EVER_S = 100 * 365 * 86_400.0


def prune(conn: sa.Connection, *, ended_within_s: float = LATELY_S) -> list[str]:
    """Delete the checkpoints of finished trials, except the model of each job's best trial; returns the paths of files to delete.

    ended_within_s: jobs that ended longer ago are not looked at.
    """
    rows = conn.exec_driver_sql(query("prune_checkpoints"), {"ended_within_s": ended_within_s})
    return [path for path in rows.scalars() if path is not None]


def paths_of(conn: sa.Connection, job_id: UUID) -> list[str]:
    """The paths of a job's checkpoints in the folder."""
    rows = conn.exec_driver_sql(
        "SELECT path FROM stride.checkpoints WHERE job_id = %(job_id)s AND path IS NOT NULL", {"job_id": job_id}
    )
    return list(rows.scalars())


def unknown_paths(conn: sa.Connection, paths: Sequence[str]) -> list[str]:
    """Those of `paths` that no checkpoint refers to."""
    rows = conn.exec_driver_sql(
        "SELECT path FROM unnest(%(paths)s::text[]) AS path EXCEPT SELECT path FROM stride.checkpoints WHERE path IS NOT NULL",
        {"paths": list(paths)},
    )
    return list(rows.scalars())
