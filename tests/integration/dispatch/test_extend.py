"""Extended jobs: in every state, with every kind of budget, before, in and after their confirmation."""

from collections import Counter
from uuid import UUID, uuid4

import pytest
from optuna.trial import TrialState

from service.dispatch import lifecycle
from service.dispatch.extend import extend
from service.dispatch.outcome import Completed
from service.domain.job import JobState
from service.domain.request import Extension
from service.domain.training_seeds import TRAINING_SEED
from service.errors import IdempotencyKeyReused
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.confirming import (
    BUDGET,
    confirming,
    done,
    extended,
    kinds,
)
from tests.integration.dispatch.phases import RATE_ALONE, complete, complete_next
from tests.integration.dispatch.training import SPACE, claimed, claimer_of, conclude, current, events, run_job, state_of, stored
from tests.processes import at_once, wait_for_the_others


def test_a_job_extended_three_times_searches_as_one_submitted_with_the_whole_budget(database: Database) -> None:
    parts = submit_job(database, search_space=RATE_ALONE, budget={"trials": 20, "confirm": 3}, seed=3)
    claimer = claimer_of(database)
    run_job(database, claimer)
    for _ in range(3):
        extended(database, parts, trials=20)
        run_job(database, claimer)
    whole = submit_job(database, search_space=RATE_ALONE, budget={"trials": 80, "confirm": 8}, seed=3)
    run_job(database, claimer)
    of_parts = [trial for trial in stored(database, parts) if "candidate" not in trial.user_attrs]
    of_whole = [trial for trial in stored(database, whole) if "candidate" not in trial.user_attrs]
    assert len(of_parts) == 4 * 17
    assert [trial.params for trial in of_parts] == [trial.params for trial in of_whole[: 4 * 17]]
    assert [trial.user_attrs[TRAINING_SEED] for trial in of_parts] == [
        trial.user_attrs[TRAINING_SEED] for trial in of_whole[: 4 * 17]
    ]
    assert kinds(database, parts) == ("s" * 17 + "c" * 3) * 4
    assert len({trial.user_attrs[TRAINING_SEED] for trial in stored(database, parts)}) == 80
    assert events(database, parts).count("job.extended") == 3


@pytest.mark.parametrize("after", [0, 5, 13, 14, 16])
def test_an_addition_has_a_confirmation_of_its_own_wherever_the_job_is(database: Database, after: int) -> None:
    """In the search, what confirms is added to the phase that comes; later, it has phases of its own."""
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    claimer = claimer_of(database)
    for _ in range(after):
        complete_next(database, claimer)
    assert state_of(database, job) is (JobState.COMPLETED if after == 16 else JobState.QUEUED if after == 0 else JobState.RUNNING)
    assert extended(database, job, trials=20).budget.trials == 36
    assert done(database, claimer) == 36 - after
    merged = "s" * 30 + "c" * 6
    assert kinds(database, job) == (merged if after <= 13 else "s" * 13 + "c" * 3 + "s" * 17 + "c" * 3)
    assert state_of(database, job) is JobState.COMPLETED
    assert current(database, job).reason == "all trials of the budget have finished"


@pytest.mark.parametrize(
    ("trials", "expected"), [(1, "s"), (2, "sc"), (5, "sssc" + "c"), (6, "sssccc"), (40, "s" * 36 + "c" * 4)]
)
def test_a_small_addition_keeps_at_least_half_for_the_search(database: Database, trials: int, expected: str) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    claimer = claimer_of(database)
    done(database, claimer)
    extended(database, job, trials=trials)
    done(database, claimer)
    assert kinds(database, job)[16:] == expected
    assert state_of(database, job) is JobState.COMPLETED


@pytest.mark.parametrize("after", [3, 14])
def test_a_cancelled_job_runs_again_and_what_was_cancelled_stays_ended(database: Database, after: int) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    claimer = claimer_of(database)
    for _ in range(after):
        complete_next(database, claimer)
    running = claimed(claimer)
    database.transact(lambda conn: lifecycle.cancel(conn, job.id))
    again = extended(database, job, trials=10)
    assert (again.state, again.reason, again.finished_at, again.budget.trials) == (JobState.RUNNING, None, None, after + 11)
    assert done(database, claimer) == 10
    trials = stored(database, job)
    assert trials[running.lease.number].state is TrialState.FAIL
    assert [trial.state for trial in trials].count(TrialState.COMPLETE) == after + 10
    assert kinds(database, job)[after + 1 :] == "s" * 7 + "c" * 3
    assert state_of(database, job) is JobState.COMPLETED


