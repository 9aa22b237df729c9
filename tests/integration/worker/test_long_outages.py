"""Outages longer than a lease, with an idle worker beside the one that trains: trials go on where they are."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.domain.job import Job, JobState
from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.errors import DatabaseUnavailable
from service.store import jobs, migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database, psycopg_url
from tests.folders import data_folder
from tests.integration.worker.conftest import Start, WorkerProcess, worker_processes
from tests.integration.worker.supervised import curve_of, stepping_job, supervised, trial_of
from tests.polling import wait_until
from tests.tcp_proxy import Mode, TcpProxy

EPOCHS = 120
EPOCH_S = 0.05


def is_completed(database: Database, job: Job) -> bool:
    with database.transaction() as conn:
        return jobs.get(conn, job.id).state is JobState.COMPLETED


def wait_for_both(database: Database, job: Job, *workers: WorkerProcess) -> None:
    """Until one of the workers trains, and the other is there."""
    wait_until(lambda: all("worker.started" in worker.log for worker in workers), "the workers")
    wait_until(lambda: is_running(database, job) and len(curve_of(database, job)) > 3, "the first steps")


def is_running(database: Database, job: Job) -> bool:
    with database.transaction() as conn:
        return jobs.get(conn, job.id).state is JobState.RUNNING


def assert_went_on(database: Database, job: Job) -> None:
    """One attempt, in which every step was trained once."""
    trial = trial_of(database, job)
    assert trial.state is TrialState.COMPLETE
    assert [(attempt.outcome, attempt.from_step) for attempt in trial.attempts] == [(Outcome.FINISHED, None)]
    assert [item.step for item in curve_of(database, job)] == list(range(1, EPOCHS + 1))


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.BLACK_HOLE], ids=["reset", "black hole"])
def test_after_an_outage_of_the_network_a_trial_goes_on_where_it_is_though_an_idle_worker_could_take_it(
    database: Database, database_url: str, start_worker: Start, mode: Mode
) -> None:
    job = stepping_job(database, EPOCHS, EPOCH_S, max_attempts=1)
    with TcpProxy(database_url) as proxy:
        workers = [start_worker(proxy.url) for _ in range(2)]
        wait_for_both(database, job, *workers)
        proxy.mode = mode
        wait_until(lambda: all("database.unavailable" in worker.log for worker in workers), "their complaints")
        wait_until(lambda: expired_for_s(database) > 1.5, "the lease to have been over for long")
        proxy.mode = Mode.PASS
        wait_until(lambda: is_completed(database, job), "the end of the job")
        assert_went_on(database, job)
        for worker in workers:
            assert worker.stop() == 0


def expired_for_s(database: Database) -> float:
    with database.transaction() as conn:
        query = "SELECT extract(epoch FROM clock_timestamp() - min(expires_at))::float8 FROM stride.leases"
        seconds: float = conn.exec_driver_sql(query).scalar_one()
        return seconds


# The server itself.


class Server:
    """A PostgreSQL of the tests' own that can be killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = EmbeddedPostgres.start(folder)
        self.url = self._running.url

    def kill(self) -> None:
        """As `pg_ctl stop -m immediate` does."""
        os.kill(self._running.pid, signal.SIGQUIT)
        self.stop()

    def start(self) -> None:
        self._running = EmbeddedPostgres.start(self._folder, port=psycopg_url(self.url).port)

    def stop(self) -> None:
        self._running.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with data_folder() as folder:
        server = Server(folder / "data")
        yield server
        server.stop()


@pytest.fixture
def own_database(server: Server) -> Iterator[Database]:
    database = Database(server.url)
    migrate.upgrade(database)
    yield database
    database.close()


def test_after_a_crash_of_the_server_a_trial_goes_on_where_it_is_though_an_idle_worker_could_take_it(
    server: Server, own_database: Database, tmp_path: Path
) -> None:
    job = stepping_job(own_database, EPOCHS, EPOCH_S, max_attempts=1)
    with worker_processes(server.url, tmp_path) as start:
        workers = [start() for _ in range(2)]
        wait_for_both(own_database, job, *workers)
        server.kill()
        time.sleep(2.5)  # the lease is over after one
        server.start()
        wait_until(lambda: is_completed(own_database, job), "the end of the job")
        assert_went_on(own_database, job)
        for worker in workers:  # a line when it began, and one when it was over: how long it lasted
            logged = [line for line in worker.log.splitlines() if "database." in line]
            assert ["database.unavailable" in line for line in logged] == [True, False], logged
            lasted = re.search(r"database\.available.*after_s=([0-9.]+) tries=([0-9]+)", logged[1])
            assert lasted
            assert 1.5 < float(lasted[1]) < 30
            assert int(lasted[2]) > 1


def test_an_attempt_whose_lease_ran_out_while_the_server_was_down_does_not_count(
    server: Server, own_database: Database, tmp_path: Path
) -> None:
    job = stepping_job(own_database, epoch_s=600.0, max_attempts=1)
    with worker_processes(server.url, tmp_path) as start:
        victim = start()
        wait_until(lambda: is_running(own_database, job), "the claim")
        server.kill()
        victim.signal(signal.SIGKILL)
        time.sleep(1.5)
        server.start()
        start()
        wait_until(lambda: len(trial_of(own_database, job).attempts) == 2, "the next attempt")
    trial = trial_of(own_database, job)
    assert trial.state is TrialState.RUNNING
    assert (trial.attempts[0].outcome, trial.attempts[0].reason) == (
        Outcome.VANISHED,
        "it expired while the database was down",
    )


def test_housekeeping_that_never_gets_through_keeps_no_lease_from_being_renewed(database: Database) -> None:
    """As when a statement of the sweeper waits for a lock for longer than it may."""
    job = stepping_job(database, epochs=30, epoch_s=0.1)
    asked = 0

    def keep_house() -> None:
        nonlocal asked
        asked += 1
        raise DatabaseUnavailable("canceling statement due to statement timeout")

    with supervised(database, heartbeat_s=0.2, lease_s=1.0, interval_s=60) as worker:
        worker.supervisor._on_heartbeat = keep_house
        worker.run_trial()
    assert asked > 1
    trial = trial_of(database, job)
    assert (trial.state, len(trial.attempts)) == (TrialState.COMPLETE, 1)
