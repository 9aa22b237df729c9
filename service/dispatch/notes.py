"""Which process writes the notes of a job that optuna-dashboard shows, and when: one at a time, and rarely.

What they say is computed with no transaction open. Meanwhile the job is held by a time in the row of its notes; where the process
ends, another takes it when that time is over.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from service.domain.job import Job
from service.store import jobs, notes
from service.store.postgres import Database

EVERY_S = 30.0
"""The notes of a running job are written anew no sooner."""
HOLD_S = 60.0
"""Longer than it takes to answer from 20,000 trials."""


def take(database: Database) -> tuple[Job, int] | None:
    """A job whose notes are out of date, for the caller to write, and how many of its trials have ended.

    None where there is none, or where the next one has not changed after all. Raises DatabaseUnavailable.
    """
    return database.transact(_take)


def _take(conn: sa.Connection) -> tuple[Job, int] | None:
    held = notes.hold(conn, every_s=EVERY_S, hold_s=HOLD_S)
    if held is None:
        return None
    job = jobs.get(conn, held.job_id)
    ended = notes.n_ended(conn, job.study_id)
    if (held.state, held.ended) != (job.state, ended):
        return job, ended
    notes.written(conn, job, ended)
    return None


def write(database: Database, job: Job, ended: int, *, note: str, plot: str | None, trials: Mapping[int, str]) -> None:
    """Store the notes of a job as it was read; nothing where it was deleted meanwhile. For the texts see `store.notes.save`.

    Raises DatabaseUnavailable.
    """

    def work(conn: sa.Connection) -> None:
        if notes.lock_study(conn, job.study_id):
            notes.save(conn, job.study_id, note=note, plot=plot, trials=trials)
            notes.written(conn, job, ended)

    database.transact(work)


def leave(database: Database, job: Job, ended: int) -> None:
    """Leave the notes as they are until the job changes: they could not be made. Raises DatabaseUnavailable."""
    database.transact(lambda conn: notes.written(conn, job, ended))
