"""The system under test: the API and a worker, real processes with the proxy between them and the database."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from service.commands.roles import address, listen
from tests.chaos.client import Client
from tests.chaos.history import JobHistory, read_history
from tests.chaos.processes import KeptProcess, Supervisor
from tests.chaos.stage import WITNESS
from tests.lost_replies.commits import CommitProxy

SETTINGS = {
    "STRIDE_OBJECTIVE_MODULES": "tests.quadratic",
    "STRIDE_DEVICE": "cpu",
    "STRIDE_POLL_S": "0.1",
    # After every step, so that it does not depend on the machine's speed when checkpoints are taken.
    "STRIDE_CHECKPOINT_S": "0.000001",
}
SHORT_LEASES = {"STRIDE_HEARTBEAT_S": "0.3", "STRIDE_LEASE_S": "1", "STRIDE_DATABASE_TIMEOUT_S": "0.9"}
"""For sweeps that kill workers, whose trials others wait for."""
LONG_LEASES = {"STRIDE_HEARTBEAT_S": "4", "STRIDE_LEASE_S": "15", "STRIDE_DATABASE_TIMEOUT_S": "5"}
"""For sweeps that kill no worker: no lease may expire, so that a trial whose claim was forgotten shows."""
OF_THE_API = frozenset({"submit", "pause", "resume", "cancel"})
"""Commits made by the API; all others are a worker's."""


class Stage:
    """A running Stride on the migrated database at `url`, with one worker at a time; what is killed is restarted."""

    def __init__(self, url: str, folder: Path, *, kills: bool) -> None:
        self.kills = kills
        """Whether the process that commits is killed when its reply is dropped."""
        self._settings = SETTINGS | (SHORT_LEASES if kills else LONG_LEASES)
        self._url = url
        self._folder = folder
        self._supervisor = Supervisor()
        self._worker: KeptProcess
        self._undo = ExitStack()
        self.proxy = CommitProxy(url)

    def lose(self, kind: str, k: int) -> None:
        """From now on, drop the reply to the k-th commit of a kind, and kill the process that waits for it if `kills` says so."""
        self.proxy.lose(kind, k, (lambda: self._kill_writer_of(kind)) if self.kills else None)

    def tend(self) -> None:
        """Start the worker again some time after it has ended. To be called often; the API is looked after by a thread."""
        self._worker.tend()

    def query(self, statement: str, job_id: str) -> list[Any]:
        """Rows of a query about a job, not through the proxy."""
        return self._conn.execute(statement, {"job_id": job_id}).fetchall()

    def history(self, job_id: str) -> JobHistory:
        """All that is stored of a job."""
        (found,) = (job for job in read_history(self._conn).jobs if job.id == job_id)
        return found

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._conn = undo.enter_context(psycopg.connect(self._url.replace("+psycopg", ""), autocommit=True))
            self._conn.execute(WITNESS)
            undo.enter_context(self.proxy)
            door = undo.enter_context(listen("127.0.0.1", 0))
            self.client = Client(address(door))
            undo.callback(self.client.close)
            undo.callback(self._supervisor.end)
            environment = {name: value for name, value in os.environ.items() if not name.startswith("STRIDE_")}
            environment |= {"STRIDE_DATABASE_URL": self.proxy.url, **self._settings}
            log = self._folder / "api.log"
            self._supervisor.start([(["api", "--fd", str(door.fileno())], environment, log, [door.fileno()])])
            self._worker = KeptProcess(["worker"], environment, self._folder / "worker.log")
            undo.callback(self._worker.kill)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._undo.close()

    def _kill_writer_of(self, kind: str) -> None:
        if kind in OF_THE_API:
            os.kill(self._supervisor.processes[0].pid, signal.SIGKILL)
        else:
            os.kill(self._worker.pid, signal.SIGKILL)
