"""The system under test: PostgreSQL, a proxy in front of it, the API and workers, all real, in one folder."""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from service.commands.roles import address, listen
from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database, psycopg_url
from tests.chaos.client import Client
from tests.chaos.processes import KeptProcess, Supervisor
from tests.tcp_proxy import TcpProxy

WORKERS = 3
CONNECT_S = 2

# The write log: every write of a measurement, with its time; the service itself keeps only the latest of a step. A trigger writes
# it in the same transaction, so it is exact whatever is killed.
WITNESS = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.measured (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    trial_id integer NOT NULL,
    step integer NOT NULL,
    metrics jsonb NOT NULL,
    learning_rate float8 NOT NULL,
    seconds float8 NOT NULL
);
CREATE FUNCTION chaos.log_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos.measured (trial_id, step, metrics, learning_rate, seconds)
    VALUES (NEW.trial_id, NEW.step, NEW.metrics, NEW.learning_rate, NEW.seconds);
    RETURN NULL;
END $$;
CREATE TRIGGER log_write AFTER INSERT OR UPDATE ON stride.measurements FOR EACH ROW EXECUTE FUNCTION chaos.log_write();
"""


class Stage:
    """A running Stride. settings: STRIDE_* of API and workers. worker_environment: further variables of the first worker."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        worker_environment: Mapping[str, str] | None = None,
        *,
        workers: int = WORKERS,
    ) -> None:
        self.logs = folder / "logs"
        self._n_workers = workers
        self._data = folder / "data"
        self._settings = settings
        self._worker_environment = worker_environment or {}
        self._supervisor = Supervisor()
        self._undo = ExitStack()
        self._server: EmbeddedPostgres

    @property
    def url(self) -> str:
        """The URL of the database, not through the proxy."""
        return self._server.url

    @property
    def api(self) -> KeptProcess:
        return self._supervisor.processes[0]

    @property
    def workers(self) -> list[KeptProcess]:
        return self._supervisor.processes[1:]

    def connect(self) -> psycopg.Connection[Any]:
        """An autocommit connection that bypasses the proxy. Raises psycopg.OperationalError while the server is down."""
        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True, connect_timeout=CONNECT_S)

    def crash_postgres(self, down_s: float) -> None:
        """Stop the server as `pg_ctl stop -m immediate` does, and start it again so many seconds later."""
        os.kill(self._server.pid, signal.SIGQUIT)
        time.sleep(down_s)
        port = psycopg_url(self.url).port
        self._server.stop()
        self._server = EmbeddedPostgres.start(self._data, port=port)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.logs.mkdir(parents=True)
            self._server = EmbeddedPostgres.start(self._data)
            undo.callback(lambda: self._server.stop())
            self._prepare()
            self.proxy = undo.enter_context(TcpProxy(self.url))
            door = undo.enter_context(listen("127.0.0.1", 0))
            self.client = Client(address(door))
            undo.callback(self.client.close)
            # Ends before everything that its processes need.
            undo.callback(self._supervisor.end)
            environment = {name: value for name, value in os.environ.items() if not name.startswith("STRIDE_")}
            environment |= {"STRIDE_DATABASE_URL": self.proxy.url, **self._settings}
            api = (["api", "--fd", str(door.fileno())], environment, self.logs / "api.log", [door.fileno()])
            first = (["worker"], {**environment, **self._worker_environment}, self.logs / "worker-0.log", ())
            others = [(["worker"], environment, self.logs / f"worker-{number}.log", ()) for number in range(1, self._n_workers)]
            self._supervisor.start([api, first, *others])
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._undo.close()

    def own_ends(self) -> list[str]:
        """The exits of processes that no fault caused."""
        return [end for process in self._supervisor.processes for end in process.own_ends]

    def _prepare(self) -> None:
        database = Database(self.url)
        migrate.upgrade(database)
        database.close()
        with self.connect() as conn:
            conn.execute(WITNESS)
