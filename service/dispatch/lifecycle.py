"""What users may do to a job besides submitting it: cancel, pause, resume, delete."""

from uuid import UUID

import sqlalchemy as sa

from service.domain.budget import verdict
from service.domain.events import FINAL_EVENTS, Event
from service.domain.job import FINAL, MOVES, Job, JobState
from service.errors import IllegalMove
from service.store import checkpoints, claims, jobs, trial_reader


def cancel(conn: sa.Connection, job_id: UUID) -> None:
    """End a job and its trials. Raises JobNotFound, IllegalMove."""
    job = jobs.lock(conn, job_id)
    if job.state is JobState.CANCELLED:
        return
    _check(job, JobState.CANCELLED, "only a job that is queued, running or paused can be cancelled.")
    _end(conn, job, JobState.CANCELLED, "cancelled")


def pause(conn: sa.Connection, job_id: UUID) -> None:
    """Start no further trials and have the running ones released. Raises JobNotFound, IllegalMove."""
    job = jobs.lock(conn, job_id)
    if job.state is JobState.PAUSED:
        return
    _check(job, JobState.PAUSED, "only a job that is queued or running can be paused.")
    jobs.move(conn, job, state=JobState.PAUSED, events=[(Event.JOB_PAUSED, {})])


def resume(conn: sa.Connection, job_id: UUID) -> None:
    """Resume a paused job; if its last trial has finished, it completes now. Raises JobNotFound, IllegalMove."""
    job = jobs.lock(conn, job_id)
    if job.state in (JobState.RUNNING, JobState.QUEUED):
        return
    state = JobState.QUEUED if job.started_at is None else JobState.RUNNING
    _check(job, state, "only a paused job can be resumed.")
    jobs.move(conn, job, state=state, events=[(Event.JOB_RESUMED, {})])
    if state is JobState.RUNNING:
        _end_if_done(conn, jobs.lock(conn, job_id))


def delete(conn: sa.Connection, job_id: UUID) -> list[str]:
    """Delete a final job with all its trials; returns the paths of files to delete after the commit.

    Raises JobNotFound, IllegalMove.
    """
    job = jobs.lock(conn, job_id)
    if job.state not in FINAL:
        raise IllegalMove(job.id, job.state, "only a completed, failed or cancelled job can be deleted: cancel it first.")
    paths = checkpoints.paths_of(conn, job.id)
    jobs.delete(conn, job)
    return paths


def expire(conn: sa.Connection, job_id: UUID) -> None:
    """Complete a running job whose time budget is used up. Raises JobNotFound."""
    job = jobs.lock(conn, job_id)
    if job.state is JobState.RUNNING and job.deadline_at is not None and jobs.now(conn) >= job.deadline_at:
        _end(conn, job, JobState.COMPLETED, "time budget used up")


def complete_if_done(conn: sa.Connection, job_id: UUID) -> None:
    """End a job whose last trials were added by a foreign script. Raises JobNotFound."""
    job = jobs.lock(conn, job_id)
    if job.state in (JobState.QUEUED, JobState.RUNNING) and _final(conn, job) is not None:
        _end_if_done(conn, _started(conn, job_id))


def fail(conn: sa.Connection, job_id: UUID, reason: str) -> None:
    """Fail an open job that cannot continue. Raises JobNotFound."""
    job = _started(conn, job_id)
    if job.state is JobState.RUNNING:
        _end(conn, job, JobState.FAILED, reason)


def _started(conn: sa.Connection, job_id: UUID) -> Job:
    """Lock a job, and start it if it is queued: only a running one may end."""
    job = jobs.lock(conn, job_id)
    if job.state is not JobState.QUEUED:
        return job
    jobs.move(conn, job, state=JobState.RUNNING, events=[(Event.JOB_STARTED, {})])
    return jobs.lock(conn, job_id)


def _end_if_done(conn: sa.Connection, job: Job) -> None:
    final = _final(conn, job)
    if final is not None:
        _end(conn, job, *final)


def _final(conn: sa.Connection, job: Job) -> tuple[JobState, str] | None:
    """The final state of a job that is done, and the reason; None if it is not done."""
    best, failure = trial_reader.best(conn, job), trial_reader.last_failure(conn, job)
    return verdict(
        job,
        claims.issued(conn, job),
        failures_in_a_row=job.failures_in_a_row,
        value=best.value if best else None,
        error=str(failure) if failure else None,
    )


def _end(conn: sa.Connection, job: Job, state: JobState, reason: str) -> None:
    jobs.stop_trials(conn, job, reason)
    jobs.move(conn, job, state=state, reason=reason, events=[(FINAL_EVENTS[state], {"reason": reason})])


def _check(job: Job, to: JobState, otherwise: str) -> None:
    if to not in MOVES[job.state]:
        raise IllegalMove(job.id, job.state, otherwise)
