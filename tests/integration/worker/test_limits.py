"""What a trial may take: time, time for a step, memory, attempts."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from uuid import uuid4

import psutil
import pytest

from service.dispatch import lifecycle
from service.dispatch.claim import Claimer
from service.dispatch.outcome import Result
from service.dispatch.renew import Answer, report
from service.domain.checkpoint import Checkpoint
from service.domain.lease import Outcome
from service.domain.training_seeds import training_seed
from service.domain.trial import TrialState
from service.store import leases
from service.store.postgres import Database
from service.worker.attempt import Attempt
from service.worker.lease import HeldLease
from service.worker.trainer.messages import Measured
from service.worker.waiting import Waits
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import claimed, claimer_of
from tests.integration.worker.conftest import Start
from tests.integration.worker.supervised import (
    Supervised,
    curve_of,
    odd_job,
    stepping_job,
    supervised,
    told,
    trial_of,
)
from tests.polling import wait_until


@pytest.fixture
def worker(database: Database) -> Iterator[Supervised]:
    with supervised(database) as worker:
        yield worker


# Time


def test_a_trial_out_of_time_is_pruned_with_its_last_value_and_says_what_stopped_it(
    database: Database, worker: Supervised
) -> None:
    job = stepping_job(database, epochs=100_000, epoch_s=0.05, limits={"trial_seconds": 2.5})
    worker.run_trial()
    trial, curve = trial_of(database, job), curve_of(database, job)
    assert trial.state is TrialState.PRUNED
    assert trial.user_attrs == {
        "training_seed": training_seed(job.spec, number=0),
        "stopped_by": "limits.trial_seconds, 2.5 s",
        "pruned_at_step": curve[-1].step,
    }
    assert trial.value == curve[-1].metrics["loss"]
    assert [attempt.outcome for attempt in trial.attempts] == [Outcome.FINISHED]
    # A busy machine leaves fewer steps room in it.
    assert 0.5 < sum(item.seconds for item in curve) < 2.5 + 0.5


def test_a_trial_that_measured_nothing_in_its_time_fails_and_says_so(database: Database, worker: Supervised) -> None:
    job = stepping_job(database, epoch_s=600.0, limits={"trial_seconds": 0.5})
    worker.run_trial()
    trial = trial_of(database, job)
    assert trial.state is TrialState.FAILED
    assert trial.error is not None
    assert (trial.error.type, trial.error.message) == ("TimeLimit", "nothing was measured within limits.trial_seconds, 0.5 s")


def test_the_time_of_a_trial_counts_over_its_attempts(database: Database, worker: Supervised) -> None:
    job = stepping_job(database, epochs=100_000, epoch_s=0.1, limits={"trial_seconds": 5.0})
    worker.pause_after(job, 20)
    before = sum(item.seconds for item in curve_of(database, job))
    worker.run_trial()
    assert trial_of(database, job).state is TrialState.PRUNED
    # Were the first attempt forgotten, it would be 7 s and more.
    assert 2.0 <= before < sum(item.seconds for item in curve_of(database, job)) < 5.0 + 0.5


def test_what_an_earlier_attempt_measured_stands_when_the_next_one_starts_over_and_runs_out_of_time(
    database: Database, worker: Supervised
) -> None:
    job = stepping_job(database, epoch_s=600.0, limits={"trial_seconds": 0.5})
    claim = claimed(claimer_of(database))
    measured = [measurement(step, loss=1 / step) for step in (1, 2)]
    database.transact(lambda conn: report(conn, job, claim.lease, measured, lease_s=60))
    database.transact(lambda conn: leases.release(conn, claim.lease, "left without a checkpoint"))
    worker.run_trial()
    trial = trial_of(database, job)
    assert [attempt.outcome for attempt in trial.attempts] == [Outcome.RELEASED, Outcome.FINISHED]
    assert (trial.state, trial.value) == (TrialState.PRUNED, 0.5)
    assert trial.user_attrs == {
        "training_seed": claim.training_seed,
        "stopped_by": "limits.trial_seconds, 0.5 s",
        "pruned_at_step": 2,
    }


def test_a_trial_out_of_time_whose_last_value_is_no_number_is_infeasible(database: Database, worker: Supervised) -> None:
    job = stepping_job(database, epoch_s=600.0, limits={"trial_seconds": 0.5})
    claim = claimed(claimer_of(database))
    database.transact(lambda conn: report(conn, job, claim.lease, [measurement(1, loss=math.nan)], lease_s=60))
    database.transact(lambda conn: leases.release(conn, claim.lease, "left without a checkpoint"))
    worker.run_trial()
    trial = trial_of(database, job)
    assert trial.state is TrialState.INFEASIBLE


def test_a_trial_that_diverges_as_its_time_ends_has_diverged(
    database: Database, worker: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, limit_s = Attempt._measured, 3.0

    def slowly(attempt: Attempt, message: Measured) -> Waits[Result | None]:
        diverged = replace(message.measurement, metrics={"loss": 9.0})  # though still a number
        result = yield from measured(attempt, replace(message, measurement=diverged))
        time.sleep(limit_s + 0.5)
        return result

    monkeypatch.setattr(Attempt, "_measured", slowly)
    rate = {"type": "float", "low": 0.9, "high": 0.95}
    job = submit_job(
        database,
        objective={"name": "quadratic", "settings": {}},
        search_space={"learning_rate": rate, "epochs": 4, "momentum": 0.9},
        budget={"trials": 1},
        limits={"trial_seconds": limit_s},
    )
    worker.run_trial()
    assert trial_of(database, job).state is TrialState.INFEASIBLE


def test_a_trial_that_ends_within_its_limits_is_left_alone(database: Database, worker: Supervised) -> None:
    limits = {"trial_seconds": 60.0, "step_seconds": 30.0, "memory_mb": 4_000}
    job = stepping_job(database, epochs=4, limits=limits)
    worker.run_trial()
    assert trial_of(database, job).state is TrialState.COMPLETE


# A step that is stuck


def test_a_stuck_trainer_is_replaced_without_losing_the_lease_and_the_next_one_goes_on_from_the_checkpoint(
    database: Database, worker: Supervised
) -> None:
    job = stepping_job(database, epoch_s=0.0, settings={"hang_at": 3}, limits={"step_seconds": 3.5}, max_attempts=2)
    first = worker.trainer_pid
    others: list[object] = []
    done = threading.Event()
    rival = claimer_of(database)

    def covet() -> None:
        while not done.wait(0.05):
            others.append(rival.claim(uuid4()))

    coveting = threading.Thread(target=covet)
    coveting.start()
    worker.run_trial()
    done.set()
    coveting.join()
    assert others
    assert not any(others), "nobody else ever got the trial"
    assert worker.trainer_pid != first
    trial = trial_of(database, job)
    # The first attempt measured steps; the two after it, `max_attempts`, nothing new.
    assert [attempt.outcome for attempt in trial.attempts] == [Outcome.TRAINER_DIED] * 3
    assert [attempt.from_step for attempt in trial.attempts] == [None, 2, 2]
    said = "no step ended within limits.step_seconds, 3.5 s: the trainer process was killed"
    assert {attempt.reason for attempt in trial.attempts} == {said}
    assert trial.state is TrialState.FAILED
    assert trial.error is not None
    assert trial.error.type == "AttemptsExhausted"
    assert said in trial.error.message
    assert [item.step for item in curve_of(database, job)] == [1, 2]


def test_a_step_that_never_ends_is_an_attempt(database: Database, worker: Supervised) -> None:
    job = stepping_job(database, epoch_s=600.0, limits={"step_seconds": 1.0}, max_attempts=1)
    worker.run_trial()
    trial = trial_of(database, job)
    assert (trial.state, [attempt.outcome for attempt in trial.attempts]) == (TrialState.FAILED, [Outcome.TRAINER_DIED])


def test_what_it_takes_to_store_is_no_part_of_a_step(
    database: Database, worker: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = HeldLease.keep_checkpoint

    def slowly(lease: HeldLease, checkpoint: Checkpoint) -> Waits[tuple[Answer, list[str]]]:
        time.sleep(2.5)
        return (yield from keep(lease, checkpoint))

    monkeypatch.setattr(HeldLease, "keep_checkpoint", slowly)
    job = stepping_job(database, epochs=2, epoch_s=0.0, limits={"step_seconds": 2.0})
    worker.run_trial()
    trial = trial_of(database, job)
    assert (trial.state, len(trial.attempts)) == (TrialState.COMPLETE, 1)


def test_a_trainer_that_never_reads_keeps_no_worker_from_renewing_and_from_ending(database: Database) -> None:
    """A step of hours is told of hundreds of renewals, more than a pipe holds."""

    def just_renewed() -> bool:
        with database.transaction() as conn:
            query = "SELECT clock_timestamp() + interval '58 s' < expires_at FROM stride.leases"
            found: bool = conn.exec_driver_sql(query).scalar_one()
            return found

    job = stepping_job(database, epoch_s=0.0, settings={"hang_at": 2})
    with supervised(database, heartbeat_s=0.001) as worker:
        with worker.under_way() as claim:
            wait_until(lambda: len(curve_of(database, job)) == 1, "the first step")
            time.sleep(5)  # more than a thousand renewals
            wait_until(just_renewed, "a renewal")
            database.transact(partial(lifecycle.cancel, job_id=job.id))
            cancelled_at = time.monotonic()
        assert time.monotonic() - cancelled_at < 20
        assert claim.lease.number == 0


def test_slow_steps_that_end_are_not_stuck(database: Database, worker: Supervised) -> None:
    job = stepping_job(database, epochs=4, epoch_s=1.0, limits={"step_seconds": 3.5})
    worker.run_trial()
    trial = trial_of(database, job)
    assert (trial.state, len(trial.attempts)) == (TrialState.COMPLETE, 1)


# Memory


@pytest.mark.parametrize("how", ["large", "large child"])
def test_a_trainer_that_holds_too_much_is_killed_and_the_reason_names_the_limit(
    database: Database, worker: Supervised, how: str
) -> None:
    job = odd_job(database, how, limits={"memory_mb": 300}, max_attempts=2)
    worker.run_trial()
    trial = trial_of(database, job)
    assert trial.state is TrialState.FAILED
    assert [attempt.outcome for attempt in trial.attempts] == [Outcome.TRAINER_DIED] * 2
    for attempt in trial.attempts:
        assert "more than limits.memory_mb, 300: it was killed" in str(attempt.reason)
    assert trial.error is not None
    assert "limits.memory_mb, 300" in trial.error.message
    assert [
        process for process in psutil.process_iter(["cmdline"]) if "held = b" in " ".join(process.info["cmdline"] or ())
    ] == []


# Attempts


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kill_at": 1}, "the trainer process was killed by SIGKILL"),
        ({"exit_at": 1}, "the trainer process exited with code 7"),
    ],
)
def test_a_trial_that_kills_its_trainer_each_time_fails_with_how_it_died_and_its_last_words_and_the_job_goes_on(
    database: Database, worker: Supervised, settings: dict[str, int], said: str
) -> None:
    job = stepping_job(database, epoch_s=0.0, settings=settings, max_attempts=2, budget={"trials": 2})
    worker.run_trial()
    trial = trial_of(database, job)
    assert trial.state is TrialState.FAILED
    assert [(attempt.outcome, attempt.reason) for attempt in trial.attempts] == [(Outcome.TRAINER_DIED, said)] * 2
    assert trial.error is not None
    assert trial.error.message == f"2 attempts in a row ended without a new measurement; the last one: {said}"
    assert trial.error.traceback is not None
    assert f"training at {trial.params['learning_rate']:g}" in trial.error.traceback
    assert [event["reason"] for event in told(database, job, "trainer.died")] == [said] * 2
    assert worker.claim().lease.number == 1, "the job goes on"


def test_a_trainer_that_cannot_end_is_killed(database: Database, worker: Supervised) -> None:
    job = odd_job(database, "exit with thread", max_attempts=1)
    worker.run_trial()
    [attempt] = trial_of(database, job).attempts
    assert attempt.reason == "the trainer process closed its pipe and did not end: it was killed"


def test_a_segmentation_fault_is_named(database: Database, worker: Supervised) -> None:
    job = odd_job(database, "segmentation fault", max_attempts=1)
    worker.run_trial()
    trial = trial_of(database, job)
    assert [attempt.reason for attempt in trial.attempts] == ["the trainer process was killed by SIGSEGV"]


def test_a_trial_that_kills_its_worker_each_time_fails_and_the_job_goes_on(database: Database, start_worker: Start) -> None:
    job = odd_job(database, "kills its worker", max_attempts=2, max_parallel=1, budget={"trials": 2})
    for _ in range(2):
        assert start_worker().wait() == -signal.SIGKILL
    claimer, found = Claimer(database, uuid4(), ["odd"], lease_s=60), []

    def has_claimed() -> bool:
        found.append(claimer.claim(uuid4()))
        return found[-1] is not None

    wait_until(has_claimed, "the next trial")
    assert found[-1] is not None
    assert found[-1].lease.number == 1, "the job goes on"
    trial = trial_of(database, job)
    assert trial.state is TrialState.FAILED
    assert [attempt.outcome for attempt in trial.attempts] == [Outcome.VANISHED] * 2
    assert trial.error is not None
    assert "2 attempts in a row ended without a new measurement" in trial.error.message
    assert "vanished" in trial.error.message
