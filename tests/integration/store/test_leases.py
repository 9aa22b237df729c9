"""Leases: who may write, for how long, and what counts against a trial."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from service.dispatch import lifecycle
from service.domain.job import JobState
from service.domain.lease import Lease, Outcome
from service.domain.measurement import GroupRate
from service.errors import LeaseLost
from service.store import jobs, leases, measurements
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.integration.store.held import LEASE_S, claimed, expire, report, row, seconds_left, stored
from tests.polling import wait_until_somebody_waits_for_a_lock


def test_a_report_stores_what_was_measured_and_renews(database: Database) -> None:
    submit_job(database)
    claim = claimed(database)
    expire(database, claim.lease)
    renewal = report(database, claim.lease, 3.0, 2.0)
    assert renewal == leases.Renewal(job_state=JobState.RUNNING, released=False)
    assert stored(database, claim.job) == {0: [(1, 3.0), (2, 2.0)]}
    assert LEASE_S - 5 < seconds_left(database, claim.lease) <= LEASE_S
    assert row(database, claim.lease)["last_step"] == 2


def test_measurements_are_read_back_as_they_were_reported(database: Database) -> None:
    submit_job(database)
    claim = claimed(database)
    metrics = {"loss": math.nan, "up": math.inf, "down": -math.inf, "small": 5e-324, "exact": 0.1 + 0.2}
    item = measurement(7, metrics=metrics, fraction=1 / 3, in_warmup=True, learning_rate=1e-12, seconds=1e6)
    with database.transaction() as conn:
        leases.report(conn, claim.lease, [item], "loss", lease_s=LEASE_S)
        [found] = measurements.of_trial(conn, claim.lease.trial_id)
    assert repr(sorted(found.metrics.items())) == repr(sorted(metrics.items()))
    assert vars(found) | {"metrics": None} == vars(item) | {"metrics": None}


def test_steps_reported_again_are_overwritten(database: Database) -> None:
    submit_job(database)
    claim = claimed(database)
    report(database, claim.lease, 3.0, math.inf, 2.0)
    report(database, claim.lease, 2.5, math.nan, first_step=2)
    assert repr(stored(database, claim.job)) == repr({0: [(1, 3.0), (2, 2.5), (3, math.nan)]})
    assert row(database, claim.lease)["last_step"] == 3


DETAILS = {
    "group_rates": (
        GroupRate(group="Größe 🎛", learning_rate=0.1 + 0.2, momentum=None),
        GroupRate(group="all", learning_rate=math.inf, momentum=5e-324),
    ),
    "update_losses": ((1, 0.1 + 0.2), (2, math.inf), (2**53, -math.inf)),
    "best_step": 3,
}


def stored_details(database: Database) -> list[Any]:
    with database.transaction() as conn:
        return list(conn.exec_driver_sql("SELECT details FROM stride.measurements ORDER BY step").scalars())


@pytest.mark.parametrize("told", [{}, DETAILS, *({name: told} for name, told in DETAILS.items())], ids=list)
def test_what_a_measurement_carries_beyond_its_metrics_is_read_back_as_it_was_reported(
    database: Database, told: dict[str, Any]
) -> None:
    submit_job(database)
    claim = claimed(database)
    item = measurement(7, **told)
    with database.transaction() as conn:
        leases.report(conn, claim.lease, [measurement(6), item], "loss", lease_s=LEASE_S)
        [_, found] = measurements.of_trial(conn, claim.lease.trial_id)
        assert found == item
        assert measurements.newest(conn, claim.lease.trial_id) == item
    without, stored = stored_details(database)
    assert without is None
    assert stored is None if not told else stored.keys() == told.keys()


def test_steps_reported_again_forget_what_they_carried_before(database: Database) -> None:
    submit_job(database)
    claim = claimed(database)
    for items in ([measurement(1, **DETAILS), measurement(2)], [measurement(1), measurement(2, **DETAILS)]):
        database.transact(lambda conn, items=items: leases.report(conn, claim.lease, items, "loss", lease_s=LEASE_S))  # type: ignore[misc]
    assert [details is None for details in stored_details(database)] == [True, False]


def test_measurements_are_read_in_pages(database: Database) -> None:
    submit_job(database)
    claim = claimed(database)
    report(database, claim.lease, *[1.0] * 5)
    with database.transaction() as conn:
        found = measurements.of_trial(conn, claim.lease.trial_id, after_step=2, limit=2)
    assert [item.step for item in found] == [3, 4]


def test_a_report_without_measurements_is_a_heartbeat(database: Database) -> None:
    submit_job(database)
    claim = claimed(database)
    report(database, claim.lease, 3.0)
    expire(database, claim.lease)
    report(database, claim.lease)
    assert seconds_left(database, claim.lease) > LEASE_S - 5
    assert row(database, claim.lease)["last_step"] == 1
    assert stored(database, claim.job) == {0: [(1, 3.0)]}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_under_an_ended_lease_nothing_is_written(database: Database, outcome: Outcome) -> None:
    job = submit_job(database)
    lease = claimed(database).lease
    report(database, lease, 3.0)
    with database.transaction() as conn:
        jobs.lock(conn, job.id)
        leases.end(conn, lease, job, outcome, reason="for a reason", log_tail="last words")
    before = row(database, lease)
    with database.transaction() as conn:
        with pytest.raises(LeaseLost):
            leases.report(conn, lease, [measurement(2)], "loss", lease_s=LEASE_S, log_tail="more")
        with pytest.raises(LeaseLost):
            leases.release(conn, lease, "drain", log_tail="more")
        with pytest.raises(LeaseLost):
            leases.end(conn, lease, job, Outcome.FINISHED, log_tail="more")
        with pytest.raises(LeaseLost):
            leases.hold(conn, lease)
    assert row(database, lease) == before
    assert stored(database, job) == {0: [(1, 3.0)]}
    with database.transaction() as conn:
        assert leases.by_token(conn, lease.token) == (lease, outcome)


def test_with_another_token_nothing_is_written(database: Database) -> None:
    job = submit_job(database)
    lease = claimed(database).lease
    stranger = Lease(**vars(lease) | {"token": uuid4()})
    before = row(database, lease)
    with database.transaction() as conn:
        with pytest.raises(LeaseLost):
            leases.report(conn, stranger, [measurement(1)], "loss", lease_s=LEASE_S)
        with pytest.raises(LeaseLost):
            leases.release(conn, stranger, "drain")
        with pytest.raises(LeaseLost):
            leases.end(conn, stranger, job, Outcome.FINISHED)
        with pytest.raises(LeaseLost):
            leases.hold(conn, stranger)
        assert leases.by_token(conn, stranger.token) is None
    assert row(database, lease) == before
    assert stored(database, job) == {0: []}


def test_a_released_lease_is_never_renewed_though_what_was_measured_is_kept(database: Database) -> None:
    submit_job(database)
    claim = claimed(database)
    with database.transaction() as conn:
        leases.release(conn, claim.lease, "drain", log_tail="bye")
    released = row(database, claim.lease)
    assert report(database, claim.lease, 3.0) == leases.Renewal(job_state=JobState.RUNNING, released=True)
    after = row(database, claim.lease)
    assert after["expires_at"] == released["expires_at"]
    assert (after["reason"], after["log_tail"], after["ended_at"]) == ("drain", "bye", None)
    assert seconds_left(database, claim.lease) <= 0
    assert stored(database, claim.job) == {0: [(1, 3.0)]}


def test_a_paused_jobs_lease_is_not_extended(database: Database) -> None:
    job = submit_job(database)
    lease = claimed(database).lease
    database.transact(lambda conn: lifecycle.pause(conn, job.id))
    before = row(database, lease)["expires_at"]
    assert report(database, lease, 3.0).job_state is JobState.PAUSED
    assert row(database, lease)["expires_at"] == before
    assert stored(database, job) == {0: [(1, 3.0)]}


def test_an_expired_lease_may_be_renewed_until_it_is_taken_over(database: Database) -> None:
    submit_job(database)
    first = claimed(database)
    expire(database, first.lease)
    report(database, first.lease, 3.0)
    expire(database, first.lease)
    second = claimed(database)
    assert second.lease.trial_id == first.lease.trial_id
    assert second.lease.attempt == 2
    with pytest.raises(LeaseLost):
        report(database, first.lease, 2.0, first_step=2)
    report(database, second.lease, 2.5, first_step=2)
    assert stored(database, first.job) == {0: [(1, 3.0), (2, 2.5)]}


def test_a_takeover_passes_a_lease_by_whose_worker_is_reporting(database: Database) -> None:
    job = submit_job(database)
    lease = claimed(database).lease
    expire(database, lease)
    with database.transaction() as reporting:
        leases.report(reporting, lease, [measurement(1)], "loss", lease_s=LEASE_S)
        with database.transaction() as conn:
            jobs.lock(conn, job.id)
            assert leases.lock_expired(conn, lease.id) is None
    with database.transaction() as conn:
        jobs.lock(conn, job.id)
        assert leases.lock_expired(conn, lease.id) is None  # it was renewed


def test_a_report_that_comes_during_a_takeover_waits_and_writes_nothing(database: Database) -> None:
    job = submit_job(database)
    lease = claimed(database).lease
    expire(database, lease)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as conn:
            jobs.lock(conn, job.id)
            expired = leases.lock_expired(conn, lease.id)
            assert expired is not None
            assert leases.end_taken_over(conn, expired) is Outcome.VANISHED
            late = pool.submit(report, database, lease, 3.0)
            wait_until_somebody_waits_for_a_lock(database)
        with pytest.raises(LeaseLost):
            late.result(30)
    assert stored(database, job) == {0: []}


def test_a_takeover_says_how_the_lease_ended(database: Database) -> None:
    job = submit_job(database)
    silent, released = claimed(database).lease, claimed(database).lease
    expire(database, silent)
    with database.transaction() as conn:
        leases.release(conn, released, "drain")
    with database.transaction() as conn:
        jobs.lock(conn, job.id)
        for lease in (silent, released):
            expired = leases.lock_expired(conn, lease.id)
            assert expired is not None
            leases.end_taken_over(conn, expired)
    assert (row(database, silent)["outcome"], row(database, silent)["reason"]) == ("vanished", "no sign of life from its worker")
    assert (row(database, released)["outcome"], row(database, released)["reason"]) == ("released", "drain")


FRUITLESS: list[tuple[Sequence[tuple[str, int | None]], int]] = [
    ([], 0),
    ([("trainer_died", None)], 1),
    ([("vanished", None)], 1),
    ([("released", None)], 0),
    ([("trainer_died", None), ("vanished", None), ("trainer_died", None)], 3),
    # One that comes further than all before it clears the count, even if it dies then.
    ([("trainer_died", None), ("trainer_died", 3)], 0),
    ([("trainer_died", 3), ("trainer_died", None), ("vanished", None)], 2),
    # Doing again what was done before is nothing new.
    ([("trainer_died", 3), ("trainer_died", 3)], 1),
    ([("trainer_died", 3), ("trainer_died", 2), ("trainer_died", 3), ("trainer_died", 4)], 0),
    # Being given back neither counts nor forgives, unless it came further.
    ([("trainer_died", None), ("released", None), ("trainer_died", None)], 2),
    ([("trainer_died", None), ("released", 1), ("trainer_died", None)], 1),
    ([("vanished", 5), ("released", 2), ("vanished", 4)], 1),
]


def test_log_tails_are_cut_and_hold_only_what_the_database_can(database: Database) -> None:
    submit_job(database)
    lease = claimed(database).lease
    text = "lost" + "x" * 20_000 + "NUL \0 half a pair \ud800 Größe 🎛"
    with database.transaction() as conn:
        leases.report(conn, lease, [], "loss", lease_s=LEASE_S, log_tail=text)
    with database.transaction() as conn:
        leases.report(conn, lease, [], "loss", lease_s=LEASE_S)  # which keeps it
        tail = leases.log_tail(conn, lease.trial_id)
    assert len(tail) == leases.LOG_TAIL_CHARACTERS
    assert tail.endswith("NUL \ufffd half a pair ? Größe 🎛")


def test_reasons_hold_only_what_the_database_can(database: Database) -> None:
    job = submit_job(database)
    first, second = claimed(database).lease, claimed(database).lease
    with database.transaction() as conn:
        leases.release(conn, first, "NUL \0")
        jobs.lock(conn, job.id)
        leases.end(conn, second, job, Outcome.TRAINER_DIED, reason="half \ud800")
    assert row(database, first)["reason"] == "NUL \ufffd"
    assert row(database, second)["reason"] == "half ?"
