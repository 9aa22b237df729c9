"""Local processes, as `stride up` runs them: each is restarted when it dies, and all are stopped in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

log = structlog.get_logger()

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
HEALTHY_S = 60.0
"""A process that ran for this long was healthy: when it dies, pauses before restarts begin at the shortest again."""
KILLED_AFTER_S = 5.0
"""How long after its own grace period a process that was asked to stop is killed."""


class LocalProcess:
    """A process `stride ARGUMENT...` that is restarted whenever it ends, until it is asked to stop.

    It ends with its parent, however that ends. The terminal's Ctrl-C does not reach it: its parent must stop it.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        grace_s: float,
        descriptors: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.grace_s = grace_s
        """Seconds that it may take to stop."""
        self._arguments = arguments
        self._environment = environment
        self._descriptors = descriptors
        self._pause_s = FIRST_PAUSE_S / 2
        self._start_at = 0.0
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Of the latest start."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code of the latest start; None while it runs."""
        return self._process.poll()

    def restart_if_ended(self) -> None:
        """Restart it if it has ended, after a pause that doubles each time. To be called often."""
        if self.exit_code is None:
            return
        now = time.monotonic()
        if self._start_at < self._started_at:  # its end has not been noticed before
            was_healthy = now - self._started_at > HEALTHY_S
            self._pause_s = FIRST_PAUSE_S if was_healthy else min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._start_at = now + self._pause_s
            log.warning("process.died", process=self.name, how=_cause(self._process.returncode), starts_again_in_s=self._pause_s)
        elif now >= self._start_at:
            self._process = self._start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def ends_within(self, seconds: float) -> bool:
        """Wait up to this long for its end; returns whether it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, seconds))
        return self._process.poll() is not None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[Any]:
        # -P: the working directory is the user's, and may hold a folder called service.
        self._started_at = time.monotonic()
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "service.cli", *self._arguments, "--parent", str(os.getpid())],
            env=self._environment,
            pass_fds=self._descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def stop(processes: Sequence[LocalProcess]) -> None:
    """Ask all to stop, and wait; kill those that exceed their grace period. A KeyboardInterrupt meanwhile asks them again."""
    for process in processes:
        process.ask_to_stop()
    deadline = time.monotonic() + max((process.grace_s for process in processes), default=0.0) + KILLED_AFTER_S
    for process in processes:
        try:
            ended = process.ends_within(deadline - time.monotonic())
        except KeyboardInterrupt:
            deadline = time.monotonic() + KILLED_AFTER_S
            for other in processes:
                other.ask_to_stop()  # at the second signal, a worker gives its trial back at once
            ended = process.ends_within(deadline - time.monotonic())
        if not ended:
            log.warning("process.killed", process=process.name)
            process.kill()


def _cause(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
