"""Announce what a worker can train besides the built-in objectives, so that jobs for it can be submitted."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from objectives.contract import Objective
from objectives.documents import declaration_sha256, document_of
from service.store import objectives


@dataclass(frozen=True, kw_only=True)
class Announced:
    """A version of an objective."""

    objective: Objective
    """Completed by `declared`."""
    sha256: bytes
    """Of declaration and source, by `version_sha256`."""


def announce(conn: sa.Connection, worker_id: UUID, announced: Collection[Announced]) -> dict[str, str]:
    """Store what a worker is about to offer; returns what it may not offer, by the objective's name, with the reason.

    Of two workers that are alive, the second may not offer an objective of the same name with another declaration: jobs are
    checked against one. With another source it may, since a job's trials go to workers with its version only. The caller sets
    what the worker offers in the same transaction, whose end lets the next worker announce.
    """
    if not announced:
        return {}
    objectives.lock(conn)
    declarations = {each.objective.name: declaration_sha256(each.objective) for each in announced}
    others = objectives.offered_otherwise(conn, worker_id, declarations)
    for each in announced:
        name = each.objective.name
        if name not in others:
            objectives.announce(
                conn,
                worker_id,
                name=name,
                sha256=each.sha256,
                declaration=document_of(each.objective),
                declaration_sha256=declarations[name],
            )
    return {
        name: f"worker {other} offers another objective called {name!r}, with other parameters, metrics or settings:"
        " give this one another name, or stop that worker"
        for name, other in others.items()
    }
