"""What users may do to a job, from every state."""

from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from service.dispatch import lifecycle
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Failed
from service.dispatch.renew import Answer, report, should_prune
from service.dispatch.sweeper import sweep
from service.domain.job import FINAL, Job, JobState
from service.domain.trial import TrialError
from service.errors import IllegalMove, JobNotFound, LeaseLost
from service.store import leases
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import LEASE_S, claimed, claimer_of, conclude, current, events, state_of, stored
from tests.polling import wait_until

ERROR = Failed(error=TrialError(type="RuntimeError", message="out of luck"))
ACTIONS: dict[str, Callable[[sa.Connection, UUID], None]] = {
    "cancel": lifecycle.cancel,
    "pause": lifecycle.pause,
    "resume": lifecycle.resume,
    "delete": lifecycle.delete,
}
STATES = ["queued", "running", "paused before its first claim", "paused while it ran", "completed", "failed", "cancelled"]
DELETED = "deleted"
REFUSED = "refused"
OUTCOMES = {
    #                                 cancel       pause      resume      delete
    "queued": ("cancelled", "paused", "queued", REFUSED),
    "running": ("cancelled", "paused", "running", REFUSED),
    "paused before its first claim": ("cancelled", "paused", "queued", REFUSED),
    "paused while it ran": ("cancelled", "paused", "running", REFUSED),
    "completed": (REFUSED, REFUSED, REFUSED, DELETED),
    "failed": (REFUSED, REFUSED, REFUSED, DELETED),
    "cancelled": ("cancelled", REFUSED, REFUSED, DELETED),
}


def act(database: Database, job: Job, action: str) -> None:
    database.transact(partial(ACTIONS[action], job_id=job.id))  # type: ignore[call-arg]


def job_in(database: Database, state: str) -> Job:
    """A job brought to `state` in the usual way."""
    job = submit_job(database, budget={"trials": 1, "failures": 1} if state in ("completed", "failed") else {"trials": 5})
    if state not in ("queued", "paused before its first claim", "cancelled"):
        claim = claimed(claimer_of(database))
        if state in ("completed", "failed"):
            conclude(database, claim, Completed(value=1.0) if state == "completed" else ERROR)
    if state.startswith("paused"):
        act(database, job, "pause")
    if state == "cancelled":
        act(database, job, "cancel")
    assert state_of(database, job) == state.split()[0]
    return job


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", STATES)
def test_every_action_in_every_state_leads_where_the_table_says(database: Database, state: str, action: str) -> None:
    job = job_in(database, state)
    before, told = current(database, job), events(database, job)
    outcome = OUTCOMES[state][list(ACTIONS).index(action)]
    if outcome == REFUSED:
        with pytest.raises(IllegalMove) as refused:
            act(database, job, action)
        assert refused.value.state == before.state
        assert str(job.id) in str(refused.value)
        assert before.state in str(refused.value)
    else:
        act(database, job, action)
    if outcome == DELETED:
        with pytest.raises(JobNotFound):
            current(database, job)
        return
    assert state_of(database, job) == (before.state if outcome == REFUSED else outcome)
    if state_of(database, job) == before.state:  # refused, or already in that state
        assert (current(database, job), events(database, job)) == (before, told)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_job_that_is_not_there_is_not_found(database: Database, action: str) -> None:
    with pytest.raises(JobNotFound):
        database.transact(partial(ACTIONS[action], job_id=uuid4()))  # type: ignore[call-arg]


