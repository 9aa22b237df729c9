"""A worker whose database does not answer, or not yet: it waits, and can be stopped."""

from collections.abc import Iterator

import pytest

from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.store.postgres import Database
from tests.integration.worker.conftest import Start, WorkerProcess
from tests.integration.worker.watching import attempts_of, long_job, steps_of, trial_of, wait_for_end, wait_for_steps
from tests.polling import wait_until
from tests.tcp_proxy import Mode, TcpProxy


@pytest.fixture
def proxy(database_url: str) -> Iterator[TcpProxy]:
    with TcpProxy(database_url) as proxy:
        yield proxy


def lease_has_expired(database: Database) -> bool:
    with database.transaction() as conn:
        return conn.exec_driver_sql("SELECT expires_at < clock_timestamp() FROM stride.leases").scalar_one() is True


def is_waiting(worker: WorkerProcess) -> bool:
    return "database.unavailable" in worker.log


def test_a_worker_waits_for_a_database_that_does_not_answer_yet(database: Database, proxy: TcpProxy, start_worker: Start) -> None:
    job = long_job(database, epochs=2)
    proxy.mode = Mode.RESET
    worker = start_worker(proxy.url)
    wait_until(lambda: is_waiting(worker), "the worker's complaint")
    proxy.mode = Mode.PASS
    wait_for_end(database, job)


def test_a_worker_that_waits_for_the_database_can_be_stopped(database: Database, proxy: TcpProxy, start_worker: Start) -> None:
    proxy.mode = Mode.RESET
    worker = start_worker(proxy.url)
    wait_until(lambda: is_waiting(worker), "the worker's complaint")
    assert worker.stop() == 0


def test_a_worker_rides_out_an_outage_and_finishes_its_trial(database: Database, proxy: TcpProxy, start_worker: Start) -> None:
    job = long_job(database, epochs=80, epoch_s=0.05)
    worker = start_worker(proxy.url)
    wait_for_steps(database, job)
    proxy.mode = Mode.RESET
    wait_until(lambda: is_waiting(worker), "the worker's complaint")
    wait_until(lambda: lease_has_expired(database), "the end of the lease")  # and nobody takes it over
    proxy.mode = Mode.PASS
    wait_for_end(database, job)
    assert [attempt.outcome for attempt in attempts_of(database, job)] == [Outcome.FINISHED]
    assert steps_of(database, job) == 80


def test_a_worker_can_be_stopped_while_it_trains_and_the_database_is_gone(
    database: Database, proxy: TcpProxy, start_worker: Start
) -> None:
    job = long_job(database)
    worker = start_worker(proxy.url, STRIDE_GRACE_S="0.5")
    wait_for_steps(database, job)
    proxy.mode = Mode.RESET
    wait_until(lambda: is_waiting(worker), "the worker's complaint")
    assert worker.stop() == 0
    proxy.mode = Mode.PASS
    assert trial_of(database, job).state is TrialState.RUNNING, "its lease expires: another worker goes on"


def test_a_worker_that_is_started_on_an_empty_database_says_what_to_do(empty_database_url: str, start_worker: Start) -> None:
    worker = start_worker(empty_database_url)
    assert worker.wait() != 0
    assert "stride migrate" in worker.log
