"""How a lease expires is defined in one place: if a function in the database is redefined, every statement follows.

So a migration can change a definition while workers of two versions share the database.
"""

from uuid import uuid4

import pytest

from service.dispatch import takeover
from service.dispatch.attempt import Claim
from service.dispatch.renew import report
from service.dispatch.sweeper import tidy_up
from service.domain.job import Job
from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.errors import DatabaseNotMigrated
from service.store import leases, trial_reader
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.training import LEASE_S, claimed, claimer_of, expire

HOUR_S = 3600.0
EXPIRY = "lease_expiry(job stride.jobs, lease_s double precision) RETURNS timestamptz"
RENEWED_EXPIRY = "renewed_expiry(lease stride.leases, job stride.jobs, lease_s double precision) RETURNS timestamptz"
IS_EXPIRED = "is_expired(lease stride.leases, for_s double precision DEFAULT 0) RETURNS boolean"
MAY_BE_TAKEN_OVER = (
    "may_be_taken_over(lease stride.leases, job stride.jobs, patience_s double precision, for_s double precision DEFAULT 0)"
    " RETURNS boolean"
)
EXPIRED_IN_OUTAGE = "expired_in_outage(lease stride.leases) RETURNS boolean"


def define(database: Database, function: str, expression: str) -> None:
    """Redefine one of the functions, as a migration would."""
    with database.transaction() as conn:
        conn.exec_driver_sql(f"CREATE OR REPLACE FUNCTION stride.{function} LANGUAGE sql RETURN {expression}")


def expires_in_s(database: Database, claim: Claim) -> float:
    with database.transaction() as conn:
        query = "SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM stride.leases WHERE id = %(id)s"
        seconds: float = conn.exec_driver_sql(query, {"id": claim.lease.id}).scalar_one()
        return seconds


def renew(database: Database, claim: Claim) -> None:
    database.transact(lambda conn: report(conn, claim.job, claim.lease, [], lease_s=LEASE_S))


def lock(database: Database, claim: Claim) -> leases.ExpiredLease | None:
    return database.transact(lambda conn: leases.lock_expired(conn, claim.lease.id))


def trial_state(database: Database, job: Job) -> TrialState:
    with database.transaction() as conn:
        return trial_reader.get(conn, job, 0).state


@pytest.fixture(autouse=True)
def impatient_sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else leases would have to expire before the server of the tests was started."""
    monkeypatch.setattr(takeover, "ABANDONED_AFTER_S", 0.1)


# Where every open lease counts as expired


def test_a_claim_takes_over_what_counts_as_expired(database: Database) -> None:
    submit_job(database, budget={"trials": 1}, max_attempts=5)
    first = claimed(claimer_of(database))
    assert claimer_of(database).claim(uuid4()) is None
    assert lock(database, first) is None
    define(database, IS_EXPIRED, "lease.ended_at IS NULL")
    assert lock(database, first) is not None
    assert claimed(claimer_of(database)).lease.attempt == 2


def test_the_sweeper_fails_a_trial_whose_last_lease_counts_as_expired(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=1)
    claimed(claimer_of(database))
    tidy_up(database)
    assert trial_state(database, job) is TrialState.RUNNING
    define(database, IS_EXPIRED, "lease.ended_at IS NULL")
    tidy_up(database)
    assert trial_state(database, job) is TrialState.FAILED


# Where none does


@pytest.mark.parametrize("function", [IS_EXPIRED, MAY_BE_TAKEN_OVER], ids=["is_expired", "may_be_taken_over"])
def test_nobody_takes_over_or_fails_what_does_not_count_as_expired(database: Database, function: str) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=1)
    first = claimed(claimer_of(database))
    expire(database, first, ago_s=0.2)
    assert lock(database, first) is not None
    define(database, function, "false")
    assert claimer_of(database).claim(uuid4()) is None
    tidy_up(database)
    assert trial_state(database, job) is TrialState.RUNNING
    if function == IS_EXPIRED:
        assert lock(database, first) is None


# When a lease expires


def test_leases_begin_and_are_renewed_by_the_same_expiry(database: Database) -> None:
    submit_job(database, budget={"trials": 2})
    before = claimed(claimer_of(database))
    define(database, EXPIRY, f"clock_timestamp() + make_interval(secs => lease_s + {HOUR_S})")
    begun = claimed(claimer_of(database))
    renew(database, before)
    for claim in (before, begun):
        assert expires_in_s(database, claim) == pytest.approx(LEASE_S + HOUR_S, abs=10)
    database.transact(lambda conn: leases.release(conn, begun.lease, "its worker is stopping"))
    assert expires_in_s(database, begun) <= 0, "a released trial is free at once"


def test_a_report_renews_as_far_as_a_renewal_goes(database: Database) -> None:
    submit_job(database, budget={"trials": 1})
    claim = claimed(claimer_of(database))
    define(database, RENEWED_EXPIRY, f"lease.started_at + make_interval(secs => {HOUR_S})")
    renew(database, claim)
    assert expires_in_s(database, claim) == pytest.approx(HOUR_S, abs=10)


# Excused attempts


def test_what_counts_as_an_outage_is_no_fault_of_the_trial(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1}, max_attempts=1)
    expire(database, claimed(claimer_of(database)))
    define(database, EXPIRED_IN_OUTAGE, "true")
    claim = claimed(claimer_of(database))
    with database.transaction() as conn:
        ended = leases.attempts(conn, [claim.lease.trial_id])[claim.lease.trial_id][0]
    assert (ended.outcome, ended.reason) == (Outcome.VANISHED, "it expired while the database was down")
    assert trial_state(database, job) is TrialState.RUNNING


def test_a_database_that_lacks_a_function_is_not_migrated(database: Database) -> None:
    submit_job(database, budget={"trials": 1})
    with database.transaction() as conn:
        conn.exec_driver_sql("DROP FUNCTION stride.expired_in_outage(stride.leases)")
    with pytest.raises(DatabaseNotMigrated):
        lock(database, claimed(claimer_of(database)))
