"""Phases and budgets that somebody changes while workers claim."""

import time
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from service.dispatch.submit import add_phase
from service.domain.job import JobState
from service.errors import JobNotFound
from service.store import claims, jobs, phases
from service.store.postgres import Database
from tests.factories import job_spec, set_budget, set_share, submit_job
from tests.integration.dispatch.phases import NARROW, QMC, complete_next, is_narrow, phases_of
from tests.integration.dispatch.training import (
    SPACE,
    claimer_of,
    run_job,
    run_trial,
    state_of,
    stored,
)
from tests.processes import at_once, wait_for_the_others


def test_the_phases_of_a_job_that_was_deleted_meanwhile_are_those_of_no_job(database: Database) -> None:
    spec = submit_job(database).spec
    with database.transaction() as conn, pytest.raises(JobNotFound):
        phases.begun(conn, uuid4(), spec, 1)


def test_a_larger_budget_and_a_new_phase_reach_workers_that_know_the_job(wide: Database) -> None:
    job = submit_job(wide, search_space=SPACE, strategy="bayesian", budget={"trials": 3})
    claimer = claimer_of(wide)
    for _ in range(2):
        complete_next(wide, claimer)
    with wide.transaction() as conn:
        set_budget(conn, job, 6)
    for _ in range(2):
        complete_next(wide, claimer)
    with wide.transaction() as conn:
        set_share(conn, job, 0, 5)
        add_phase(conn, job.id, 1, job_spec(search_space=SPACE | NARROW, strategy="bayesian"))
        set_budget(conn, job, 7)
    run_job(wide, claimer)
    trials = stored(wide, job)
    assert phases_of(trials) == [0] * 5 + [1] * 2
    assert state_of(wide, job) is JobState.COMPLETED


def work(url: str, job_id: UUID) -> None:
    """A worker in a process of its own, until the job is over."""
    database = Database(url)
    claimer = claimer_of(database)
    wait_for_the_others()
    while database.transact(lambda conn: jobs.get(conn, job_id)).state in (JobState.QUEUED, JobState.RUNNING):
        claim = claimer.claim(uuid4())
        if claim is not None:
            run_trial(database, claimer, claim)
    database.close()


def change(url: str, job_id: UUID, first: Any, second: Any) -> list[int]:
    """Somebody who twice ends the current phase where it is, adds another, and gives it more of a larger budget; the numbers at
    which the phases end."""
    database = Database(url)
    wait_for_the_others()
    ends: list[int] = []

    def end_phase(conn: sa.Connection, after: int, strategy: Any) -> int | None:
        job = jobs.lock_with_study(conn, job_id)
        issued = claims.issued(conn, job)
        if issued.next_number < after:
            return None
        position = len(ends)
        set_share(conn, job, position, issued.next_number - job.phase.first_number)
        add_phase(conn, job_id, position + 1, job_spec(search_space=SPACE | NARROW, strategy=strategy))
        conn.exec_driver_sql(
            "UPDATE stride.jobs SET budget_trials = %(trials)s WHERE id = %(id)s",
            {"trials": issued.next_number + 12, "id": job_id},
        )
        return issued.next_number

    for strategy in (first, second):
        after = 5 if not ends else ends[-1] + 4
        while (end := database.transact(lambda conn, after=after, strategy=strategy: end_phase(conn, after, strategy))) is None:  # type: ignore[misc]
            time.sleep(0.002)
        ends.append(end)
    database.close()
    return ends


@pytest.mark.parametrize(("first", "second"), [("bayesian", "random"), (QMC, "grid")])
def test_phases_and_budgets_that_another_process_changes_while_workers_claim(
    database: Database, database_url: str, first: Any, second: Any
) -> None:
    job = submit_job(database, search_space=SPACE, strategy="bayesian", budget={"trials": 40, "failures": 99}, pruner="median")
    results = at_once([(change, (database_url, job.id, first, second)), *[(work, (database_url, job.id))] * 3])
    [begun, ended] = results[0]
    trials = stored(database, job)
    assert [trial.number for trial in trials] == list(range(ended + 12))
    assert phases_of(trials) == [0] * begun + [1] * (ended - begun) + [2] * 12
    assert all(map(is_narrow, trials[begun:]))
    assert state_of(database, job) is JobState.COMPLETED
