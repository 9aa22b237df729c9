"""Which expired leases count as attempts, and who may take a trial over after an outage."""

import time
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import pytest

from service.dispatch import takeover
from service.dispatch.attempt import Claim
from service.dispatch.outcome import Completed
from service.dispatch.patience import RENEWAL_S
from service.dispatch.renew import report
from service.dispatch.sweeper import tidy_up
from service.dispatch.takeover import fail_abandoned
from service.domain.job import Job, JobState
from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.errors import DatabaseUnavailable, LeaseLost
from service.store import leases, trial_reader
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import LEASE_S, claimed, claimer_of, conclude, current, events, expire
from tests.polling import wait_until
from tests.tcp_proxy import Mode, TcpProxy

SHORT_S = 0.4
TIMEOUT_S = 1.5


def give_back(database: Database, claim: Claim) -> None:
    database.transact(lambda conn: leases.release(conn, claim.lease, "its worker is stopping"))


def excused(database: Database, claim: Claim) -> bool:
    with database.transaction() as conn:
        query = "SELECT excused FROM stride.leases WHERE id = %(id)s"
        answer: bool = conn.exec_driver_sql(query, {"id": claim.lease.id}).scalar_one()
        return answer


def outcomes(database: Database, job: Job) -> list[Outcome | None]:
    with database.transaction() as conn:
        return [attempt.outcome for attempt in trial_reader.get(conn, job, 0).attempts]


def trial_state(database: Database, job: Job) -> TrialState:
    with database.transaction() as conn:
        return trial_reader.get(conn, job, 0).state