def test_a_job_cancelled_while_it_confirms_with_a_search_to_come_gets_what_is_asked_for(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    claimer = claimer_of(database)
    for _ in range(14):
        complete_next(database, claimer)
    extended(database, job, trials=30)
    database.transact(lambda conn: lifecycle.cancel(conn, job.id))
    assert extended(database, job, trials=8).budget.trials == 22
    assert done(database, claimer) == 8
    assert kinds(database, job)[14:] == "s" * 5 + "c" * 3
    assert state_of(database, job) is JobState.COMPLETED


def test_a_job_cancelled_before_its_first_trial_is_queued_again(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    database.transact(lambda conn: lifecycle.cancel(conn, job.id))
    assert extended(database, job, trials=8).state is JobState.QUEUED
    assert done(database, claimer_of(database)) == 8
    assert state_of(database, job) is JobState.COMPLETED


def test_a_paused_job_stays_paused(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    complete_next(database, claimer_of(database))
    database.transact(lambda conn: lifecycle.pause(conn, job.id))
    assert extended(database, job, trials=4).state is JobState.PAUSED
    database.transact(lambda conn: lifecycle.resume(conn, job.id))
    assert done(database, claimer_of(database)) == 19


def test_a_target_that_was_reached_is_dropped_and_another_one_stays(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET | {"target": 0.5})
    conclude(database, claimed(claimer_of(database)), Completed(value=0.25))
    assert extended(database, job, trials=5).budget.target is None
    assert done(database, claimer_of(database)) == 5
    other = submit_job(database, search_space=RATE_ALONE, budget={"trials": 2, "target": -1.0})
    done(database, claimer_of(database))
    assert extended(database, other, trials=2).budget.target == -1.0


def test_a_job_without_confirmation_just_goes_on(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget={"trials": 4})
    claimer = claimer_of(database)
    done(database, claimer)
    extended(database, job, trials=20)
    assert done(database, claimer) == 20
    assert kinds(database, job) == "s" * 24
    assert current(database, job).phase.position == 0


def test_the_same_key_extends_once(database: Database) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget={"trials": 4})
    for _ in range(3):
        assert extended(database, job, "key", b"one", trials=2).budget.trials == 6
    with pytest.raises(IdempotencyKeyReused):
        extended(database, job, "key", b"another", trials=3)
    assert extended(database, job, "another key", b"one", trials=2).budget.trials == 8
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.extensions SET created_at = created_at - interval '8 days'")
    assert extended(database, job, "key", b"another", trials=2).budget.trials == 10


def work(url: str, job_id: UUID, key: str | None) -> None:
    database = Database(url)
    wait_for_the_others()
    database.transact(
        lambda conn: extend(conn, job_id, Extension(trials=5), idempotency_key=key, request_sha256=b"same" if key else None)
    )
    database.close()


@pytest.mark.parametrize(("key", "trials"), [("same", 21), (None, 36)])
def test_extensions_at_once_are_all_kept_and_of_one_key_once(
    database: Database, database_url: str, key: str | None, trials: int
) -> None:
    job = submit_job(database, search_space=RATE_ALONE, budget=BUDGET)
    claimer = claimer_of(database)
    for _ in range(14):
        complete_next(database, claimer)
    at_once([(work, (database_url, job.id, key))] * 4)
    assert current(database, job).budget.trials == trials
    assert done(database, claimer) == trials - 14
    assert Counter(kinds(database, job)) == Counter(s=13 + 3 * (trials - 16) // 5, c=3 + 2 * (trials - 16) // 5)


def test_a_later_search_of_an_extended_job_is_drawn_and_pruned_without_the_trials_that_confirm(database: Database) -> None:
    hyperband = {"type": "hyperband"}
    parts = submit_job(database, search_space=SPACE, budget=BUDGET, strategy="random", pruner=hyperband)
    claimer = claimer_of(database)
    for _ in range(16):
        complete_next(database, claimer)
    extended(database, parts, trials=30)
    while (claim := claimer.claim(uuid4())) is not None:
        complete(database, claim)
    snapshot = database.transact(
        lambda conn: claimer_of(database).cache.snapshot(conn, current(database, parts).as_of(parts.phase))
    )
    assert [trial.number for trial in snapshot.trials[:13]] == list(range(13))
    later = current(database, parts).phases[2]
    seen = database.transact(lambda conn: claimer_of(database).cache.snapshot(conn, current(database, parts).as_of(later)))
    assert [trial.number for trial in seen.trials] == list(range(13 + 27))
    assert confirming(seen.trials) == []