def test_a_cancelled_job_stops_its_trials_and_their_workers_learn_of_it(database: Database) -> None:
    job = submit_job(
        database, strategy="bayesian", pruner="successive_halving", try_first=[{"learning_rate": r} for r in (0.1, 0.2, 0.3)]
    )
    claimer = claimer_of(database)
    measured, unmeasured = claimed(claimer), claimed(claimer)
    curve = [measurement(1, 3.0), measurement(2, 2.0)]
    database.transact(lambda conn: report(conn, job, measured.lease, curve, lease_s=LEASE_S))
    act(database, job, "cancel")
    trials = stored(database, job)
    assert [(trial.state, trial.value) for trial in trials] == [
        (TrialState.PRUNED, 2.0),
        (TrialState.FAIL, None),
        (TrialState.FAIL, None),
    ]
    assert {trial.user_attrs["stopped_by"] for trial in trials} == {"cancelled"}
    for claim in (measured, unmeasured):
        for tell in (
            lambda conn, lease=claim.lease: report(conn, job, lease, [], lease_s=LEASE_S),
            lambda conn, lease=claim.lease: report(conn, job, lease, [measurement(3)], lease_s=LEASE_S),
            lambda conn, lease=claim.lease: finish(conn, lease, Completed(value=1.0), lease_s=LEASE_S),
            lambda conn, lease=claim.lease: leases.release(conn, lease, "no matter"),
        ):
            with pytest.raises(LeaseLost):
                database.transact(tell)
        with pytest.raises(LeaseLost):
            claimer.retry(claim, uuid4(), "killed", "")
    with pytest.raises(LeaseLost):
        should_prune(database, claimer.cache, job, measured.lease)
    assert stored(database, job) == trials
    with database.transaction() as conn:
        [attempt] = leases.attempts(conn, [measured.lease.trial_id])[measured.lease.trial_id]
        assert (attempt.outcome, attempt.reason) == ("stopped", "cancelled")


def test_a_deleted_job_leaves_nothing_behind_and_its_workers_only_lose_their_leases(database: Database) -> None:
    job = submit_job(database, strategy="bayesian", pruner="successive_halving")
    claimer = claimer_of(database)
    claim = claimed(claimer)
    database.transact(lambda conn: report(conn, job, claim.lease, [measurement(1)], lease_s=LEASE_S))
    act(database, job, "cancel")
    act(database, job, "delete")
    for tell in (
        lambda conn: report(conn, job, claim.lease, [], lease_s=LEASE_S),
        lambda conn: finish(conn, claim.lease, Completed(value=1.0), lease_s=LEASE_S),
    ):
        with pytest.raises(LeaseLost):
            database.transact(tell)
    with pytest.raises(LeaseLost):
        claimer.retry(claim, uuid4(), "killed", "")
    with pytest.raises(LeaseLost):
        should_prune(database, claimer_of(database).cache, job, claim.lease)
    assert claimer.reclaim(claim.lease.token) is None
    assert claimer.claim(uuid4()) is None
    with database.transaction() as conn:
        for table in ("stride.leases", "stride.measurements", "optuna.trials", "optuna.studies", "optuna.trial_params"):
            assert conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0, table


# Pause and resume


def test_a_paused_job_starts_nothing_and_has_its_trials_given_back(database: Database) -> None:
    job = submit_job(database)
    claimer = claimer_of(database)
    claim = claimed(claimer)
    act(database, job, "pause")
    assert claimer.claim(uuid4()) is None
    answer = database.transact(lambda conn: report(conn, job, claim.lease, [measurement(1)], lease_s=LEASE_S))
    assert answer is Answer.GIVE_BACK
    assert [trial.state for trial in stored(database, job)] == [TrialState.RUNNING]


def test_a_trial_that_was_given_back_is_first_in_line_at_resume(database: Database) -> None:
    job = submit_job(database)
    urgent = submit_job(database, priority=5)
    with database.transaction() as conn:
        lifecycle.pause(conn, urgent.id)
    claim = claimed(claimer_of(database))
    act(database, job, "pause")
    database.transact(lambda conn: leases.release(conn, claim.lease, "its job was paused"))
    act(database, urgent, "resume")
    act(database, job, "resume")
    again = claimed(claimer_of(database))
    assert (again.job.id, again.lease.number, again.lease.attempt) == (job.id, 0, 2)
    assert again.params == claim.params


def test_a_trial_that_finishes_while_its_job_is_paused_is_kept_and_the_job_completes_at_resume(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1})
    claim = claimed(claimer_of(database))
    act(database, job, "pause")
    conclude(database, claim, Completed(value=1.0))
    assert state_of(database, job) is JobState.PAUSED
    assert stored(database, job)[0].value == 1.0
    act(database, job, "resume")
    assert state_of(database, job) is JobState.COMPLETED
    assert events(database, job)[-2:] == ["job.resumed", "job.completed"]


