"""How far a job can be extended: seconds, the points of a grid, foreign trials, and what is refused."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from service.dispatch import lifecycle
from service.dispatch.extend import extend
from service.dispatch.outcome import Failed
from service.domain.job import JobState
from service.domain.request import Budget, Extension
from service.domain.trial import TrialError
from service.errors import JobNotFound, NotExtendable
from service.store import jobs
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.confirming import BUDGET, done, ends_at, extended, kinds, time_left
from tests.integration.dispatch.phases import RATE_ALONE, add_foreign, complete_next
from tests.integration.dispatch.training import claimed, claimer_of, conclude, current, events, state_of, stored


def test_a_job_of_seconds_gets_more_of_them_the_last_tenth_to_confirm(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget={"seconds": 100.0, "confirm": None})
    claimer = claimer_of(database)
    for _ in range(4):
        complete_next(database, claimer)
    before = ends_at(database, job)
    assert extended(database, job, seconds=50).budget.seconds == 150.0
    assert ends_at(database, job) - before == timedelta(seconds=50)
    time_left(database, job, 40.0)
    assert complete_next(database, claimer).job.phase.name == "search"
    time_left(database, job, 14.5)
    assert complete_next(database, claimer).job.phase.name == "confirm"
    # While it confirms: that goes on until only what was added is left.
    before = ends_at(database, job)
    extended(database, job, seconds=200)
    assert ends_at(database, job) - before == timedelta(seconds=200)
    time_left(database, job, 240.0)
    assert complete_next(database, claimer).job.phase.position == 1
    time_left(database, job, 199.0)
    assert complete_next(database, claimer).job.phase.position == 2
    time_left(database, job, 19.5)
    assert complete_next(database, claimer).job.phase.position == 3
    time_left(database, job, -0.1)
    database.transact(lambda conn: lifecycle.expire(conn, job.id))
    # The final one runs again, with these seconds from now on.
    begun = database.transact(jobs.now)
    again = extended(database, job, seconds=300)
    assert (again.state, again.budget.seconds) == (JobState.RUNNING, 300.0)
    assert begun < ends_at(database, job) - timedelta(seconds=300) < database.transact(jobs.now)
    assert complete_next(database, claimer).job.phase.position == 4
    time_left(database, job, 29.0)
    assert complete_next(database, claimer).job.phase.position == 5
    # By trials: its seconds no longer count.
    time_left(database, job, -0.1)
    database.transact(lambda conn: lifecycle.expire(conn, job.id))
    assert extended(database, job, trials=10).budget.seconds is None
    assert done(database, claimer) == 10
    assert kinds(database, job)[-10:] == "s" * 7 + "c" * 3
    assert state_of(database, job) is JobState.COMPLETED


def test_a_job_of_trials_that_has_ended_may_go_on_for_seconds(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    claimer = claimer_of(database)
    done(database, claimer)
    assert extended(database, job, seconds=60).budget == Budget(trials=None, seconds=60.0, confirm=3)
    for _ in range(30):
        assert complete_next(database, claimer).job.phase.position == 2
    time_left(database, job, 5.5)
    assert complete_next(database, claimer).job.phase.position == 3


@pytest.mark.parametrize(
    ("budget", "by", "why"),
    [
        ({"trials": 5}, {"seconds": 5}, "has no limit of seconds: extend it by trials"),
        ({"seconds": 5}, {"trials": 5}, "has no limit of trials: extend it by seconds"),
        ({"target": 1e-9}, {"trials": 5}, "it runs until its target is reached"),
        ({"trials": 999_999}, {"trials": 5}, "more than 1,000,000 trials"),
    ],
)
def test_an_open_job_is_extended_by_what_limits_it(
    database: Database, budget: dict[str, Any], by: dict[str, Any], why: str
) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=budget)
    with pytest.raises(NotExtendable, match=why):
        extended(database, job, **by)
    assert current(database, job) == job
    assert "job.extended" not in events(database, job)


def test_a_failed_job_and_one_that_is_none_are_not_extended(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget={"trials": 5, "failures": 1})
    conclude(database, claimed(claimer_of(database)), Failed(error=TrialError(type="RuntimeError", message="told to fail")))
    with pytest.raises(NotExtendable, match="has failed; submit it again once its cause is mended: a trial failed: RuntimeError"):
        extended(database, job, trials=5)
    with pytest.raises(JobNotFound):
        database.transact(lambda conn: extend(conn, uuid4(), Extension(trials=1)))


def test_a_grid_goes_on_to_its_last_point_and_no_further(database: Database) -> None:
    job = submit_job(database, strategy="grid", search_space=RATE_ALONE, budget={"trials": 4})
    claimer = claimer_of(database)
    assert done(database, claimer) == 4
    with pytest.raises(NotExtendable, match="has 10 points, so at most 6 further trials are possible"):
        extended(database, job, trials=7)
    extended(database, job, trials=2)
    assert done(database, claimer) == 2
    extended(database, job, seconds=60)
    assert done(database, claimer) == 4
    assert len({trial.params["learning_rate"] for trial in stored(database, job)}) == 10
    assert state_of(database, job) is JobState.COMPLETED
    with pytest.raises(NotExtendable, match="has 10 points, so submit a finer grid"):
        extended(database, job, trials=1)


@pytest.mark.parametrize("ends", [True, False])
def test_a_grid_that_confirms_goes_on_for_seconds_to_its_last_point_and_confirms(database: Database, ends: bool) -> None:
    budget = {"trials": 13, "confirm": 3, "seconds": None if ends else 50.0}
    job = submit_job(database, strategy="grid", search_space=RATE_ALONE, budget=budget)
    claimer = claimer_of(database)
    complete_next(database, claimer)
    if ends:
        database.transact(lambda conn: lifecycle.cancel(conn, job.id))
    extended(database, job, seconds=60)
    assert done(database, claimer) == 12
    assert kinds(database, job) == "s" * 10 + "c" * 3
    assert len({trial.params["learning_rate"] for trial in stored(database, job)[:10]}) == 10
    assert state_of(database, job) is JobState.COMPLETED


def test_foreign_trials_after_the_end_take_nothing_of_an_extension(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    claimer = claimer_of(database)
    done(database, claimer)
    add_foreign(database, job, 12)
    extended(database, job, trials=10)
    assert done(database, claimer) == 10
    assert kinds(database, job)[16 + 12 :] == "s" * 7 + "c" * 3
    assert current(database, job).budget.trials == 16 + 12 + 10
    assert state_of(database, job) is JobState.COMPLETED


def test_foreign_trials_while_points_are_confirmed_take_nothing_of_an_extension(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    claimer = claimer_of(database)
    for _ in range(14):
        complete_next(database, claimer)
    extended(database, job, trials=10)
    add_foreign(database, job, 30)
    assert done(database, claimer) == 12
    assert kinds(database, job)[14 + 30 :] == "cc" + "s" * 7 + "c" * 3
    assert state_of(database, job) is JobState.COMPLETED
