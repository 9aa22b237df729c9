"""The phase that confirms: which trials it has, when it begins, what others see of it."""

import math
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest
from optuna.trial import TrialState

from service.dispatch import lifecycle
from service.dispatch.outcome import Completed
from service.domain.job import JobState
from service.domain.training_seeds import TRAINING_SEED
from service.store import jobs
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.confirming import (
    CONFIRM,
    SEARCH,
    candidates_of,
    confirmed_job,
    confirming,
    searched,
    time_left,
)
from tests.integration.dispatch.phases import QMC, RATE_ALONE, add_foreign, complete, complete_next, phases_of
from tests.integration.dispatch.training import (
    SPACE,
    claimed,
    claimer_of,
    conclude,
    current,
    events,
    run_job,
    state_of,
    stored,
)
from tests.processes import at_once, wait_for_the_others


@pytest.mark.parametrize("strategy", ["random", "bayesian", QMC])
def test_the_last_trials_train_candidates_again_in_turn_each_with_a_seed_of_its_own(database: Database, strategy: Any) -> None:
    job = confirmed_job(database, 5, strategy=strategy)
    claimers = [claimer_of(database), claimer_of(database)]
    for number in range(SEARCH + 5):
        complete_next(database, claimers[number % 2])
    trials, candidates = stored(database, job), candidates_of(database, job)
    assert phases_of(trials) == [0] * SEARCH + [1] * 5
    again = confirming(trials)
    assert again == trials[SEARCH:]
    assert 2 <= len(candidates) <= 4
    assert [trial.user_attrs["candidate"] for trial in again] == [index % len(candidates) for index in range(5)]
    assert [trial.params for trial in again] == [candidates[index % len(candidates)] for index in range(5)]
    assert len({trial.user_attrs[TRAINING_SEED] for trial in trials}) == SEARCH + 5
    assert state_of(database, job) is JobState.COMPLETED
    assert Counter(events(database, job))["phase.started"] == 1


@pytest.mark.parametrize("strategy", ["random", "bayesian"])
def test_the_search_is_the_same_as_without_confirmation(database: Database, strategy: str) -> None:
    confirmed = confirmed_job(database, strategy=strategy, search_space=SPACE, pruner="median", seed=5)
    run_job(database, claimer_of(database))
    plain = submit_job(database, strategy=strategy, search_space=SPACE, pruner="median", seed=5, budget={"trials": SEARCH})
    run_job(database, claimer_of(database))
    ours, stock = stored(database, confirmed)[:SEARCH], stored(database, plain)
    assert [(trial.params, trial.values, trial.state, trial.user_attrs[TRAINING_SEED]) for trial in ours] == [
        (trial.params, trial.values, trial.state, trial.user_attrs[TRAINING_SEED]) for trial in stock
    ]


def test_foreign_trials_take_nothing_of_a_grid_nor_of_its_confirmation(database: Database) -> None:
    job = confirmed_job(database, strategy="grid", budget={"trials": 10 + CONFIRM, "confirm": CONFIRM})
    claimer = claimer_of(database)
    complete_next(database, claimer)
    add_foreign(database, job, 10 + CONFIRM)
    while (claim := claimer.claim(uuid4())) is not None:
        complete(database, claim)
    assert len(confirming(stored(database, job))) == CONFIRM
    assert state_of(database, job) is JobState.COMPLETED


def test_running_trials_are_not_waited_for(database: Database) -> None:
    job = confirmed_job(database)
    claimer = claimer_of(database)
    searched(database, claimer, SEARCH - 2)
    running = [claimed(claimer), claimed(claimer)]
    assert claimed(claimer).job.phase.name == "confirm"
    for claim in running:
        complete(database, claim)
    assert state_of(database, job) is JobState.RUNNING


def test_the_candidates_do_not_change_once_the_phase_has_begun(database: Database) -> None:
    """Though a search trial that was still running comes out best of all."""
    job = confirmed_job(database)
    claimer = claimer_of(database)
    searched(database, claimer, SEARCH - 1)
    late = claimed(claimer)
    first = claimed(claimer)
    conclude(database, late, Completed(value=-1.0))
    complete(database, first)
    for _ in range(CONFIRM - 1):
        complete_next(database, claimer_of(database))
    again = confirming(stored(database, job))
    assert all(trial.params in candidates_of(database, job) for trial in again)
    assert late.params["learning_rate"] not in [trial.params["learning_rate"] for trial in again]


def test_while_nothing_has_a_result_the_phase_waits_and_other_jobs_go_on(database: Database) -> None:
    job = confirmed_job(database, priority=9)
    other = submit_job(database, search_space=RATE_ALONE)
    claimer = claimer_of(database)
    running = [claimed(claimer) for _ in range(SEARCH)]
    assert claimed(claimer).job.id == other.id
    for claim in running[:4]:
        complete(database, claim)
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.jobs SET sampling_until = NULL")
    claim = claimed(claimer)
    assert (claim.job.id, claim.job.phase.name) == (job.id, "confirm")


