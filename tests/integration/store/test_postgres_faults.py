"""The transaction helper against networks and servers that fail, and processes that stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import DatabaseUnavailable
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database, psycopg_url
from tests.tcp_proxy import Mode, TcpProxy

TIMEOUT_S = 1.0


@pytest.fixture
def proxy(database_url: str) -> Iterator[TcpProxy]:
    with TcpProxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: TcpProxy) -> Iterator[Database]:
    """The database through the proxy, with one connection pooled and a table `marks`."""
    database = Database(proxy.url, timeout_s=TIMEOUT_S)
    with database.transaction(timeout_s=10) as conn:
        conn.exec_driver_sql("CREATE TABLE marks (mark integer)")
    yield database
    database.close()


def mark(database: Database, timeout_s: float | None = None) -> None:
    with database.transaction(timeout_s=timeout_s) as conn:
        conn.exec_driver_sql("INSERT INTO marks VALUES (1)")


def marks(database: Database) -> int:
    with database.transaction() as conn:
        found: int = conn.exec_driver_sql("SELECT count(*) FROM marks").scalar_one()
        return found


class Stopwatch:
    def __init__(self) -> None:
        self._started = time.monotonic()

    def __lt__(self, seconds: float) -> bool:
        return time.monotonic() - self._started < seconds


def test_the_proxy_passes_everything_on(behind: Database, database: Database) -> None:
    mark(behind, timeout_s=10)
    assert marks(database) == 1


def test_latency_is_no_fault(behind: Database, proxy: TcpProxy, database: Database) -> None:
    proxy.latency_s = 0.05
    mark(behind, timeout_s=10)
    assert marks(database) == 1


def test_a_black_hole_at_begin_is_left_in_time(behind: Database, proxy: TcpProxy) -> None:
    proxy.mode = Mode.BLACK_HOLE
    watch = Stopwatch()
    with pytest.raises(DatabaseUnavailable), behind.transaction():
        pytest.fail("it began")
    # Once its time is over, nothing is tried a second time: a new connection alone would take 2 s to give up.
    assert watch < TIMEOUT_S + 1.8


def test_a_black_hole_in_the_middle_is_left_in_time(behind: Database, proxy: TcpProxy, database: Database) -> None:
    watch = Stopwatch()
    with pytest.raises(DatabaseUnavailable), behind.transaction() as conn:
        conn.exec_driver_sql("INSERT INTO marks VALUES (1)")
        proxy.mode = Mode.BLACK_HOLE
        conn.exec_driver_sql("INSERT INTO marks VALUES (2)")
    assert watch < TIMEOUT_S + 2
    assert marks(database) == 0


def test_a_black_hole_at_the_commit_is_left_in_time(behind: Database, proxy: TcpProxy) -> None:
    watch = Stopwatch()
    with pytest.raises(DatabaseUnavailable):
        proxy.when(b"COMMIT", Mode.BLACK_HOLE)
        mark(behind)
    assert watch < TIMEOUT_S + 2


def test_a_black_hole_while_connecting_is_left_in_time(proxy: TcpProxy) -> None:
    proxy.mode = Mode.BLACK_HOLE
    database = Database(proxy.url, timeout_s=TIMEOUT_S)
    watch = Stopwatch()
    with pytest.raises(DatabaseUnavailable), database.transaction():
        pytest.fail("it began")
    assert watch < 4  # libpq counts whole seconds, two at least
    database.close()


def test_a_black_hole_just_after_the_login_is_left_in_time(proxy: TcpProxy) -> None:
    proxy.when(b"version()", Mode.BLACK_HOLE)  # SQLAlchemy's first question to a server it does not know
    database = Database(proxy.url, timeout_s=TIMEOUT_S)
    watch = Stopwatch()
    with pytest.raises(DatabaseUnavailable), database.transaction():
        pytest.fail("it began")
    assert proxy.mode is Mode.BLACK_HOLE
    assert watch < 4
    database.close()


def test_after_a_black_hole_the_next_transaction_succeeds(behind: Database, proxy: TcpProxy, database: Database) -> None:
    proxy.mode = Mode.BLACK_HOLE
    with pytest.raises(DatabaseUnavailable):
        mark(behind)
    proxy.mode = Mode.PASS
    mark(behind, timeout_s=10)
    assert marks(database) == 1


def test_a_reset_in_the_middle_is_raised_and_nothing_is_committed(behind: Database, proxy: TcpProxy, database: Database) -> None:
    with pytest.raises(DatabaseUnavailable), behind.transaction(timeout_s=10) as conn:
        conn.exec_driver_sql("INSERT INTO marks VALUES (1)")
        proxy.mode = Mode.RESET
        conn.exec_driver_sql("INSERT INTO marks VALUES (2)")
    assert marks(database) == 0


def test_resets_without_end_are_raised_and_not_tried_for_ever(behind: Database, proxy: TcpProxy) -> None:
    proxy.mode = Mode.RESET
    watch = Stopwatch()
    with pytest.raises(DatabaseUnavailable):
        mark(behind)
    assert watch < TIMEOUT_S + 2


def test_a_commit_whose_reply_is_lost_is_raised_though_it_took_place(
    behind: Database, proxy: TcpProxy, database: Database
) -> None:
    proxy.when(b"COMMIT", Mode.LOSE_REPLY)
    with pytest.raises(DatabaseUnavailable):
        mark(behind, timeout_s=10)
    assert marks(database) == 1


def test_a_lost_reply_to_a_commit_is_not_answered_by_running_the_work_again(
    behind: Database, proxy: TcpProxy, database: Database
) -> None:
    proxy.when(b"COMMIT", Mode.LOSE_REPLY)
    with pytest.raises(DatabaseUnavailable):
        behind.transact(lambda conn: conn.exec_driver_sql("INSERT INTO marks VALUES (1)"), timeout_s=10)
    assert marks(database) == 1


STOPPED = """
import sys
from service.store import postgres
postgres.IDLE_IN_TRANSACTION_S = 1.0
database = postgres.Database(sys.argv[1])
with database.transaction() as conn:
    conn.exec_driver_sql("LOCK TABLE marks")
    print("locked", flush=True)
    sys.stdin.readline()
"""


def test_a_process_that_stops_inside_a_transaction_loses_its_locks(database: Database, database_url: str) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql("CREATE TABLE marks (mark integer)")
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            os.kill(process.pid, signal.SIGSTOP)
            mark(database)
        finally:
            process.kill()
    assert marks(database) == 1


def test_a_server_that_is_down_is_said_to_be_unavailable_and_its_return_goes_unnoticed(tmp_path: Path) -> None:
    with EmbeddedPostgres.start(tmp_path / "data") as server:
        port = psycopg_url(server.url).port
        database = Database(server.url)
        with database.transaction() as conn:
            conn.exec_driver_sql("CREATE TABLE marks (mark integer)")
    watch = Stopwatch()
    with pytest.raises(DatabaseUnavailable, match="cannot be used right now"):
        mark(database)
    assert watch < 5
    with EmbeddedPostgres.start(tmp_path / "data", port=port) as server:
        mark(database)
        assert marks(database) == 1
        server.stop()
        with EmbeddedPostgres.start(tmp_path / "data", port=port):
            mark(database)  # through a pooled connection that a server closed which no longer is
            assert marks(database) == 2
        database.close()
