"""Workers as processes, each in its own folder of logs, and none left behind."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.integration.worker import process
from tests.polling import wait_until
from tests.processes import CONTEXT

QUICK = {
    "STRIDE_OBJECTIVE_MODULES": "tests.quadratic,tests.integration.worker.odd",
    "STRIDE_HEARTBEAT_S": "0.3",
    "STRIDE_LEASE_S": "1",
    "STRIDE_DATABASE_TIMEOUT_S": "0.9",
    "STRIDE_POLL_S": "0.1",
}


class WorkerProcess:
    """A running worker."""

    def __init__(self, url: str, log: Path, **settings: str) -> None:
        environment = QUICK | {"STRIDE_DATABASE_URL": url} | settings
        self._process = CONTEXT.Process(target=process.main, args=(environment, log))
        self._process.start()
        self._log = log

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return self._log.read_text() if self._log.exists() else ""

    def trainers(self) -> list[int]:
        """The process ids of its trainer processes."""
        return [child.pid for child in psutil.Process(self.pid).children()]

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, deadline_s: float = 20.0) -> int:
        """Its exit code."""
        self._process.join(deadline_s)
        assert self._process.exitcode is not None, f"the worker does not end within {deadline_s:g} s"
        return self._process.exitcode

    def is_running(self) -> bool:
        return self._process.is_alive()

    def stop(self) -> int:
        """Ask it to stop, and wait until it has."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def end(self) -> None:
        """Whatever it does: afterwards neither it nor its trainer runs."""
        trainers = self.trainers() if self.is_running() else []
        if self.is_running():
            self.signal(signal.SIGKILL)
        self.wait()
        wait_until(lambda: not any(map(psutil.pid_exists, trainers)), "the end of the trainers")


Start = Callable[..., WorkerProcess]


@contextmanager
def worker_processes(url: str, folder: Path) -> Iterator[Start]:
    """Start workers on the database at `url`, or at another; settings as environment variables."""
    started: list[WorkerProcess] = []

    def start(at: str | None = None, **settings: str) -> WorkerProcess:
        worker = WorkerProcess(at or url, folder / f"worker-{len(started)}.log", **settings)
        started.append(worker)
        return worker

    try:
        yield start
    finally:
        for worker in started:
            worker.end()
            sys.stdout.write(worker.log)  # pytest shows it when the test fails


@pytest.fixture
def start_worker(database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Start workers on the test's database."""
    with worker_processes(database_url, tmp_path) as start:
        yield start
