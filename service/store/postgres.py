"""The connection to the database: one engine, one transaction helper, and deadlines on both ends.

No transaction outlives its deadline (DESIGN decision 6). The server ends what runs or idles too long, by timeouts that are sent
in the same message as BEGIN. They do not help against a peer that accepts connections and never answers, so a watchdog on this
side shuts the socket down when a transaction exceeds its deadline.
"""

import heapq
import math
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format, TransactionStatus
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from service.errors import ConfigurationError, DatabaseNotMigrated, DatabaseUnavailable
from service.store.outage import OutageLog

IDLE_IN_TRANSACTION_S = 5
"""A process that hangs inside a transaction keeps its locks no longer than this."""

STATEMENT_SHARE = 0.9
"""`statement_timeout` as a share of the transaction's: so the server's error comes before the watchdog closes the connection."""

T = TypeVar("T")

RETRIES = 3
_RETRIED = frozenset({"40001", "40P01", "23505"})  # serialization failure, deadlock, unique violation
_UNAVAILABLE_CLASSES = ("08", "53", "57")  # connection, resources, operator intervention (a statement's timeout included)
_IDLE_TIMEOUT = "25P03"
_MISSING = frozenset({"42P01", "3F000", "42703", "42883"})
"""Table, schema, column, function: our statements name what the newest migration made."""


_EXAMPLE = "postgresql://user:password@host:5432/name"


