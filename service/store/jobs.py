"""Jobs: one row each, and how a job's unfinished trials end with it. No function here commits."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from cachetools import LRUCache, cached

from service.domain.events import Event
from service.domain.job import Job, JobState
from service.domain.phase import Phase
from service.domain.request import Budget
from service.domain.spec import JobSpec
from service.errors import JobNotFound
from service.store import phases, tables
from service.store.events import storable_payload
from service.store.queries import query

KEY_LIFETIME = "7 days"
"""How long an Idempotency-Key is remembered."""

EventRow = tuple[Event, Mapping[str, Any]]


def insert_job(
    conn: sa.Connection,
    job_id: UUID,
    spec: JobSpec,
    study_id: int,
    *,
    objective_sha256: bytes | None = None,
    source: str | None = None,
    idempotency_key: str | None = None,
    request_sha256: bytes | None = None,
) -> None:
    """Insert a queued job, without its phases. source: where its trials are imported from.

    Raises IntegrityError when the key is in use.
    """
    conn.execute(
        tables.jobs.insert().values(
            id=job_id,
            study_id=study_id,
            spec=spec.model_dump(mode="json"),
            state=JobState.QUEUED,
            budget_trials=spec.budget.trials,
            budget_seconds=spec.budget.seconds,
            budget_target=spec.budget.target,
            budget_failures=spec.budget.failures,
            seconds_left=spec.budget.seconds,
            objective_sha256=objective_sha256,
            source=source,
            idempotency_key=idempotency_key,
            request_sha256=request_sha256,
        )
    )
    meaning = spec.meaning.model_dump(mode="json", exclude_defaults=True)
    conn.execute(tables.meanings.insert().values(job_id=job_id, meaning=meaning))


def get(conn: sa.Connection, job_id: UUID) -> Job:
    """The job with this id. Raises JobNotFound."""
    row = conn.execute(_SELECT.where(tables.jobs.c.id == job_id)).mappings().one_or_none()
    if row is None:
        raise JobNotFound(job_id)
    return _from_row(row)


def ids_beginning(conn: sa.Connection, digits: str, *, limit: int) -> list[UUID]:
    """The ids that begin with these hexadecimal digits, at most `limit`, in order. Needs jobs_pkey."""
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    ids = tables.jobs.c.id
    return list(conn.execute(sa.select(ids).where(ids.between(first, last)).order_by(ids).limit(limit)).scalars())


# Reading and validating a spec takes longer than the rest of `lock`.
@cached(LRUCache(1_000), key=lambda conn, job_id: job_id, lock=Lock())
def recall(conn: sa.Connection, job_id: UUID) -> Job:
    """As `get`, from this process's cache if the job is in it: fields that change may be out of date. Raises JobNotFound."""
    return get(conn, job_id)


def lock(conn: sa.Connection, job_id: UUID) -> Job:
    """As `get`, and locks the job's row until the transaction ends."""
    job = recall(conn, job_id)
    return _with_changes(conn, job, conn.exec_driver_sql(query("lock_job"), {"job_id": job_id}))


def lock_with_study(conn: sa.Connection, job_id: UUID) -> Job:
    """As `lock`, and locks the study's row too. Required before inserting a trial."""
    job = recall(conn, job_id)
    parameters = {"job_id": job_id, "study_id": job.study_id}
    return _with_changes(conn, job, conn.exec_driver_sql(query("lock_job_and_study"), parameters))


