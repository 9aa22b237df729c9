"""Processes of the service under a supervisor, which restarts them when they end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from service import cli
from tests.forks import Forked, ForkServer, Start

LOOK_S = 0.1
AGAIN_S = 0.2
"""Seconds before a process that has ended is restarted."""
END_S = 15.0
"""Seconds for processes to end when they are asked to."""


_SERVER = ForkServer("uvicorn", "service.app", "service.worker.loop", "scipy.optimize", "scipy.stats", "sklearn.linear_model")
"""Has imported what the processes would, as soon as they are asked for an answer."""


class KeptProcess:
    """A process `stride ARGUMENT...`; what it prints goes to `log`."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, descriptors: Sequence[int] = ()
    ) -> None:
        self._arguments = arguments
        self._environment = environment
        self._descriptors = descriptors
        self.log = log
        self._ended_at: float | None = None
        self.own_ends: list[str] = []
        """Its exits that no fault caused."""
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The process id of its latest run."""
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def trainer(self) -> int | None:
        """The process id of its trainer, if it has one at the moment."""
        with suppress(psutil.Error):
            for child in psutil.Process(self.pid).children():
                if "service.worker.trainer.child" in child.cmdline():
                    return child.pid
        return None

    def tend(self) -> None:
        """Restart it some time after it has ended. To be called often."""
        if self.is_running():
            return
        now = time.monotonic()
        if self._ended_at is None:
            self._ended_at = now
            if self._process.returncode != -signal.SIGKILL:
                self.own_ends.append(f"{self.log.stem} ended with {self._process.returncode}, see {self.log.name}")
        elif now >= self._ended_at + AGAIN_S:
            self._process, self._ended_at = self._start(), None

    def ask_to_end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until it ends, by the monotonic clock; kill it when that takes too long."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it, and wait until it has ended."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> Forked:
        start = Start(
            function=_main,
            arguments=(self._arguments, self.log),
            environment=self._environment,
            words=("stride",),
            numbers=tuple(self._descriptors),
        )
        return _SERVER.start(start, self._descriptors)


def _main(arguments: Sequence[str], log: Path) -> None:
    """What a process does."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, source in enumerate((os.open(os.devnull, os.O_RDONLY), out, out)):
        os.dup2(source, number)
    words = [*arguments, "--parent", str(os.getppid())]
    if "LD_PRELOAD" in os.environ:  # of which a process that runs takes no notice
        os.execv(sys.executable, [sys.executable, "-m", "service.cli", *words])
    sys.argv += words
    cli.main()


class Supervisor:
    """Keeps processes running until it is asked to end them."""

    def __init__(self) -> None:
        self.processes: list[KeptProcess] = []
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, recipes: Sequence[tuple[Sequence[str], Mapping[str, str], Path, Sequence[int]]]) -> None:
        """Start a process for each of (arguments, environment, log, descriptors)."""
        started = threading.Event()

        def keep() -> None:
            self.processes = [KeptProcess(*recipe) for recipe in recipes]
            started.set()
            while not self._ending.wait(LOOK_S):
                for process in self.processes:
                    process.tend()
            for process in self.processes:
                process.ask_to_end()
            deadline = time.monotonic() + END_S
            for process in self.processes:
                process.end(deadline)

        self._thread = threading.Thread(target=keep, name="supervisor")
        self._thread.start()
        started.wait()

    def end(self) -> None:
        """End all of them."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
