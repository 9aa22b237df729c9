"""Bad luck before and while a job confirms: trials that fail or diverge, workers that are killed, jobs paused and cancelled."""

from typing import Any
from uuid import uuid4

import pytest
from optuna.trial import TrialState

from service.dispatch import lifecycle
from service.dispatch.outcome import Failed
from service.domain.job import JobState
from service.domain.trial import TrialError
from service.search.strategies.confirm import Confirmation
from service.store.postgres import Database
from tests.integration.dispatch.confirming import CONFIRM, DIVERGED, SEARCH, confirmed_job, confirming, searched
from tests.integration.dispatch.phases import complete_next
from tests.integration.dispatch.training import (
    claimed,
    claimer_of,
    conclude,
    current,
    events,
    expire,
    state_of,
    stored,
)


def test_a_search_without_a_result_leaves_nothing_to_confirm(database: Database) -> None:
    job = confirmed_job(database, budget={"trials": SEARCH + CONFIRM, "confirm": CONFIRM, "failures": 99})
    claimer = claimer_of(database)
    for _ in range(SEARCH):
        conclude(database, claimed(claimer), Failed(error=TrialError(type="RuntimeError", message="told to fail")))
    assert claimer.claim(uuid4()) is None
    assert current(database, job).phase.name == "confirm"
    assert confirming(stored(database, job)) == []
    assert state_of(database, job) is JobState.FAILED
    assert "all 13 trials failed" in str(current(database, job).reason)


def test_where_every_trial_diverged_but_one_that_one_is_trained_again(database: Database) -> None:
    job = confirmed_job(database)
    claimer = claimer_of(database)
    for _ in range(SEARCH - 1):
        conclude(database, claimed(claimer), DIVERGED)
    only = complete_next(database, claimer)
    for _ in range(CONFIRM):
        complete_next(database, claimer)
    rates = {trial.params["learning_rate"] for trial in confirming(stored(database, job))}
    assert only.params["learning_rate"] in rates
    assert state_of(database, job) is JobState.COMPLETED


def test_a_strategy_that_fails_is_an_event_and_the_job_is_completed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise FloatingPointError("singular")

    job = confirmed_job(database)
    claimer = claimer_of(database)
    searched(database, claimer)
    monkeypatch.setattr(Confirmation, "begin", fail)
    assert claimer.claim(uuid4()) is None
    assert events(database, job)[-3:] == ["sampler.failed", "phase.started", "job.completed"]
    assert state_of(database, job) is JobState.COMPLETED


def test_every_candidate_diverges(database: Database) -> None:
    job = confirmed_job(database)
    claimer = claimer_of(database)
    searched(database, claimer)
    for _ in range(CONFIRM):
        conclude(database, claimed(claimer), DIVERGED)
    assert state_of(database, job) is JobState.COMPLETED
    assert [trial.state for trial in confirming(stored(database, job))] == [TrialState.COMPLETE] * CONFIRM


def test_a_failed_trial_counts_as_begun(database: Database) -> None:
    job = confirmed_job(database)
    claimer = claimer_of(database)
    searched(database, claimer)
    conclude(database, claimed(claimer), Failed(error=TrialError(type="RuntimeError", message="told to fail")))
    for _ in range(CONFIRM - 1):
        complete_next(database, claimer)
    assert [trial.user_attrs["candidate"] for trial in confirming(stored(database, job))][:2] == [0, 1]
    assert state_of(database, job) is JobState.COMPLETED


def test_a_worker_killed_while_it_confirms_is_followed_by_one_with_the_same_point_and_seed(database: Database) -> None:
    job = confirmed_job(database)
    claimer = claimer_of(database)
    searched(database, claimer)
    killed = claimed(claimer)
    expire(database, killed)
    taken = claimed(claimer_of(database))
    assert (taken.lease.number, taken.params, taken.training_seed) == (
        killed.lease.number,
        killed.params,
        killed.training_seed,
    )
    with database.transaction() as conn:  # by a foreign script
        conn.exec_driver_sql("DELETE FROM optuna.trial_user_attributes WHERE key = 'training_seed'")
    expire(database, taken)
    assert claimed(claimer_of(database)).training_seed == killed.training_seed
    assert state_of(database, job) is JobState.RUNNING


@pytest.mark.parametrize("after", [0, 1])
def test_a_job_paused_before_or_while_it_confirms_goes_on_where_it_was(database: Database, after: int) -> None:
    job = confirmed_job(database)
    claimer = claimer_of(database)
    searched(database, claimer)
    for _ in range(after):
        complete_next(database, claimer)
    database.transact(lambda conn: lifecycle.pause(conn, job.id))
    assert claimer.claim(uuid4()) is None
    database.transact(lambda conn: lifecycle.resume(conn, job.id))
    for _ in range(CONFIRM - after):
        complete_next(database, claimer)
    assert state_of(database, job) is JobState.COMPLETED
    assert len(confirming(stored(database, job))) == CONFIRM


def test_a_job_cancelled_while_it_confirms_keeps_what_is_confirmed(database: Database) -> None:
    job = confirmed_job(database)
    claimer = claimer_of(database)
    searched(database, claimer)
    complete_next(database, claimer)
    claimed(claimer)
    database.transact(lambda conn: lifecycle.cancel(conn, job.id))
    assert [trial.state for trial in confirming(stored(database, job))] == [TrialState.COMPLETE, TrialState.FAIL]
    assert claimer.claim(uuid4()) is None
