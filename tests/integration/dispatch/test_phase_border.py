"""What happens where a job goes on to its next phase: to what runs, waits, is paused, cancelled and taken over."""

from uuid import uuid4

from optuna.trial import TrialState

from service.dispatch import lifecycle
from service.dispatch.renew import report, should_prune
from service.domain.job import JobState
from service.store import jobs, trial_reader
from service.store.postgres import Database
from tests.factories import measurement, submit_job_of_phases
from tests.integration.dispatch.phases import HIGH, LOW, NARROW, complete, complete_next, narrowed, phases_of
from tests.integration.dispatch.test_claim import foreign
from tests.integration.dispatch.test_takeover import expire
from tests.integration.dispatch.training import (
    LEASE_S,
    SPACE,
    claimed,
    claimer_of,
    run_job,
    state_of,
    stored,
)


def test_running_trials_of_the_phase_before_are_not_waited_for(database: Database) -> None:
    job = submit_job_of_phases(database, 2, narrowed("bayesian"), budget={"trials": 4})
    claimer = claimer_of(database)
    running = [claimed(claimer) for _ in range(4)]
    assert [claim.job.phase.position for claim in running] == [0, 0, 1, 1]
    for claim in reversed(running):
        assert state_of(database, job) is JobState.RUNNING
        complete(database, claim)
    assert state_of(database, job) is JobState.COMPLETED


def test_no_more_trials_run_at_once_over_the_border_than_the_job_allows(database: Database) -> None:
    submit_job_of_phases(database, 3, narrowed("random"), budget={"trials": 6}, max_parallel=2)
    claimer = claimer_of(database)
    running = [claimed(claimer), claimed(claimer)]
    for position in (0, 1, 1, 1):
        assert claimer.claim(uuid4()) is None
        complete(database, running.pop(0))
        running.append(claimed(claimer))
        assert running[-1].job.phase.position == position


def test_a_job_paused_at_the_border_goes_on_with_its_next_phase(database: Database) -> None:
    job = submit_job_of_phases(database, 2, narrowed("random"), budget={"trials": 3})
    claimer = claimer_of(database)
    first, second = claimed(claimer), claimed(claimer)
    complete(database, first)
    database.transact(lambda conn: lifecycle.pause(conn, job.id))
    complete(database, second)
    assert claimer.claim(uuid4()) is None
    assert state_of(database, job) is JobState.PAUSED
    database.transact(lambda conn: lifecycle.resume(conn, job.id))
    assert state_of(database, job) is JobState.RUNNING, "a phase is left"
    assert complete_next(database, claimer).job.phase.position == 1
    assert state_of(database, job) is JobState.COMPLETED


def test_a_cancel_ends_the_trials_of_every_phase(database: Database) -> None:
    job = submit_job_of_phases(database, 1, narrowed("random"), budget={"trials": 3})
    claimer = claimer_of(database)
    claimed(claimer), claimed(claimer)
    database.transact(lambda conn: lifecycle.cancel(conn, job.id))
    assert [trial.state for trial in stored(database, job)] == [TrialState.FAIL] * 2
    assert claimer.claim(uuid4()) is None


def test_a_trial_taken_over_in_a_later_phase_is_the_one_that_it_was(database: Database) -> None:
    """It lies outside of the later space, where a parameter that it searched is fixed, too."""
    space = {"learning_rate": SPACE["learning_rate"], "momentum": {"type": "float", "low": 0.0, "high": 0.5}, "epochs": 4}
    later = {"search_space": space | NARROW | {"momentum": 0.9, "epochs": 2}, "strategy": "bayesian"}
    job = submit_job_of_phases(
        database, 1, later, strategy="random", search_space=space, budget={"trials": 2}, pruner="median", seed=1
    )
    first, second = claimed(claimer_of(database)), claimed(claimer_of(database))
    assert not LOW <= first.params["learning_rate"] <= HIGH
    expire(database, first)
    claimer = claimer_of(database)
    again = claimed(claimer)
    assert (again.params, again.training_seed, again.lease.attempt) == (first.params, first.training_seed, 2)
    assert (again.job.phase.position, second.job.phase.position) == (0, 1)
    assert (again.params["epochs"], second.params["epochs"], second.params["momentum"]) == (4, 2, 0.9)
    database.transact(lambda conn: report(conn, again.job, again.lease, [measurement(1)], lease_s=LEASE_S))
    assert not should_prune(database, claimer.cache, again.job, again.lease)
    retried = claimer.retry(again, uuid4(), "killed", "")
    assert retried is not None
    assert (retried.params, retried.job.phase.position) == (first.params, 0)
    assert claimer.reclaim(retried.lease.token) == retried
    with database.transaction() as conn:
        shown = trial_reader.page(conn, jobs.get(conn, job.id), limit=9)
    assert [trial.params for trial in shown] == [first.params, second.params]
    complete(database, retried)
    complete(database, second)
    assert state_of(database, job) is JobState.COMPLETED


def test_an_enqueued_trial_belongs_to_the_phase_in_which_it_is_claimed(database: Database) -> None:
    tried = [{"learning_rate": 1e-5}]
    job = submit_job_of_phases(database, 2, narrowed("bayesian"), try_first=tried, search_space=SPACE, budget={"trials": 5})
    claimer = claimer_of(database)
    for _ in range(3):
        complete_next(database, claimer)
    with foreign(database, job) as study:
        study.enqueue_trial({"learning_rate": 0.25})
    run_job(database, claimer)
    trials = stored(database, job)
    assert phases_of(trials) == [0, 0, 1, 1, 1]
    assert [trials[0].params["learning_rate"], trials[3].params["learning_rate"]] == [1e-5, 0.25]


def test_trials_that_wait_when_the_share_is_issued_are_claimed_before_the_next_phase(database: Database) -> None:
    tried = [{"learning_rate": rate} for rate in (1e-5, 1e-4, 1e-3)]
    job = submit_job_of_phases(database, 2, narrowed("random"), try_first=tried, search_space=SPACE, budget={"trials": 4})
    run_job(database, claimer_of(database))
    assert phases_of(stored(database, job)) == [0, 0, 0, 1]
