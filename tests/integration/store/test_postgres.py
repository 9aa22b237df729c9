"""The transaction helper against a server that answers: retries, deadlines, and who may see what."""

import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from service.errors import DatabaseUnavailable
from service.store import postgres
from service.store.postgres import RETRIES, Database
from tests.conftest import execute
from tests.polling import wait_until
from tests.stock_optuna import stock


@pytest.fixture
def accounts(database: Database) -> Database:
    """Two rows to quarrel about."""
    with database.transaction() as conn:
        conn.exec_driver_sql("CREATE TABLE accounts (id integer PRIMARY KEY, amount integer NOT NULL)")
        conn.exec_driver_sql("INSERT INTO accounts VALUES (1, 100), (2, 100)")
    return database


def amounts(database: Database) -> list[int]:
    with database.transaction() as conn:
        return list(conn.exec_driver_sql("SELECT amount FROM accounts ORDER BY id").scalars())


def add(conn: sa.Connection, account: int, amount: int) -> None:
    conn.exec_driver_sql("UPDATE accounts SET amount = amount + %(amount)s WHERE id = %(id)s", {"amount": amount, "id": account})


def in_threads(*works: Callable[[], object]) -> list[BaseException]:
    """Run all at once; what they raised."""
    raised: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return raised


def test_a_block_that_raises_leaves_nothing_behind(accounts: Database) -> None:
    with pytest.raises(ZeroDivisionError), accounts.transaction() as conn:
        add(conn, 1, 5)
        raise ZeroDivisionError
    assert amounts(accounts) == [100, 100]


def test_a_block_that_swallows_a_database_error_is_told_that_nothing_was_committed(accounts: Database) -> None:
    with pytest.raises(RuntimeError, match="nothing was committed"), accounts.transaction() as conn:
        add(conn, 1, 5)
        with pytest.raises(IntegrityError):
            conn.exec_driver_sql("INSERT INTO accounts VALUES (1, 1)")
    assert amounts(accounts) == [100, 100]


def test_two_transactions_that_deadlock_both_succeed_in_the_end(accounts: Database) -> None:
    tries: list[int] = []
    both_hold_one = threading.Barrier(2, timeout=10)

    def transfer(source: int, target: int) -> None:
        mine: list[int] = []

        def work(conn: sa.Connection) -> None:
            conn.exec_driver_sql("SET LOCAL deadlock_timeout = '50ms'")
            add(conn, source, -10)
            mine.append(1)
            if len(mine) == 1:
                both_hold_one.wait()
            add(conn, target, 10)

        accounts.transact(work)
        tries.append(len(mine))

    assert in_threads(lambda: transfer(1, 2), lambda: transfer(2, 1)) == []
    assert amounts(accounts) == [100, 100]
    assert sorted(tries) == [1, 2]


def test_a_transaction_that_cannot_be_serialized_is_run_again_on_what_the_other_wrote(accounts: Database) -> None:
    seen: list[int] = []

    def work(conn: sa.Connection) -> None:
        conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        seen.append(conn.exec_driver_sql("SELECT amount FROM accounts WHERE id = 1").scalar_one())
        if len(seen) == 1:
            with accounts.transaction() as other:
                add(other, 1, 1)
        add(conn, 1, 10)

    accounts.transact(work)
    assert seen == [100, 101]
    assert amounts(accounts) == [111, 100]


def test_a_serialization_failure_that_shows_only_at_the_commit_is_retried(accounts: Database) -> None:
    both_have_read = threading.Barrier(2, timeout=10)
    tries: list[int] = []

    def withdraw(account: int) -> None:
        """Allowed as long as both accounts together hold 200: two at once would break the rule unseen."""
        mine: list[int] = []

        def work(conn: sa.Connection) -> None:
            conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            total = conn.exec_driver_sql("SELECT sum(amount) FROM accounts").scalar_one()
            mine.append(total)
            if len(mine) == 1:
                both_have_read.wait()
            if total >= 200:
                add(conn, account, -150)

        accounts.transact(work)
        tries.append(len(mine))

    assert in_threads(lambda: withdraw(1), lambda: withdraw(2)) == []
    assert sorted(amounts(accounts)) == [-50, 100]
    # Once more or, where it begins again before the other's commit is through, twice.
    assert min(tries) == 1 < max(tries)


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "23505"])
def test_what_fails_every_time_is_tried_three_times_more_and_then_raised(accounts: Database, sqlstate: str) -> None:
    tries: list[int] = []

    def work(conn: sa.Connection) -> None:
        tries.append(1)
        add(conn, 1, 1)
        conn.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '{sqlstate}'; END $$")

    with pytest.raises((OperationalError, IntegrityError)):
        accounts.transact(work)
    assert len(tries) == RETRIES + 1 == 4
    assert amounts(accounts) == [100, 100]


