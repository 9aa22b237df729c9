"""Workers as processes: asked to stop, killed, cut off from the database, and their jobs ended under them."""

import signal
import time
from functools import partial
from uuid import uuid4

import psutil
import pytest

from objectives.catalog import load_catalog
from service.dispatch import lifecycle
from service.dispatch.attempt import Claim
from service.dispatch.outcome import Completed
from service.domain.job import Job, JobState
from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.store import jobs, trial_reader
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.training import claimer_of, conclude
from tests.integration.worker.conftest import Start
from tests.integration.worker.supervised import MODULES
from tests.integration.worker.watching import (
    attempts_of,
    log_of,
    log_of_running,
    long_job,
    state_of,
    steps_of,
    trial_of,
    wait_for_claim,
    wait_for_end,
    wait_for_steps,
    workers_of,
)
from tests.polling import wait_until

TAKE_OVER_S = 10.0


def released(database: Database, job: Job) -> Claim:
    """The trial, claimed at once by somebody else."""
    claim = claimer_of(database).claim(uuid4())
    assert claim is not None, "a released lease can be claimed at once"
    assert (claim.job.id, claim.lease.number, claim.lease.attempt) == (job.id, 0, 2)
    assert attempts_of(database, job)[0].outcome is Outcome.RELEASED
    return claim


def test_a_worker_shows_that_it_lives_and_that_it_has_stopped(database: Database, start_worker: Start) -> None:
    worker = start_worker()
    wait_until(lambda: bool(workers_of(database)), "the worker")
    [found] = workers_of(database)
    assert found.name.endswith(f":{worker.pid}")
    assert (found.state, found.objectives) == ("idle", sorted(load_catalog(MODULES)))
    wait_until(lambda: workers_of(database)[0].seen_at > found.seen_at, "a sign of life")
    assert worker.stop() == 0
    assert workers_of(database)[0].state == "stopped"


def test_asked_to_stop_a_worker_ends_the_step_under_way_and_gives_the_trial_back_with_a_checkpoint(
    database: Database, start_worker: Start
) -> None:
    job = long_job(database, epochs=40, epoch_s=0.3, budget={"trials": 5})
    worker = start_worker(STRIDE_GRACE_S="30", STRIDE_LEASE_S="60")
    wait_for_steps(database, job)
    assert worker.stop() == 0
    trained = steps_of(database, job)
    assert attempts_of(database, job)[0].reason == "its worker is stopping"
    start_worker()
    wait_until(lambda: len(attempts_of(database, job)) == 2, "the next attempt")  # the lease lasts 60 s
    wait_until(lambda: attempts_of(database, job)[1].from_step == trained, "its start from the checkpoint")
    with database.transaction() as conn:
        assert len(trial_reader.page(conn, job, limit=10)) == 1, "it took no other trial"


def test_asked_to_stop_a_worker_gives_up_a_step_that_takes_longer_than_its_grace(database: Database, start_worker: Start) -> None:
    job = long_job(database, epoch_s=600.0)
    worker = start_worker(STRIDE_GRACE_S="0.3", STRIDE_LEASE_S="60")
    wait_for_claim(database, job)
    assert worker.stop() == 0
    assert trial_of(database, job).state is TrialState.RUNNING
    claim = released(database, job)
    assert attempts_of(database, job)[0].reason == "its worker is stopping; the step under way was given up"
    conclude(database, claim, Completed(value=1.0))
    assert state_of(database, job) is JobState.COMPLETED


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_twice_a_worker_stops_at_once(database: Database, start_worker: Start, first: signal.Signals) -> None:
    job = long_job(database, epoch_s=600.0)
    worker = start_worker(STRIDE_GRACE_S="600", STRIDE_LEASE_S="60")
    wait_until(lambda: "training" in log_of_running(database, job), "the first words of the run")
    worker.signal(first)
    time.sleep(1.5)
    assert worker.is_running(), "it waits for the step under way"
    asked_at = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - asked_at < 20
    released(database, job)


def test_an_idle_worker_stops_at_once(database: Database, start_worker: Start) -> None:
    worker = start_worker(STRIDE_GRACE_S="600", STRIDE_POLL_S="600")
    wait_until(lambda: bool(workers_of(database)), "the worker")
    assert worker.stop() == 0


