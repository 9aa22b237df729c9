"""Who may write a trial: expiry, takeover, tokens and attempts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from optuna.trial import TrialState

from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.outcome import Completed
from service.dispatch.renew import Answer, report, should_prune
from service.domain.job import Job, JobState
from service.domain.lease import Attempt, Outcome
from service.errors import LeaseLost
from service.store import leases, measurements, workers
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import LEASE_S, claimed, claimer_of, conclude, current, events, expire, stored
from tests.polling import wait_until

SHORT_S = 0.05


def taken_over(database: Database, claimer: Claimer | None = None) -> Claim:
    """Claim a trial whose lease has expired. The job must have no other work."""
    claimer = claimer or claimer_of(database)
    found: list[Claim] = []

    def took() -> bool:
        claim = claimer.claim(uuid4())
        found.extend([claim] if claim else [])
        return claim is not None

    wait_until(took, "an expired lease")
    return found[0]


def attempts_of(database: Database, claim: Claim) -> Sequence[Attempt]:
    with database.transaction() as conn:
        return leases.attempts(conn, [claim.lease.trial_id])[claim.lease.trial_id]


def tell(database: Database, claim: Claim, *items: Any, lease_s: float = LEASE_S) -> Answer:
    return database.transact(lambda conn: report(conn, claim.job, claim.lease, items, lease_s=lease_s))


def test_a_live_lease_is_not_taken_over(database: Database) -> None:
    submit_job(database, budget={"trials": 1})
    claimed(claimer_of(database))
    assert claimer_of(database).claim(uuid4()) is None


def test_a_trial_whose_worker_vanished_is_taken_over_with_its_number_and_params(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1})
    first = claimed(claimer_of(database, lease_s=SHORT_S))
    second = taken_over(database)
    assert (second.job.id, second.lease.number, second.lease.trial_id) == (job.id, 0, first.lease.trial_id)
    assert (second.params, second.lease.attempt) == (first.params, 2)
    conclude(database, second, Completed(value=1.0))
    assert current(database, job).state is JobState.COMPLETED
    assert [trial.state for trial in stored(database, job)] == [TrialState.COMPLETE]
    assert "lease.taken_over" in events(database, job)


def test_attempts_are_listed_with_their_workers_and_ends(database: Database) -> None:
    submit_job(database, budget={"trials": 1})
    ids = [uuid4(), uuid4()]
    for worker_id, name in zip(ids, ("one:1", "two:2"), strict=True):
        with database.transaction() as conn:
            workers.register(conn, worker_id, name=name, objectives=[], device="cpu", version="0", lost_after_s=30)
    first = claimed(Claimer(database, ids[0], ["quadratic"], SHORT_S))
    second = taken_over(database, Claimer(database, ids[1], ["quadratic"], LEASE_S))
    conclude(database, second, Completed(value=1.0))
    one, two = attempts_of(database, first)
    assert (one.attempt, one.worker, one.outcome, one.reason) == (1, "one:1", Outcome.VANISHED, "no sign of life from its worker")
    assert (two.attempt, two.worker, two.outcome) == (2, "two:2", Outcome.FINISHED)
    assert one.ended_at is not None
    assert two.ended_at is not None
    assert one.started_at < one.ended_at <= two.started_at < two.ended_at


def test_a_report_renews_the_lease(database: Database) -> None:
    submit_job(database, budget={"trials": 1})
    claim = claimed(claimer_of(database, lease_s=SHORT_S))
    assert tell(database, claim) is Answer.GO_ON
    with database.transaction() as conn:
        conn.exec_driver_sql("SELECT pg_sleep(0.1)")  # beyond the first lease's end
    assert claimer_of(database).claim(uuid4()) is None


def test_an_expired_lease_may_be_renewed_or_finished_until_somebody_has_taken_it_over(database: Database) -> None:
    submit_job(database, budget={"trials": 2})
    claimer = claimer_of(database)
    renewed, finished = claimed(claimer), claimed(claimer)
    expire(database, renewed)
    expire(database, finished)
    assert tell(database, renewed, measurement(1)) is Answer.GO_ON
    conclude(database, finished, Completed(value=1.0))
    assert claimer_of(database).claim(uuid4()) is None
    assert [attempt.outcome for attempt in attempts_of(database, finished)] == [Outcome.FINISHED]


def test_a_lease_that_was_renewed_or_ended_since_it_was_found_is_not_taken_over(database: Database) -> None:
    submit_job(database, budget={"trials": 2})
    claimer = claimer_of(database)
    renewed, ended = claimed(claimer), claimed(claimer)
    expire(database, ended)
    conclude(database, ended, Completed(value=1.0))
    with database.transaction() as conn:
        assert leases.lock_expired(conn, renewed.lease.id) is None
        assert leases.lock_expired(conn, ended.lease.id) is None


def test_nothing_is_written_under_a_lease_that_was_taken_over(database: Database) -> None:
    job = submit_job(database, strategy="bayesian", pruner="successive_halving", budget={"trials": 1})
    claimer = claimer_of(database, lease_s=SHORT_S)
    first = claimed(claimer)
    tell(database, first, measurement(1, 5.0), lease_s=SHORT_S)
    second = taken_over(database)
    before = (stored(database, job), attempts_of(database, first), events(database, job))
    with pytest.raises(LeaseLost):
        tell(database, first, measurement(1, 9.0), measurement(2, 9.0))
    with pytest.raises(LeaseLost):
        conclude(database, first, Completed(value=9.0))
    with pytest.raises(LeaseLost):
        database.transact(lambda conn: leases.release(conn, first.lease, "no matter"))
    with pytest.raises(LeaseLost):
        claimer.retry(first, uuid4(), "killed", "")
    with pytest.raises(LeaseLost):
        should_prune(database, claimer.cache, job, first.lease)
    assert (stored(database, job), attempts_of(database, first), events(database, job)) == before
    with database.transaction() as conn:
        assert [item.metrics["loss"] for item in measurements.of_trial(conn, first.lease.trial_id)] == [5.0]
    tell(database, second, measurement(1, 4.0))
    assert stored(database, job)[0].intermediate_values == {1: 4.0}


def test_a_wrong_token_writes_nothing(database: Database) -> None:
    submit_job(database)
    claim = claimed(claimer_of(database))
    forged = replace(claim, lease=replace(claim.lease, token=uuid4()))
    with pytest.raises(LeaseLost):
        tell(database, forged, measurement(1))
    with pytest.raises(LeaseLost):
        conclude(database, forged, Completed(value=1.0))


# Giving back


def test_a_released_trial_can_be_claimed_at_once_and_is_never_renewed(database: Database) -> None:
    submit_job(database, budget={"trials": 1})
    claim = claimed(claimer_of(database))
    database.transact(lambda conn: leases.release(conn, claim.lease, "its worker is stopping", log_tail="bye\n"))
    assert tell(database, claim, measurement(1)) is Answer.GIVE_BACK
    again = claimed(claimer_of(database))
    assert (again.lease.number, again.lease.attempt) == (0, 2)
    [first, _] = attempts_of(database, claim)
    assert (first.outcome, first.reason) == (Outcome.RELEASED, "its worker is stopping")
    with database.transaction() as conn:
        assert leases.log_tail(conn, claim.lease.trial_id) == "bye\n"


def test_released_attempts_do_not_count(database: Database) -> None:
    submit_job(database, budget={"trials": 1}, max_attempts=1)
    for attempt in range(1, 5):
        claim = claimed(claimer_of(database))
        assert claim.lease.attempt == attempt
        database.transact(lambda conn, claim=claim: leases.release(conn, claim.lease, "drain"))  # type: ignore[misc]
    conclude(database, claimed(claimer_of(database)), Completed(value=1.0))


# Attempts that died


def vanish(database: Database, job: Job) -> None:
    """Let the open lease expire and another worker claim: it takes the trial over, or fails it."""
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.leases SET expires_at = clock_timestamp() WHERE job_id = %(id)s AND ended_at IS NULL", {"id": job.id}
        )


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_a_trial_whose_workers_keep_vanishing_fails_after_its_attempts(database: Database, max_attempts: int) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=max_attempts)
    for attempt in range(1, max_attempts + 1):
        assert claimed(claimer_of(database)).lease.attempt == attempt
        vanish(database, job)
    assert claimer_of(database).claim(uuid4()) is None
    [trial] = stored(database, job)
    assert trial.state is TrialState.FAIL
    assert trial.user_attrs["error"]["type"] == "AttemptsExhausted"
    assert "vanished" in trial.user_attrs["error"]["message"]
    assert current(database, job).state is JobState.FAILED, "all its trials failed"


def test_a_trainer_that_keeps_dying_fails_its_trial_after_its_attempts_and_the_signal_is_named(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=3)
    claimer = claimer_of(database)
    first = claim = claimed(claimer)
    for attempt in (2, 3):
        retried = claimer.retry(claim, uuid4(), "the trainer process was killed by SIGKILL", "boom\n")
        assert retried is not None
        assert (retried.lease.number, retried.lease.attempt, retried.params) == (0, attempt, first.params)
        claim = retried
    assert claimer.retry(claim, uuid4(), "the trainer process was killed by SIGKILL", "boom\n") is None
    [trial] = stored(database, job)
    assert trial.state is TrialState.FAIL
    assert trial.user_attrs["error"]["message"] == (
        "3 attempts in a row ended without a new measurement; the last one: the trainer process was killed by SIGKILL"
    )
    assert [attempt.outcome for attempt in attempts_of(database, claim)] == [Outcome.TRAINER_DIED] * 3
    assert current(database, job).state is JobState.FAILED, "all its trials failed"


def test_a_new_measurement_starts_the_count_of_attempts_again_and_an_old_one_does_not(database: Database) -> None:
    submit_job(database, budget={"trials": 1}, max_attempts=2)
    claimer = claimer_of(database)
    claim: Claim | None = claimed(claimer)
    for steps in (0, 2, 1, 3, 3, 2):  # no new step, a new one, none, a new one, none twice
        assert claim is not None
        tell(database, claim, *[measurement(step) for step in range(1, steps + 1)])
        claim = claimer.retry(claim, uuid4(), "killed", "")
    assert claim is None


def test_died_and_vanished_attempts_count_together(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=2)
    claimer = claimer_of(database)
    assert claimer.retry(claimed(claimer), uuid4(), "killed", "") is not None
    vanish(database, job)
    assert claimer_of(database).claim(uuid4()) is None
    assert stored(database, job)[0].state is TrialState.FAIL


def test_a_trial_that_used_up_its_attempts_counts_as_a_failure_of_the_job(database: Database) -> None:
    job = submit_job(database, budget={"trials": 9, "failures": 1}, max_attempts=1)
    claimer = claimer_of(database)
    assert claimer.retry(claimed(claimer), uuid4(), "the trainer process exited with code 7", "") is None
    ended = current(database, job)
    assert ended.state is JobState.FAILED
    assert "exited with code 7" in str(ended.reason)


def test_infrastructure_never_uses_up_the_budget(database: Database) -> None:
    job = submit_job(database, budget={"trials": 2})
    for _ in range(2):
        claimed(claimer_of(database))
        vanish(database, job)
    claimer = claimer_of(database)
    conclude(database, claimed(claimer), Completed(value=1.0))
    claim = claimer.claim(uuid4())
    while claim is not None:
        conclude(database, claim, Completed(value=1.0))
        claim = claimer_of(database).claim(uuid4())
    assert [trial.state for trial in stored(database, job)] == [TrialState.COMPLETE] * 2


# Pruning


def test_a_pruner_that_is_asked_again_decides_as_before(database: Database) -> None:
    # After a lost reply the worker asks again, and the pruner's rung is filled by then; the same after a takeover.
    job = submit_job(database, strategy="random", pruner="successive_halving", budget={"trials": 9})
    claimer = claimer_of(database)
    good, bad = claimed(claimer), claimed(claimer)
    tell(database, good, measurement(1, 1.0))
    assert not should_prune(database, claimer.cache, job, good.lease)
    tell(database, bad, measurement(1, 2.0))
    assert should_prune(database, claimer.cache, job, bad.lease)
    assert should_prune(database, claimer.cache, job, bad.lease)
    assert should_prune(database, claimer_of(database).cache, job, bad.lease)
    assert not should_prune(database, claimer.cache, job, good.lease)
