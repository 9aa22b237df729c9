"""The queries of a claim: which job is next, what it has issued, and the start of an attempt. No function here commits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import sqlalchemy as sa

from service.domain.budget import Issued
from service.domain.job import Job
from service.domain.lease import Lease
from service.store import jobs
from service.store.jobs import EventRow, event_arrays
from service.store.queries import query


@dataclass(frozen=True, kw_only=True)
class FoundJob:
    """A job that may have a trial to claim, read without a lock."""

    job_id: UUID
    phase: int
    """The position of its current phase."""
    share: int | None
    """That phase's share of the budget, in trials; None: all that the job has left."""
    has_next_phase: bool
    is_late: bool
    """Whether what is left of the budget of seconds is for later phases."""
    budget_trials: int | None
    needs_history: bool
    """Whether the next point of that phase depends on the study."""
    open_leases: int
    has_rivals: bool
    """Whether trials of other jobs of the same priority could be claimed."""


def find_job(
    conn: sa.Connection, objectives: Sequence[str], sha256s: Sequence[bytes] = (), only: UUID | None = None
) -> FoundJob | None:
    """The job whose turn it is, among those of `objectives`. Locks nothing: the claim checks again under locks.

    sha256s: the versions offered of those that are not built in. only: the one job that is looked for; None: any.
    """
    offered = {"objectives": list(objectives), "sha256s": list(sha256s), "only": only}
    row = conn.exec_driver_sql(query("find_job"), offered).mappings().one_or_none()
    return None if row is None else FoundJob(**row)


def recall(conn: sa.Connection, found: FoundJob) -> Job:
    """The job in the phase, and with the share and trial budget, that `find_job` has read. Raises JobNotFound."""
    job = jobs.recall(conn, found.job_id)
    budget = job.budget.model_copy(update={"trials": found.budget_trials})
    phases = jobs.begun_phases(conn, job, found.phase)
    return replace(
        job, phases=phases, share=found.share, is_late=found.is_late, has_next_phase=found.has_next_phase, budget=budget
    )


def issued(conn: sa.Connection, job: Job) -> Issued:
    """What the job has issued. The caller has locked the job and, before it inserts a trial, the study."""
    return Issued(**conn.exec_driver_sql(query("issued"), {"job_id": job.id, "study_id": job.study_id}).mappings().one())


def hint_sampling(conn: sa.Connection, job_id: UUID, seconds: float) -> bool:
    """Hint to other workers that this one is sampling the job's next point; False when another one already does."""
    row = conn.exec_driver_sql(
        "UPDATE stride.jobs SET sampling_until = clock_timestamp() + make_interval(secs => %(seconds)s)"
        " WHERE id = %(job_id)s AND (sampling_until IS NULL OR sampling_until < clock_timestamp()) RETURNING id",
        {"job_id": job_id, "seconds": seconds},
    ).one_or_none()
    return row is not None


def attended(conn: sa.Connection, job_ids: Collection[UUID], *, within_s: float) -> set[UUID]:
    """Those of the jobs of which somebody holds a trial, or has claimed one in the last `within_s` seconds."""
    rows = conn.exec_driver_sql(
        "SELECT id FROM stride.jobs AS job WHERE id = ANY(%(ids)s::uuid[])"
        " AND (claimed_at > clock_timestamp() - make_interval(secs => %(within_s)s) OR EXISTS (SELECT FROM stride.leases"
        " WHERE job_id = job.id AND ended_at IS NULL AND expires_at > clock_timestamp()))",
        {"ids": list(job_ids), "within_s": within_s},
    )
    return set(rows.scalars())


def look_again(conn: sa.Connection, job_id: UUID, after_s: float) -> None:
    """Hide a job that the caller has locked from claims for some seconds."""
    conn.exec_driver_sql(
        "UPDATE stride.jobs SET sampling_until = clock_timestamp() + make_interval(secs => %(after_s)s) WHERE id = %(job_id)s",
        {"job_id": job_id, "after_s": after_s},
    )


def start_attempt(
    conn: sa.Connection,
    job: Job,
    trial_id: int,
    number: int,
    attempt: int,
    *,
    token: UUID,
    worker_id: UUID,
    lease_s: float,
    next_point: int | None = None,
    events: Sequence[EventRow] = (),
) -> Lease:
    """Lease a trial of a job that the caller has locked, set the job running, and write the events.

    Raises IntegrityError when the trial is already leased or the token is in use.
    """
    lease_id: int = conn.exec_driver_sql(
        query("start_attempt"),
        {
            "token": token,
            "job_id": job.id,
            "trial_id": trial_id,
            "attempt": attempt,
            "worker_id": worker_id,
            "lease_s": lease_s,
            "next_point": job.next_point if next_point is None else next_point,
        }
        | event_arrays(events),
    ).scalar_one()
    return Lease(id=lease_id, token=token, job_id=job.id, trial_id=trial_id, number=number, attempt=attempt)