def test_a_real_unique_violation_is_retried_too(accounts: Database) -> None:
    """What a submission with an Idempotency-Key relies on: the second time it finds the other's row."""
    found: list[bool] = []

    def work(conn: sa.Connection) -> None:
        found.append(conn.exec_driver_sql("SELECT FROM accounts WHERE id = 3").one_or_none() is not None)
        if len(found) == 1:
            with accounts.transaction() as other:
                other.exec_driver_sql("INSERT INTO accounts VALUES (3, 1)")
        if not found[-1]:
            conn.exec_driver_sql("INSERT INTO accounts VALUES (3, 2)")

    accounts.transact(work)
    assert found == [False, True]


def test_other_errors_are_raised_at_once(accounts: Database) -> None:
    tries: list[int] = []

    def work(conn: sa.Connection) -> None:
        tries.append(1)
        conn.exec_driver_sql("SELECT 1 / 0")

    with pytest.raises(DBAPIError):
        accounts.transact(work)
    assert len(tries) == 1


def test_the_server_ends_a_slow_statement_and_the_connection_lives_on(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.store.postgres.STATEMENT_SHARE", 0.2)  # else a stall of a moment makes the watchdog the first
    database = Database(database_url, timeout_s=5.0)
    try:
        with database.transaction(timeout_s=10) as conn:
            backend = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="statement timeout"), database.transaction() as conn:
            conn.exec_driver_sql("SELECT pg_sleep(30)")
        assert time.monotonic() - started < 15
        with database.transaction(timeout_s=10) as conn:
            assert conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() == backend
    finally:
        database.close()


def test_a_transaction_of_many_quick_statements_is_over_when_its_time_is(database_url: str) -> None:
    database = Database(database_url, timeout_s=0.5)
    try:
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable), database.transaction() as conn:
            while time.monotonic() < started + 30:
                conn.exec_driver_sql("SELECT pg_sleep(0.05)")
        assert time.monotonic() - started < 15
    finally:
        database.close()


def test_a_longer_time_may_be_asked_for(database_url: str) -> None:
    database = Database(database_url, timeout_s=1.0)
    try:
        with database.transaction(timeout_s=20) as conn:
            conn.exec_driver_sql("SELECT pg_sleep(1.2)")
    finally:
        database.close()


def test_the_server_ends_a_transaction_in_which_nothing_happens(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "IDLE_IN_TRANSACTION_S", 0.2)

    def ends(backend: int) -> bool:
        with database.transaction() as conn:
            query = "SELECT FROM pg_stat_activity WHERE pid = %(pid)s"
            return conn.exec_driver_sql(query, {"pid": backend}).one_or_none() is None

    with pytest.raises(DatabaseUnavailable, match="idle-in-transaction timeout"), database.transaction() as conn:
        backend = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        wait_until(lambda: ends(backend), "the end of the idle session")
        conn.exec_driver_sql("SELECT 1")


def test_a_commit_after_the_server_ended_the_idle_session_is_no_success(
    accounts: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_IN_TRANSACTION_S", 0.2)
    with pytest.raises(DatabaseUnavailable), accounts.transaction() as conn:
        add(conn, 1, 5)
        time.sleep(0.5)
    assert amounts(accounts) == [100, 100]


def test_pooled_connections_that_the_server_closed_are_replaced_without_an_error(database: Database, postgres_url: str) -> None:
    def backend() -> int:
        with database.transaction() as conn:
            together.wait()
            found: int = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            backends.append(found)
            return found

    together, backends = threading.Barrier(3, timeout=10), list[int]()
    assert in_threads(backend, backend, backend) == []
    execute(postgres_url, f"SELECT pg_terminate_backend(pid, 5000) FROM unnest(ARRAY{backends}) AS pid")
    old = set(backends)
    backends.clear()
    assert in_threads(backend, backend, backend) == []
    assert len(set(backends)) == 3
    assert not old & set(backends)


def test_when_all_connections_are_busy_the_wait_for_one_ends_in_time(database_url: str) -> None:
    database = Database(database_url, timeout_s=1.0, pool_size=1)
    try:
        started = time.monotonic()
        with database.transaction(timeout_s=10), database.transaction(timeout_s=10):
            with pytest.raises(DatabaseUnavailable, match="busy"), database.transaction():
                pass
            assert time.monotonic() - started < 5
    finally:
        database.close()


def test_stock_tools_keep_the_timeouts_of_their_own_sessions(database: Database, database_url: str) -> None:
    with database.transaction() as conn:
        ours = [conn.exec_driver_sql(f"SHOW {name}").scalar_one() for name in TIMEOUTS]
        assert conn.exec_driver_sql("SELECT count(*) FROM pg_db_role_setting").scalar_one() == 0
    with stock(database_url) as storage, storage.engine.connect() as conn:
        theirs = [conn.exec_driver_sql(f"SHOW {name}").scalar_one() for name in TIMEOUTS]
    assert ours == ["9s", "5s"]
    assert theirs == ["0", "0"]


TIMEOUTS = ("statement_timeout", "idle_in_transaction_session_timeout")