def test_a_killed_worker_takes_its_trainer_along_and_another_one_takes_over(database: Database, start_worker: Start) -> None:
    job = long_job(database, epochs=60, epoch_s=0.05)
    victim = start_worker()
    wait_for_steps(database, job)
    params = trial_of(database, job).params
    [trainer] = victim.trainers()
    victim.signal(signal.SIGKILL)
    victim.wait()
    wait_until(lambda: not psutil.pid_exists(trainer), "the end of the trainer")
    start_worker()
    wait_for_end(database, job)
    trial = trial_of(database, job)
    assert (trial.state, trial.params) == (TrialState.COMPLETE, params)
    assert [attempt.outcome for attempt in trial.attempts] == [Outcome.VANISHED, Outcome.FINISHED]
    assert steps_of(database, job) == 60


def test_a_killed_worker_takes_its_trainer_along_from_the_middle_of_a_long_step(database: Database, start_worker: Start) -> None:
    job = long_job(database, epoch_s=600.0)
    victim = start_worker()
    wait_for_claim(database, job)
    wait_until(lambda: "training" in log_of(database, job), "the first words of the run")
    [trainer] = victim.trainers()
    victim.signal(signal.SIGKILL)
    victim.wait()
    wait_until(lambda: not psutil.pid_exists(trainer), "the end of the trainer")


def test_a_stopped_process_loses_its_trial_and_leaves_it_alone_when_it_wakes(database: Database, start_worker: Start) -> None:
    job = long_job(database)
    sleeper = start_worker()
    wait_for_steps(database, job)
    sleeper.signal(signal.SIGSTOP)
    found: list[Claim] = []

    def take_over() -> bool:
        claim = claimer_of(database, lease_s=600).claim(uuid4())
        found.extend([claim] if claim else [])
        return claim is not None

    wait_until(take_over, "the takeover", TAKE_OVER_S)
    sleeper.signal(signal.SIGCONT)
    wait_until(lambda: "lease.lost" in sleeper.log, "the news of the lost lease")
    conclude(database, found[0], Completed(value=0.125))
    assert trial_of(database, job).value == 0.125
    follow_up = long_job(database, epochs=2)
    wait_for_end(database, follow_up)


# Jobs that end under their workers


@pytest.mark.parametrize("action", ["cancel", "delete"])
def test_a_worker_drops_the_trial_of_a_job_that_was_ended_and_takes_the_next(
    database: Database, start_worker: Start, action: str
) -> None:
    job = long_job(database)
    worker = start_worker()
    wait_for_steps(database, job)
    trainers = worker.trainers()
    with database.transaction() as conn:
        lifecycle.cancel(conn, job.id)
        if action == "delete":
            lifecycle.delete(conn, job.id)
    follow_up = long_job(database, epochs=2)
    wait_for_end(database, follow_up)
    assert worker.trainers() == trainers, "the trainer is kept warm"
    if action == "cancel":
        assert trial_of(database, job).state is TrialState.PRUNED
    assert worker.stop() == 0


def test_a_paused_job_has_its_trial_given_back_and_goes_on_at_resume(database: Database, start_worker: Start) -> None:
    job = long_job(database, epochs=60, epoch_s=0.05)
    worker = start_worker()
    wait_for_steps(database, job)
    trainers = worker.trainers()
    database.transact(partial(lifecycle.pause, job_id=job.id))
    wait_until(lambda: "lease.released" in worker.log, "the release")
    assert trial_of(database, job).state is TrialState.RUNNING
    database.transact(partial(lifecycle.resume, job_id=job.id))
    wait_for_end(database, job)
    outcomes = [(attempt.outcome, attempt.reason) for attempt in attempts_of(database, job)]
    assert outcomes == [(Outcome.RELEASED, "its job was paused"), (Outcome.FINISHED, None)]
    assert worker.trainers() == trainers, "the trainer is kept warm"


def test_a_job_whose_time_is_over_ends_though_all_workers_are_at_its_endless_trials(
    database: Database, start_worker: Start
) -> None:
    job = long_job(database, budget={"seconds": 1.0})
    other = submit_job(database, budget={"trials": 1}, priority=-5)
    start_worker()
    wait_for_end(database, job)
    with database.transaction() as conn:
        assert jobs.get(conn, job.id).reason == "time budget used up"
    assert trial_of(database, job).user_attrs["stopped_by"] == "time budget used up"
    wait_for_end(database, other)