def psycopg_url(url: str) -> URL:
    """`url` as SQLAlchemy wants it for psycopg 3.

    Raises ConfigurationError when it is no PostgreSQL URL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is not a number
        raise ConfigurationError(f"The database URL cannot be read: it should look like {_EXAMPLE}.") from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationError(f"The database URL starts with {parsed.drivername}://, but Stride needs PostgreSQL: {_EXAMPLE}.")
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise ConfigurationError(f"The database URL names a port that there is not, {parsed.port}: it should be {_EXAMPLE}.")
    try:
        conninfo_to_dict(_libpq_url(parsed))
    except psycopg.Error as error:
        wrong = str(error).strip()
        # The only complaint of libpq's that cannot quote the password.
        shown = f" ({wrong})" if wrong.startswith("invalid URI query parameter") else ""
        raise ConfigurationError(f"The database URL cannot be used{shown}: it should look like {_EXAMPLE}.") from None
    return parsed.set(drivername="postgresql+psycopg")


class Database:
    """A PostgreSQL database and its pool of connections. Share one per process between threads."""

    def __init__(self, url: str, *, timeout_s: float = 10.0, pool_size: int = 5) -> None:
        self.url = psycopg_url(url)
        self.timeout_s = timeout_s
        self._watchdog = _Watchdog()
        self._contact = _Contact()
        self.outage = OutageLog()
        """To be told of each failed try that is repeated; answers it notes by itself."""
        self._engine = sa.create_engine(
            self.url,
            creator=self._connect,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=timeout_s,
            use_native_hstore=False,  # spares a query on connecting
        )
        sa.event.listen(self._engine, "before_cursor_execute", _set_format)

    @contextmanager
    def transaction(self, *, timeout_s: float | None = None) -> Iterator[sa.Connection]:
        """One transaction: committed at the end of the block, rolled back when the block raises.

        timeout_s: limit for the whole transaction, for each statement, and for the time between statements; left out: the
        database's own timeout, and 5 s between statements.
        Raises DatabaseUnavailable when the server cannot be reached, ends the session, or does not answer in time. After a
        failed commit it is unknown whether it took place: callers check by token or key. Raises DatabaseNotMigrated when a
        table, column or function is missing. Raises RuntimeError, and commits nothing, when the block continued after a
        database error.
        """
        idle_s = IDLE_IN_TRANSACTION_S if timeout_s is None else timeout_s
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        try:
            conn, raw, watch = self._begin(timeout_s, idle_s)
            try:
                yield conn
                if raw.info.transaction_status is TransactionStatus.INERROR:  # the server answers COMMIT with a silent ROLLBACK
                    raise RuntimeError("A statement failed and its error was swallowed: nothing was committed.")
                conn.commit()
            finally:
                try:
                    conn.close()  # rolls back what was not committed
                finally:
                    self._watchdog.forget(raw, watch)
            self._contact.answered()
            self.outage.answered()
        except DBAPIError as error:
            if _is_unavailable(error):
                self._contact.failed()
                raise DatabaseUnavailable(_first_line(error)) from error
            if _sqlstate(error) in _MISSING:
                raise DatabaseNotMigrated from error
            raise
        except sa.exc.TimeoutError as error:
            raise DatabaseUnavailable("All database connections of this process are busy.") from error

    def transact(self, work: Callable[[sa.Connection], T], *, timeout_s: float | None = None) -> T:
        """Run `work` in a transaction, and retry it on conflicts.

        Serialization failures, deadlocks and unique violations are retried three times, then raised. So `work` must not keep
        state between calls.
        """
        for attempt in range(RETRIES + 1):
            try:
                with self.transaction(timeout_s=timeout_s) as conn:
                    return work(conn)
            except DBAPIError as error:
                if attempt == RETRIES or _sqlstate(error) not in _RETRIED:
                    raise
                time.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("unreachable")

    def back_for(self, *, longer_than_s: float) -> float:
        """Seconds since the end of the last outage longer than that, as this process saw it; infinite when there was none."""
        return self._contact.back_for(longer_than_s)

    def close(self) -> None:
        """Close the pooled connections and stop the watchdog."""
        self._engine.dispose()
        self._watchdog.stop()

    def _begin(self, timeout_s: float, idle_s: float) -> tuple[sa.Connection, Any, int]:
        # A connection that the server closed while it was pooled fails here, before anything is done: take a new one then.
        # Not after the deadline: then the server does not answer.
        deadline = time.monotonic() + timeout_s
        try:
            return self._try_begin(timeout_s, idle_s)
        except DBAPIError as error:
            if not error.connection_invalidated or time.monotonic() >= deadline:
                raise
        return self._try_begin(timeout_s, idle_s)

    def _try_begin(self, timeout_s: float, idle_s: float) -> tuple[sa.Connection, Any, int]:
        conn = self._engine.connect()
        raw = conn.connection.dbapi_connection
        watch = self._watchdog.watch(raw, timeout_s)
        try:
            conn.exec_driver_sql(
                f"BEGIN; SET LOCAL statement_timeout = {round(STATEMENT_SHARE * timeout_s * 1000)};"
                f" SET LOCAL idle_in_transaction_session_timeout = {round(idle_s * 1000)}"
            )
        except BaseException:
            try:
                conn.close()
            finally:
                self._watchdog.forget(raw, watch)
            raise
        return conn, raw, watch

    def _connect(self) -> psycopg.Connection[Any]:
        conn = psycopg.connect(
            _libpq_url(self.url),
            autocommit=True,  # we send BEGIN ourselves, with the timeouts
            prepare_threshold=None,  # there may be a connection pooler
            application_name="stride",
            connect_timeout=max(2, round(self.timeout_s)),
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=round(self.timeout_s * 1000),
        )
        # SQLAlchemy queries the server's version on a new connection, before any transaction of ours.
        self._watchdog.watch(conn, self.timeout_s)
        return conn


def _set_format(
    conn: sa.Connection, cursor: Any, statement: str, parameters: object, context: sa.ExecutionContext, executemany: bool
) -> None:
    """The execution option `binary` fetches results in binary format: large contents would be twice as long as text."""
    if context.execution_options.get("binary"):
        cursor.format = Format.BINARY


def stock_url(url: str) -> str:
    """`url` for stock Optuna and optuna-dashboard, with `optuna` as the search path."""
    parsed = psycopg_url(url)
    query = {key: value for key, value in parsed.query.items() if key != "options"}
    return parsed.set(query=query | {"options": "-csearch_path=optuna"}).render_as_string(hide_password=False)


def _libpq_url(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _sqlstate(error: DBAPIError) -> str | None:
    return error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None


def _is_unavailable(error: DBAPIError) -> bool:
    state = _sqlstate(error)
    if state is None:  # the connection was lost, or never made
        return isinstance(error.orig, psycopg.OperationalError | psycopg.InterfaceError)
    return state.startswith(_UNAVAILABLE_CLASSES) or state == _IDLE_TIMEOUT


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return f"The database cannot be used right now: {lines[0] if lines else type(error.orig).__name__}"


class _Contact:
    """When the database last answered, and which outages there were."""

    def __init__(self) -> None:
        self._answered_at = time.monotonic()
        self._failing = False
        self._outages: list[tuple[float, float]] = []
        """Ends and lengths; each is longer than those after it, since a shorter earlier one no longer matters."""

    def answered(self) -> None:
        now = time.monotonic()
        if self._failing:
            self._failing = False
            length = now - self._answered_at
            self._outages = [outage for outage in self._outages if outage[1] > length] + [(now, length)]
        self._answered_at = now

    def failed(self) -> None:
        self._failing = True

    def back_for(self, longer_than_s: float) -> float:
        ends = [end for end, length in self._outages if length > longer_than_s]
        return time.monotonic() - ends[-1] if ends else math.inf


class _Watchdog:
    """Shuts down the socket of a connection that exceeds its deadline, which unblocks the thread that uses it."""

    def __init__(self) -> None:
        self._tickets: dict[Any, int] = {}
        self._heap: list[tuple[float, int, Any]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._count = 0
        self._stopped = False

    def watch(self, conn: Any, timeout_s: float) -> int:
        """Give `conn` a deadline so many seconds from now; returns a ticket for `forget`."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-watchdog", daemon=True)
                self._thread.start()
            self._count += 1
            self._tickets[conn] = self._count
            heapq.heappush(self._heap, (deadline, self._count, conn))
            if self._heap[0][1] == self._count:
                self._changed.notify()
            return self._count

    def forget(self, conn: Any, ticket: int) -> None:
        """Cancel the deadline, unless `conn` got a new one since. Its entry in the heap is dropped when it is due."""
        with self._changed:
            if self._tickets.get(conn) == ticket:
                del self._tickets[conn]

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                while self._heap and self._heap[0][0] <= now:
                    _, ticket, conn = heapq.heappop(self._heap)
                    if self._tickets.get(conn) == ticket:
                        del self._tickets[conn]
                        _shut_down(conn)
                self._changed.wait(self._heap[0][0] - now if self._heap else None)


def _shut_down(conn: Any) -> None:
    try:
        # A duplicate, so that closing it leaves the descriptor to libpq, which owns it.
        with socket.socket(fileno=os.dup(conn.pgconn.socket)) as twin:
            twin.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        pass  # closed in the meantime