# What the sweeper does when no worker is there.


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else leases would have to expire before the server of the tests was started."""
    monkeypatch.setattr(takeover, "ABANDONED_AFTER_S", 0.1)


@pytest.mark.usefixtures("impatient")
def test_a_trial_past_its_attempts_fails_though_no_worker_is_there(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=2)
    first = claimed(claimer_of(database))
    expire(database, first)
    second = claimed(claimer_of(database))
    expire(database, second, ago_s=0.2)
    tidy_up(database)
    assert trial_state(database, job) is TrialState.FAILED
    assert outcomes(database, job) == [Outcome.VANISHED] * 2
    assert current(database, job).state is JobState.FAILED
    assert events(database, job)[-3:] == ["lease.taken_over", "trial.failed", "job.failed"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("attempts", "ago_s"), [(1, 0.2), (2, 0.0)], ids=["attempts left", "just expired"])
def test_the_sweeper_leaves_other_expired_leases_to_the_workers(database: Database, attempts: int, ago_s: float) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=2)
    for _ in range(attempts):
        claim = claimed(claimer_of(database))
        expire(database, claim)
    expire(database, claim, ago_s=ago_s)
    tidy_up(database)
    assert trial_state(database, job) is TrialState.RUNNING
    assert outcomes(database, job)[-1] is None, "its worker may still renew"
    database.transact(lambda conn: report(conn, claim.job, claim.lease, [], lease_s=LEASE_S))


@pytest.mark.usefixtures("impatient")
def test_the_sweeper_does_not_count_attempts_that_measured_or_were_given_back(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=1)
    first = claimed(claimer_of(database))
    give_back(database, first)
    second = claimed(claimer_of(database))
    database.transact(lambda conn: report(conn, second.job, second.lease, [measurement(1)], lease_s=LEASE_S))
    expire(database, second, ago_s=0.2)
    tidy_up(database)
    assert trial_state(database, job) is TrialState.RUNNING


@pytest.mark.usefixtures("impatient")
def test_the_sweeper_leaves_a_paused_jobs_trials_alone(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=1)
    claim = claimed(claimer_of(database))
    expire(database, claim, ago_s=0.2)
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.jobs SET state = 'paused' WHERE id = %(id)s", {"id": job.id})
    tidy_up(database)
    assert trial_state(database, job) is TrialState.RUNNING


# Workers that come back.


def test_a_worker_that_comes_back_after_its_trial_was_taken_over_costs_it_no_attempt(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=2)
    for _ in range(4):
        paused = claimed(claimer_of(database))
        expire(database, paused)
        following = claimed(claimer_of(database))
        with pytest.raises(LeaseLost):
            database.transact(lambda conn, claim=paused: report(conn, claim.job, claim.lease, [], lease_s=LEASE_S))  # type: ignore[misc]
        database.transact(lambda conn, claim=paused: leases.excuse(conn, claim.lease.token))  # type: ignore[misc]
        assert excused(database, paused)
        give_back(database, following)
    assert trial_state(database, job) is TrialState.RUNNING
    assert [attempt.outcome for attempt in attempts_of(database, job)] == [Outcome.VANISHED, Outcome.RELEASED] * 3 + [
        Outcome.VANISHED,
        None,
    ]
    assert attempts_of(database, job)[0].reason == "its worker lost touch with the database for longer than the lease"


def attempts_of(database: Database, job: Job) -> tuple[leases.Attempt, ...]:
    with database.transaction() as conn:
        return trial_reader.get(conn, job, 0).attempts


def test_only_a_vanished_attempt_is_excused(database: Database) -> None:
    job = submit_job(database, budget={"trials": 2})
    done, running = claimed(claimer_of(database)), claimed(claimer_of(database))
    conclude(database, done, Completed(value=1.0))
    for claim in (done, running):
        database.transact(lambda conn, claim=claim: leases.excuse(conn, claim.lease.token))  # type: ignore[misc]
        assert not excused(database, claim)
    assert attempts_of(database, job)[0].reason is None


# Outages: the network between all workers and the database.


@pytest.fixture
def proxy(database_url: str) -> Iterator[TcpProxy]:
    with TcpProxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: TcpProxy) -> Iterator[Database]:
    """The database through the proxy."""
    database = Database(proxy.url, timeout_s=TIMEOUT_S)
    yield database
    database.close()


def cut_off(proxy: TcpProxy, behind: Database, seconds: float) -> None:
    """An outage as seen by a process that keeps trying."""
    proxy.mode = Mode.RESET
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(DatabaseUnavailable):
            behind.transact(lambda conn: conn.exec_driver_sql("SELECT 1").scalar())
        time.sleep(0.02)
    proxy.mode = Mode.PASS
    behind.transact(lambda conn: conn.exec_driver_sql("SELECT 1").scalar())


def test_after_an_outage_expired_leases_are_left_to_their_holders_for_a_while(
    database: Database, proxy: TcpProxy, behind: Database
) -> None:
    submit_job(database, budget={"trials": 1})
    claim, other = claimed(claimer_of(database)), claimer_of(behind, lease_s=SHORT_S)
    assert other.claim(uuid4()) is None
    cut_off(proxy, behind, 2 * SHORT_S)
    expire(database, claim)

    def patient() -> bool:
        return behind.back_for(longer_than_s=SHORT_S / 2) < TIMEOUT_S + RENEWAL_S

    found = None
    while patient() and found is None:
        found = other.claim(uuid4())
        assert found is None or not patient()
    found = found or other.claim(uuid4())
    assert found is not None
    assert (found.lease.trial_id, found.lease.attempt) == (claim.lease.trial_id, 2)


@pytest.mark.usefixtures("impatient")
def test_after_an_outage_the_sweeper_fails_no_trial_whose_holder_may_come_back(
    database: Database, proxy: TcpProxy, behind: Database
) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=1)
    claim = claimed(claimer_of(database))
    tidy_up(behind)
    cut_off(proxy, behind, 0.5)
    expire(database, claim, ago_s=0.2)
    tidy_up(behind)
    assert trial_state(database, job) is TrialState.RUNNING
    wait_until(lambda: behind.back_for(longer_than_s=0.2) > TIMEOUT_S + RENEWAL_S, "the end of its patience")
    fail_abandoned(behind)
    assert trial_state(database, job) is TrialState.FAILED
