"""Replies that were lost: by its token it is found what became of a claim and of a lease."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from service.dispatch.outcome import Completed
from service.domain.lease import Outcome
from service.errors import LeaseLost
from service.store import leases
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.training import LEASE_S, claimed, claimer_of, conclude, current


def test_a_claim_whose_reply_was_lost_is_found_by_its_token(database: Database) -> None:
    submit_job(database)
    claimer, token = claimer_of(database), uuid4()
    claim = claimer.claim(token)
    assert claim is not None
    assert claimer.reclaim(token) == replace(claim, job=current(database, claim.job))


def test_a_claim_that_is_found_again_late_has_its_whole_lease_before_it(database: Database) -> None:
    submit_job(database)
    claimer = claimer_of(database)
    claim = claimed(claimer)
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.leases SET expires_at = clock_timestamp() + interval '1 second'")
    assert claimer.reclaim(claim.lease.token) is not None
    with database.transaction() as conn:
        left = conn.exec_driver_sql("SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM stride.leases").scalar_one()
    assert float(left) > LEASE_S / 2


def test_a_claim_that_never_took_place_is_not_found(database: Database) -> None:
    submit_job(database)
    assert claimer_of(database).reclaim(uuid4()) is None


def test_a_claim_that_ended_meanwhile_is_not_found(database: Database) -> None:
    submit_job(database)
    claimer = claimer_of(database)
    claim = claimed(claimer)
    conclude(database, claim, Completed(value=1.0))
    assert claimer.reclaim(claim.lease.token) is None


def test_how_a_lease_ended_can_be_asked_by_its_token(database: Database) -> None:
    submit_job(database)
    claim = claimed(claimer_of(database))
    with database.transaction() as conn:
        assert leases.by_token(conn, claim.lease.token) == (claim.lease, None)
        assert leases.by_token(conn, uuid4()) is None
    conclude(database, claim, Completed(value=1.0))
    with database.transaction() as conn:
        assert leases.by_token(conn, claim.lease.token) == (claim.lease, Outcome.FINISHED)


def test_a_retry_whose_reply_was_lost_is_found_by_its_token(database: Database) -> None:
    submit_job(database)
    claimer, token = claimer_of(database), uuid4()
    first = claimed(claimer)
    second = claimer.retry(first, token, "killed", "")
    assert second is not None
    with pytest.raises(LeaseLost):
        claimer.retry(first, token, "killed", "")
    found = claimer.reclaim(token)
    assert found is not None
    assert found.lease == second.lease


def test_a_token_leases_one_trial_only(database: Database) -> None:
    submit_job(database)
    token: UUID = uuid4()
    assert claimer_of(database).claim(token) is not None
    with pytest.raises(Exception, match="leases_token_key"):
        claimer_of(database).claim(token)
