"""Phases: one row each, written by the code that decides what a job does next. No function here commits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import TypeAdapter
from pydantic_core import to_json

from service.domain.job import Job
from service.domain.phase import CONFIRM, Phase
from service.domain.space import SearchSpace, parse_space
from service.domain.spec import JobSpec
from service.domain.strategy import NoPruner, PhaseStrategies, PhaseStrategy
from service.errors import JobNotFound
from service.store import tables
from service.store.queries import query

Document = Mapping[str, Any]

_STRATEGY: TypeAdapter[PhaseStrategies] = TypeAdapter(PhaseStrategy)


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
    seconds: float | None = None,
) -> None:
    """Insert a phase of a job that the caller has inserted or locked. Positions are counted from 0 without gaps.

    spec: the job's spec with the phase's search space and strategy. needs_history, counts_points: attributes of that strategy.
    trials: the phase's share of the budget; None: all that the job has left. seconds: of the budget, kept for it by earlier
    phases.
    """
    conn.execute(
        tables.phases.insert().values(
            job_id=job_id,
            position=position,
            name=name,
            trials=trials,
            seconds=seconds,
            needs_history=needs_history,
            counts_points=counts_points,
            first_number=0 if position == 0 else None,
            strategy=spec.strategy.model_dump(mode="json"),  # by itself: Confirm is not among those that a request may have
            **spec.model_dump(mode="json", include={"search_space"}),
        )
    )
    copy_current(conn, job_id)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A phase that has not begun."""

    position: int
    name: str
    spec: JobSpec
    """The job's spec with the phase's search space and strategy."""
    trials: int | None
    """Its share of the budget; None: all that the job has left."""
    seconds: float | None
    """Of the budget, kept for it by earlier phases."""


def planned(conn: sa.Connection, job: Job) -> list[Planned]:
    """The phases that follow the current one, in order."""
    of_phases = tables.phases.c
    statement = sa.select(tables.phases).where(of_phases.job_id == job.id, of_phases.position > job.phase.position)
    submitted = job.spec.model_dump(mode="json")
    return [
        Planned(
            position=row["position"],
            name=row["name"],
            spec=_spec(dict(row), job.spec, submitted),
            trials=row["trials"],
            seconds=row["seconds"],
        )
        for row in conn.execute(statement.order_by(of_phases.position)).mappings()
    ]


def begin_next(
    conn: sa.Connection,
    job: Job,
    *,
    first_number: int,
    search_space: SearchSpace | None = None,
    strategy: PhaseStrategies | None = None,
    trials: int | None = None,
) -> None:
    """Begin the next phase of a job that the caller has locked.

    first_number: the next trial number. search_space, strategy, trials: of the phase, where they are decided only now; None:
    those of its row.
    """
    parameters = {
        "job_id": job.id,
        "first_number": first_number,
        "search_space": None if search_space is None else to_json(search_space).decode(),
        "strategy": None if strategy is None else strategy.model_dump_json(),
        "trials": trials,
    }
    conn.exec_driver_sql(query("begin_next_phase"), parameters)
    copy_current(conn, job.id)


def set_share(conn: sa.Connection, job_id: UUID, position: int, *, trials: int | None, seconds: float | None = None) -> None:
    """Change a phase's share of the budget. The caller has locked the job. trials, seconds: as in `insert`."""
    conn.execute(
        tables.phases.update()
        .where(tables.phases.c.job_id == job_id, tables.phases.c.position == position)
        .values(trials=trials, seconds=seconds)
    )
    copy_current(conn, job_id)


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
    """Phases from their rows, in order from the first. spec: the job's; submitted: the same spec in its stored JSON form."""
    found: list[Phase] = []
    for document in documents:
        before = found[-1] if found else None
        confirming = 0 if before is None else before.confirming
        if before is not None and before.is_confirming:
            confirming += document["first_number"] - before.first_number
        found.append(
            Phase(
                position=document["position"],
                name=document["name"],
                spec=_spec(document, spec, submitted),
                counts_points=document["counts_points"],
                first_number=document["first_number"],
                confirming=confirming,
            )
        )
    return tuple(found)


def _spec(document: Document, spec: JobSpec, submitted: Document) -> JobSpec:
    own: dict[str, Any] = {} if document["position"] == 0 else {"try_first": []}  # points to try first belong to the first phase
    if any(document[name] != submitted[name] for name in ("search_space", "strategy")):
        own |= {
            "search_space": parse_space(document["search_space"]),
            "strategy": _STRATEGY.validate_python(document["strategy"]),
        }
    if document["name"] == CONFIRM:
        own["pruner"] = NoPruner()
    return spec.model_copy(update=own) if own else spec


_DOCUMENTS: sa.ColumnClause[Any] = sa.literal_column("jsonb_agg(to_jsonb(phases) ORDER BY phases.position)")
BEGUN = (
    sa.select(_DOCUMENTS)
    .where(tables.phases.c.job_id == tables.jobs.c.id, tables.phases.c.position <= tables.jobs.c.phase)
    .scalar_subquery()
    .label("phases")
)
"""A column for selects of jobs: the rows of the job's phases that have begun, as a JSON array."""
