"""Phases: one row each, written by the code that decides what a job does next. No function here commits."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import TypeAdapter
from pydantic_core import to_json

from service.domain.job import Job
from service.domain.phase import Phase
from service.domain.space import SearchSpace, parse_space
from service.domain.spec import JobSpec
from service.domain.strategy import Strategy
from service.errors import JobNotFound
from service.store import tables
from service.store.queries import query

Document = Mapping[str, Any]

_STRATEGY: TypeAdapter[Strategy] = TypeAdapter(Strategy)


def insert(
    conn: sa.Connection,
    job_id: UUID,
    position: int,
    spec: JobSpec,
    *,
    name: str,
    needs_history: bool,
    counts_points: bool,
    trials: int | None = None,
) -> None:
    """Insert a phase of a job that the caller has inserted or locked. Positions are counted from 0 without gaps.

    spec: the job's spec with the phase's search space and strategy. needs_history, counts_points: attributes of that strategy.
    trials: the phase's share of the budget; None: all that the job has left.
    """
    conn.execute(
        tables.phases.insert().values(
            job_id=job_id,
            position=position,
            name=name,
            trials=trials,
            needs_history=needs_history,
            counts_points=counts_points,
            first_number=0 if position == 0 else None,
            **spec.model_dump(mode="json", include={"search_space", "strategy"}),
        )
    )
    copy_current(conn, job_id)


def begin_next(conn: sa.Connection, job: Job, *, first_number: int, search_space: SearchSpace | None = None) -> None:
    """Begin the next phase of a job that the caller has locked.

    first_number: the next trial number. search_space: of the phase, where it is decided only now; None: that of its row.
    """
    space = None if search_space is None else to_json(search_space).decode()
    conn.exec_driver_sql(query("begin_next_phase"), {"job_id": job.id, "first_number": first_number, "search_space": space})
    copy_current(conn, job.id)


def copy_current(conn: sa.Connection, job_id: UUID) -> None:
    """Copy what claims must know of the current phase to the job's row. Required after every write to the job's phases."""
    conn.exec_driver_sql(query("copy_phase"), {"job_id": job_id})


def begun(conn: sa.Connection, job_id: UUID, spec: JobSpec, position: int) -> tuple[Phase, ...]:
    """A job's phases up to the one at `position`, which has begun. Raises JobNotFound when the job has been deleted."""
    statement = sa.select(_DOCUMENTS).where(tables.phases.c.job_id == job_id, tables.phases.c.position <= position)
    documents = conn.execute(statement).scalar_one()
    if documents is None:
        raise JobNotFound(job_id)
    return as_phases(documents, spec, spec.model_dump(mode="json"))


def as_phases(documents: Sequence[Document], spec: JobSpec, submitted: Document) -> tuple[Phase, ...]:
    """Phases from their rows. spec: the job's spec; submitted: the same spec in its stored JSON form."""
    return tuple(
        Phase(
            position=document["position"],
            name=document["name"],
            spec=_spec(document, spec, submitted),
            counts_points=document["counts_points"],
            first_number=document["first_number"],
        )
        for document in documents
    )


def _spec(document: Document, spec: JobSpec, submitted: Document) -> JobSpec:
    own: dict[str, Any] = {} if document["position"] == 0 else {"try_first": []}  # points to try first belong to the first phase
    if any(document[name] != submitted[name] for name in ("search_space", "strategy")):
        own |= {
            "search_space": parse_space(document["search_space"]),
            "strategy": _STRATEGY.validate_python(document["strategy"]),
        }
    return spec.model_copy(update=own) if own else spec


_DOCUMENTS: sa.ColumnClause[Any] = sa.literal_column("jsonb_agg(to_jsonb(phases) ORDER BY phases.position)")
BEGUN = (
    sa.select(_DOCUMENTS)
    .where(tables.phases.c.job_id == tables.jobs.c.id, tables.phases.c.position <= tables.jobs.c.phase)
    .scalar_subquery()
    .label("phases")
)
"""A column for selects of jobs: the rows of the job's phases that have begun, as a JSON array."""