def test_a_target_that_was_reached_during_a_pause_completes_the_job_at_resume(database: Database) -> None:
    job = submit_job(database, budget={"trials": 5, "target": 1.0})
    claim = claimed(claimer_of(database))
    act(database, job, "pause")
    conclude(database, claim, Completed(value=0.5))
    act(database, job, "resume")
    assert (current(database, job).state, current(database, job).reason) == (JobState.COMPLETED, "target reached: 0.5")


def test_failures_during_a_pause_fail_the_job_at_resume_and_the_reason_names_the_error(database: Database) -> None:
    job = submit_job(database, budget={"trials": 5, "failures": 2})
    claimer = claimer_of(database)
    claims = [claimed(claimer), claimed(claimer)]
    act(database, job, "pause")
    for claim in claims:
        conclude(database, claim, ERROR)
    act(database, job, "resume")
    ended = current(database, job)
    assert (ended.state, ended.reason) == (JobState.FAILED, "2 trials failed in a row; the last one: RuntimeError: out of luck")


# budget.seconds


def test_the_clock_starts_with_the_first_claim_and_stands_still_during_a_pause(database: Database) -> None:
    job = submit_job(database, budget={"seconds": 100.0})
    assert current(database, job).deadline_at is None
    act(database, job, "pause")
    act(database, job, "resume")
    assert current(database, job).deadline_at is None
    claimed(claimer_of(database))
    running = current(database, job)
    first = running.deadline_at
    assert first is not None
    assert running.started_at is not None
    assert (first - running.started_at).total_seconds() == pytest.approx(100, abs=0.01), "no clock has run before"
    claimed(claimer_of(database))
    assert current(database, job).deadline_at == first
    act(database, job, "pause")
    assert current(database, job).deadline_at is None
    with database.transaction() as conn:  # the pause goes on
        conn.exec_driver_sql("SELECT pg_sleep(0.05)")
    act(database, job, "resume")
    resumed = current(database, job).deadline_at
    assert resumed is not None
    assert (resumed - first).total_seconds() > 0.05


def test_a_job_whose_time_is_over_is_completed_by_whoever_sweeps(database: Database) -> None:
    job = submit_job(database, budget={"seconds": 0.05})
    other = submit_job(database, budget={"seconds": 100.0})
    claimer = claimer_of(database)
    claim, _ = claimed(claimer), claimed(claimer)
    assert claim.job.id == job.id

    def swept() -> bool:
        sweep(database)
        return state_of(database, job) is JobState.COMPLETED

    wait_until(swept, "the end of the job")
    assert current(database, job).reason == "time budget used up"
    assert state_of(database, other) is JobState.RUNNING
    with pytest.raises(LeaseLost):
        conclude(database, claim, Completed(value=1.0))


def test_a_job_whose_time_is_over_starts_no_further_trial(database: Database) -> None:
    job = submit_job(database, budget={"seconds": 0.001})
    claimer = claimer_of(database)
    claimed(claimer)
    wait_until(lambda: database.transact(_seconds_over) == [job.id], "the end of the time")
    assert claimer.claim(uuid4()) is None


def _seconds_over(conn: sa.Connection) -> list[UUID]:
    return list(conn.exec_driver_sql("SELECT id FROM stride.jobs WHERE deadline_at < clock_timestamp()").scalars())


def test_a_paused_job_does_not_run_out_of_time(database: Database) -> None:
    job = submit_job(database, budget={"seconds": 0.05})
    claimed(claimer_of(database))
    act(database, job, "pause")
    with database.transaction() as conn:
        conn.exec_driver_sql("SELECT pg_sleep(0.1)")
    sweep(database)
    assert state_of(database, job) is JobState.PAUSED
    act(database, job, "resume")
    assert state_of(database, job) is JobState.RUNNING


def test_no_final_job_can_be_swept_again(database: Database) -> None:
    for state in FINAL:
        job = job_in(database, state)
        before = current(database, job)
        database.transact(partial(lifecycle.expire, job_id=job.id))
        assert current(database, job) == before