def page(
    conn: sa.Connection,
    *,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
    state: JobState | None = None,
    labels: Collection[tuple[str, str]] = (),
    text: str | None = None,
) -> list[Job]:
    """A page of jobs, newest first, that are older than the one at `before`; only those in `state` and with all `labels`.

    text: only those whose name, objective or id holds it, whatever the case.
    """
    jobs = tables.jobs.c
    statement = _SELECT.order_by(jobs.created_at.desc(), jobs.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(sa.tuple_(jobs.created_at, jobs.id) < sa.tuple_(*map(sa.literal, before)))
    if state is not None:
        statement = statement.where(jobs.state == state)
    for name, value in labels:
        statement = statement.where(jobs.spec["labels"].contains({name: value}))
    if text is not None:
        columns = jobs.spec["name"].astext, jobs.objective, sa.cast(jobs.id, sa.Text)
        statement = statement.where(sa.or_(*(column.icontains(text, autoescape=True) for column in columns)))
    return [_from_row(row) for row in conn.execute(statement).mappings()]


def matching(
    conn: sa.Connection,
    *,
    objective: str | None = None,
    metric: str | None = None,
    labels: Collection[tuple[str, str]] = (),
) -> list[Job]:
    """All jobs with this objective, this metric and all `labels`, where they are given; newest first."""
    jobs = tables.jobs.c
    statement = _SELECT.order_by(jobs.created_at.desc(), jobs.id.desc())
    if objective is not None:
        statement = statement.where(jobs.objective == objective)
    if metric is not None:
        statement = statement.where(jobs.spec["metric"].astext == metric)
    for name, value in labels:
        statement = statement.where(jobs.spec["labels"].contains({name: value}))
    return [_from_row(row) for row in conn.execute(statement).mappings()]


def metrics_in_use(conn: sa.Connection) -> set[tuple[str, str]]:
    """The objectives and metrics that jobs have, in pairs."""
    jobs = tables.jobs.c
    return {
        (objective, metric)
        for objective, metric in conn.execute(sa.select(jobs.objective, jobs.spec["metric"].astext).distinct())
    }


def by_idempotency_key(conn: sa.Connection, key: str) -> tuple[UUID, bytes] | None:
    """The job that was submitted with `key`, and the hash of its request; None if there is none. Clears an expired key first."""
    jobs = tables.jobs
    conn.execute(
        jobs.update()
        .where(
            jobs.c.idempotency_key == key, jobs.c.created_at < sa.func.clock_timestamp() - sa.text(f"interval '{KEY_LIFETIME}'")
        )
        .values(idempotency_key=None, request_sha256=None)
    )
    row = conn.execute(sa.select(jobs.c.id, jobs.c.request_sha256).where(jobs.c.idempotency_key == key)).one_or_none()
    return None if row is None else (row.id, row.request_sha256)


def forget_old_keys(conn: sa.Connection) -> None:
    """Clear the Idempotency-Keys that are older than their lifetime."""
    conn.exec_driver_sql(
        "UPDATE stride.jobs SET idempotency_key = NULL, request_sha256 = NULL"
        f" WHERE idempotency_key IS NOT NULL AND created_at < clock_timestamp() - interval '{KEY_LIFETIME}'"
    )


def move(
    conn: sa.Connection,
    job: Job,
    *,
    state: JobState | None = None,
    reason: str | None = None,
    failures_in_a_row: int | None = None,
    events: Sequence[EventRow] = (),
) -> None:
    """Change a job that the caller has locked, and write its events. Fields that are not given stay unchanged."""
    conn.exec_driver_sql(
        query("move_job"),
        {
            "job_id": job.id,
            "state": str(job.state if state is None else state),
            "reason": job.reason if state is None else reason,
            "failures_in_a_row": job.failures_in_a_row if failures_in_a_row is None else failures_in_a_row,
        }
        | event_arrays(events),
    )


def event_arrays(events: Sequence[EventRow]) -> dict[str, list[str]]:
    """Events as parameters of the statements that write them."""
    return {
        "types": [str(event) for event, _ in events],
        "payloads": [json.dumps(storable_payload(payload)) for _, payload in events],
    }


def stop_trials(conn: sa.Connection, job: Job, stopped_by: str) -> None:
    """End all open leases and unfinished trials of a job that becomes final; the caller has locked it."""
    conn.exec_driver_sql(query("lock_open_leases"), {"job_id": job.id})
    conn.exec_driver_sql(query("stop_trials"), {"job_id": job.id, "study_id": job.study_id, "stopped_by": stopped_by})


def past_deadline(conn: sa.Connection) -> list[UUID]:
    """Running jobs whose deadline has passed, at most 100."""
    rows = conn.exec_driver_sql(
        "SELECT id FROM stride.jobs WHERE state = 'running' AND deadline_at <= clock_timestamp() ORDER BY deadline_at LIMIT 100"
    )
    return list(rows.scalars())


def find_done(conn: sa.Connection) -> list[UUID]:
    """Open jobs that have nothing left to run. Locks nothing."""
    return list(conn.exec_driver_sql(query("find_done_jobs")).scalars())


def now(conn: sa.Connection) -> datetime:
    """The database's clock."""
    moment: datetime = conn.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return moment


def delete(conn: sa.Connection, job: Job) -> None:
    """Remove a job that the caller has locked, with its study, trials, leases, measurements and events."""
    conn.exec_driver_sql(query("lock_study_to_delete"), {"study_id": job.study_id})
    conn.exec_driver_sql(query("lock_trials_to_delete"), {"study_id": job.study_id})
    conn.execute(tables.jobs.delete().where(tables.jobs.c.id == job.id))
    conn.exec_driver_sql(query("delete_study"), {"study_id": job.study_id})


_DIRECTIONS = sa.table("study_directions", sa.column("study_id"), sa.column("direction"), schema="optuna")
_SELECT = (
    sa.select(
        tables.jobs,
        tables.meanings.c.meaning,
        phases.BEGUN,
        sa.false().label("is_late"),  # asked for only where claims lock the row
        tables.studies.c.study_name,
        sa.func.lower(sa.cast(_DIRECTIONS.c.direction, sa.Text)).label("direction"),
    )
    .join(tables.studies, tables.studies.c.study_id == tables.jobs.c.study_id)
    .join(tables.meanings, tables.meanings.c.job_id == tables.jobs.c.id)
    .join(_DIRECTIONS, _DIRECTIONS.c.study_id == tables.jobs.c.study_id)
)


def _with_changes(conn: sa.Connection, job: Job, result: sa.CursorResult[Any]) -> Job:
    row = result.mappings().one_or_none()
    if row is None:
        raise JobNotFound(job.id)
    return replace(job, phases=begun_phases(conn, job, row["phase"]), **_changing(row, job.spec.budget))


def begun_phases(conn: sa.Connection, job: Job, position: int) -> tuple[Phase, ...]:
    """The job's phases up to the one at `position`, which has begun; later ones than `job` holds are read and cached."""
    return job.phases[: position + 1] if position < len(job.phases) else _later_phases(conn, job, position)


@cached(LRUCache(1_000), key=lambda conn, job, position: (job.id, position), lock=Lock())
def _later_phases(conn: sa.Connection, job: Job, position: int) -> tuple[Phase, ...]:
    return phases.begun(conn, job.id, job.spec, position)


def _changing(row: sa.RowMapping, submitted: Budget) -> dict[str, Any]:
    return {
        "state": JobState(row["state"]),
        "reason": row["reason"],
        "budget": Budget(
            trials=row["budget_trials"],
            seconds=row["budget_seconds"],
            confirm=submitted.confirm,
            target=row["budget_target"],
            failures=row["budget_failures"],
        ),
        "is_late": row["is_late"],
        "share": row["phase_trials"],
        "has_next_phase": row["has_next_phase"],
        "next_point": row["next_point"],
        "failures_in_a_row": row["failures_in_a_row"],
        "deadline_at": row["deadline_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
    }


def _from_row(row: sa.RowMapping) -> Job:
    spec = JobSpec.model_validate(row["spec"] | {"direction": row["direction"], "meaning": row["meaning"]})
    return Job(
        id=row["id"],
        name=row["spec"]["name"],
        spec=spec,
        phases=phases.as_phases(row["phases"], spec, row["spec"]),
        study_id=row["study_id"],
        study_name=row["study_name"],
        created_at=row["created_at"],
        objective_sha256=row["objective_sha256"],
        source=row["source"],
        **_changing(row, spec.budget),
    )