@pytest.mark.parametrize("max_parallel", [1, 64])
def test_no_more_trials_run_at_once_than_the_job_allows(database: Database, max_parallel: int) -> None:
    job = confirmed_job(database, max_parallel=max_parallel)
    claimer = claimer_of(database)
    searched(database, claimer)
    first = claimed(claimer)
    second = claimer.claim(uuid4())
    assert (second is None) == (max_parallel == 1)
    complete(database, first)
    if second is not None:
        complete(database, second)
    run_job(database, claimer)
    assert len(confirming(stored(database, job))) == CONFIRM


def test_foreign_trials_take_numbers_and_nothing_of_what_confirms(database: Database) -> None:
    job = confirmed_job(database)
    claimer = claimer_of(database)
    searched(database, claimer)
    complete_next(database, claimer)
    add_foreign(database, job, 1)
    run_job(database, claimer)
    assert len(confirming(stored(database, job))) == CONFIRM
    assert [trial.number for trial in confirming(stored(database, job))] == [13, 15, 16]
    assert state_of(database, job) is JobState.COMPLETED


def test_of_a_budget_of_seconds_the_last_tenth_confirms(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget={"seconds": 100.0, "confirm": None})
    claimer = claimer_of(database)
    searched(database, claimer, 6)
    time_left(database, job, 40.0)
    assert complete_next(database, claimer).job.phase.name == "search"
    time_left(database, job, 9.5)
    for _ in range(8):
        assert complete_next(database, claimer).job.phase.name == "confirm"
    time_left(database, job, -0.1)
    assert claimer.claim(uuid4()) is None
    database.transact(lambda conn: lifecycle.expire(conn, job.id))
    assert current(database, job).reason == "time budget used up"


def test_a_job_that_reaches_its_target_confirms_nothing_and_says_so(database: Database) -> None:
    job = confirmed_job(database, budget={"trials": 16, "confirm": 3, "target": 0.5})
    conclude(database, claimed(claimer_of(database)), Completed(value=0.25))
    assert current(database, job).reason == "target reached: 0.25; nothing was trained again to confirm it"


def test_a_trial_that_confirms_is_never_pruned(database: Database) -> None:
    job = confirmed_job(database, search_space=SPACE, pruner={"type": "median", "startup_trials": 0})
    claimer = claimer_of(database)
    run_job(database, claimer)
    states = {trial.state for trial in stored(database, job)[:SEARCH]}
    assert TrialState.PRUNED in states
    assert {trial.state for trial in confirming(stored(database, job))} <= {TrialState.COMPLETE, TrialState.FAIL}


@pytest.mark.parametrize("known", [True, False], ids=["a worker from before", "a new worker"])
def test_samplers_and_pruners_do_not_see_trials_that_confirm(database: Database, known: bool) -> None:
    job = confirmed_job(database, strategy="bayesian", pruner="median", search_space=SPACE)
    claimer = claimer_of(database)
    searched(database, claimer, SEARCH - 1)
    late = claimed(claimer)
    for _ in range(CONFIRM):
        complete_next(database, claimer)
    asking = (claimer if known else claimer_of(database)).cache
    seen = database.transact(lambda conn: asking.snapshot(conn, late.job if known else jobs.get(conn, job.id).as_of(job.phase)))
    assert [trial.number for trial in seen.trials] == list(range(SEARCH))
    assert seen.next_number == SEARCH + CONFIRM


def work(url: str, job_id: UUID) -> int:
    """A worker in a process of its own, until the job is over; how many trials it had."""
    database, count = Database(url), 0
    claimer = claimer_of(database)
    wait_for_the_others()
    while database.transact(lambda conn: jobs.get(conn, job_id)).state in (JobState.QUEUED, JobState.RUNNING):
        if (claim := claimer.claim(uuid4())) is not None:
            complete(database, claim)
            count += 1
    database.close()
    return count


def test_many_workers_at_once_begin_the_phase_once(database: Database, database_url: str) -> None:
    job = confirmed_job(database, 9, strategy="bayesian")
    assert sum(at_once([(work, (database_url, job.id))] * 4)) == SEARCH + 9
    assert events(database, job).count("phase.started") == 1
    trials = stored(database, job)
    again = confirming(trials)
    counts = Counter(trial.user_attrs["candidate"] for trial in again)
    assert sum(counts.values()) == 9
    assert max(counts.values()) - min(counts.values()) <= 1
    assert all(math.isfinite(trial.values[0]) for trial in again)
