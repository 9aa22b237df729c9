"""How many trials each phase of a job has."""

from typing import Any
from uuid import uuid4

import pytest

from service.dispatch.outcome import Completed
from service.dispatch.sweeper import tidy_up
from service.domain.job import JobState
from service.store.postgres import Database
from tests.factories import submit_job_of_phases
from tests.integration.dispatch.phases import QMC, add_foreign, complete_next, is_narrow, narrowed, phases_of
from tests.integration.dispatch.test_concurrency import work_together
from tests.integration.dispatch.training import (
    SPACE,
    claimed,
    claimer_of,
    conclude,
    current,
    run_job,
    state_of,
    stored,
)


@pytest.mark.parametrize(
    "strategies", [("random", QMC, "bayesian"), ("grid", "bayesian", "random"), ("bayesian", "grid", "grid")]
)
def test_shares_are_met_exactly_by_many_claimers(wide: Database, strategies: tuple[Any, ...]) -> None:
    first, second, third = strategies
    job = submit_job_of_phases(
        wide, 9, narrowed(second, 4), narrowed(third), strategy=first, search_space=SPACE, budget={"trials": 24}
    )
    work_together(wide, [job])
    trials = stored(wide, job)
    assert [trial.number for trial in trials] == list(range(24))
    assert phases_of(trials) == [0] * 9 + [1] * 4 + [2] * 11
    assert all(map(is_narrow, trials[9:]))
    assert current(wide, job).reason == "all trials of the budget have finished"


def test_a_job_ends_with_the_share_of_its_last_phase(database: Database) -> None:
    job = submit_job_of_phases(database, 2, narrowed("random", 3), search_space=SPACE, budget={"trials": 99})
    run_job(database, claimer_of(database))
    assert len(stored(database, job)) == 5
    assert state_of(database, job) is JobState.COMPLETED


def test_no_phase_goes_beyond_the_budget(database: Database) -> None:
    job = submit_job_of_phases(
        database, 2, narrowed("random", 9), narrowed("random", 9), search_space=SPACE, budget={"trials": 5}
    )
    run_job(database, claimer_of(database))
    assert phases_of(stored(database, job)) == [0, 0, 1, 1, 1]
    assert state_of(database, job) is JobState.COMPLETED


def test_a_job_without_a_budget_of_trials_goes_through_its_phases(database: Database) -> None:
    job = submit_job_of_phases(database, 2, narrowed("random"), budget={"target": 0.0})
    claimer = claimer_of(database)
    for _ in range(4):
        conclude(database, claimed(claimer), Completed(value=1.0))
    assert phases_of(stored(database, job)) == [0, 0, 1, 1]
    conclude(database, claimed(claimer), Completed(value=-1.0))
    assert current(database, job).reason == "target reached: -1"


def test_foreign_trials_take_numbers_of_the_phase_in_which_they_come(database: Database) -> None:
    job = submit_job_of_phases(database, 3, narrowed("random", 3), search_space=SPACE, budget={"trials": 6})
    claimer = claimer_of(database)
    complete_next(database, claimer)
    add_foreign(database, job, 2)
    run_job(database, claimer)
    assert phases_of(stored(database, job)) == [0, 0, 0, 1, 1, 1]
    assert state_of(database, job) is JobState.COMPLETED


@pytest.mark.parametrize(("trials", "position"), [(2, 0), (4, 1)])
def test_foreign_trials_take_nothing_of_the_phase_after_a_grid(database: Database, trials: int, position: int) -> None:
    """As they take none of its points. Where the budget ends with the grid, so does the job."""
    grid_of_two = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True, "points": 2}, "momentum": 0.9}
    budget = {"trials": trials}
    job = submit_job_of_phases(database, 2, narrowed("random"), strategy="grid", search_space=grid_of_two, budget=budget)
    claimer = claimer_of(database)
    complete_next(database, claimer)
    add_foreign(database, job, 3)
    for _ in range(trials - 1):
        complete_next(database, claimer)
    assert claimer.claim(uuid4()) is None
    assert (current(database, job).phase.position, state_of(database, job)) == (position, JobState.COMPLETED)
    assert current(database, job).budget.trials == trials + 3 * position


def test_a_job_whose_last_numbers_a_foreign_script_took_in_its_last_phase_is_completed_by_the_sweeper(database: Database) -> None:
    job = submit_job_of_phases(database, 1, narrowed("random"), budget={"trials": 3})
    claimer = claimer_of(database)
    complete_next(database, claimer)
    tidy_up(database)
    assert state_of(database, job) is JobState.RUNNING, "its second phase has not begun"
    complete_next(database, claimer)
    add_foreign(database, job, 1)
    tidy_up(database)
    assert state_of(database, job) is JobState.COMPLETED


def test_a_budget_that_a_foreign_script_used_up_before_the_second_phase_is_completed_by_the_sweeper(database: Database) -> None:
    job = submit_job_of_phases(database, 1, narrowed("random"), budget={"trials": 3})
    complete_next(database, claimer_of(database))
    add_foreign(database, job, 2)
    tidy_up(database)
    assert state_of(database, job) is JobState.COMPLETED
