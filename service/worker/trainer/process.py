"""The worker's handle on its trainer process: start, exchange messages, read its log, end.

Only `wait` waits for the process. `receive` returns what has arrived, and raises once it is known how the process died.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from objectives.scripts.entry import ScriptFunction, as_text
from service.worker.trainer.messages import END_OF_LOG, FromTrainer, RunEnded, ToTrainer
from service.worker.trainer.pipe import TrainerPipe

LOG_LINES = 200
LOG_S = 1.0
"""How long a result waits for the last lines of the log, which may never end: an objective's own children may keep it open."""
STOP_S = 1.75
"""How long the item under way may take after a command to stop, before the process is killed: a run stops within two seconds."""


class TrainerDied(Exception):
    """The trainer process has ended; the message says how."""


class TrainerProcess:
    """One child process, warm between trials: it keeps its imports and its data."""

    def __init__(
        self,
        objective_modules: Sequence[str] = (),
        data_folders: Sequence[Path] = (),
        number: int = 0,
        digests: Mapping[str, str] | None = None,
        scripts: Mapping[str, ScriptFunction] | None = None,
    ) -> None:
        """Start it. number: of its worker.

        digests: of the files of the modules, by `source_digests`, so that it trains nothing else; None: whatever they hold.
        scripts: the functions that train the objectives of users' files, by the objective's name.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = self._start(
                [
                    *(f"--data-folder={folder}" for folder in data_folders),
                    *(word for digest in (digests or {}).items() for word in ("--digest", *digest)),
                    f"--number={number}",
                    f"--scripts={as_text(scripts or {})}",
                    *(str(theirs.fileno()), str(os.getpid()), *objective_modules),
                ],
                theirs.fileno(),
            )
        self._pipe = TrainerPipe(ours)
        self._death: str | None = None
        self._closed_at: float | None = None
        """When its end of the pipe was found closed: the process has died, or is about to."""
        self._exited_at: float | None = None
        self._ended: tuple[int, FromTrainer] | None = None
        """How a run ended, kept back until the last lines of its log have arrived."""
        self._keep_until = 0.0
        """When it is returned in any case."""
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._log_ended = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="trainer-log", daemon=True)
        self._listener.start()

    def _start(self, arguments: Sequence[str], pipe: int) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "service.worker.trainer.child", *arguments],
            pass_fds=(pipe,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            process_group=0,  # what it starts is ended with it
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def send(self, run: int, message: ToTrainer) -> None:
        """Send a message to a run. Raises TrainerDied once all that it sent was received, and it is known how it died."""
        try:
            self._pipe.send(run, message)
        except OSError:
            if not self._pipe.has_message():
                self._find_death()

    def has_room(self) -> bool:
        """Whether a short message can be sent at once. The trainer reads between two items only, and an item may take hours."""
        try:
            return self._pipe.has_room()
        except OSError:
            return False

    def wait(self, until: float) -> None:
        """Wait until a message may have arrived, the process has died, or until `until` by the monotonic clock."""
        left = max(0.0, until - time.monotonic())
        if self._ended is not None:
            self._log_ended.wait(min(left, max(0.0, self._keep_until - time.monotonic())))
        elif self._exited_at is not None:
            self._listener.join(min(left, LOG_S))
        elif self._closed_at is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(min(left, LOG_S))
        else:
            with contextlib.suppress(OSError):  # `receive` finds out
                self._pipe.wait(until)

    def receive(self) -> tuple[int, FromTrainer] | None:
        """The next message, after the id of its run; None when there is none. Raises TrainerDied."""
        if self._ended is None:
            received = self._read()
            if received is None or not isinstance(received[1], RunEnded):
                return received
            self._ended, self._keep_until = received, time.monotonic() + LOG_S
        if not self._log_ended.is_set() and time.monotonic() < self._keep_until:
            return None
        received, self._ended = self._ended, None
        return received

    def start_log(self) -> None:
        """Clear the log: what was printed until now belongs to the previous trial."""
        self._log.clear()
        self._log_ended.clear()

    def log_tail(self) -> str:
        """The last lines that the trainer printed since `start_log`."""
        return "".join(list(self._log))

    def memory_mb(self) -> float:
        """Megabytes that the process holds, with all that it has started; 0 when it has ended."""
        total = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            for member in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # it may end meanwhile
                    total += member.memory_info().rss
        return total / 1e6

    def end(self) -> None:
        """Kill the process and what it has started, if they still run."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()  # killed: it ends at once
        self._listener.join(LOG_S)  # guards kill what scripts and commands have started; they hold the log open until then
        self._pipe.close()

    def _read(self) -> tuple[int, FromTrainer] | None:
        try:
            received = self._pipe.receive()
            if received is None and self._process.poll() is not None:
                received = self._pipe.receive()  # sent just before it died
                if received is None:
                    raise EOFError  # though a child that it forked holds its end of the pipe
        except (EOFError, OSError):  # also when it was killed in the middle of a message
            self._find_death()
            return None
        return received

    def _listen(self) -> None:
        assert self._process.stdout is not None
        mark = END_OF_LOG.decode()
        with self._process.stdout as lines:
            for line in lines:  # until the process, and every child that inherited it, has closed it
                if line != mark:
                    self._log.append(line.removesuffix(mark))
                if line.endswith(mark):
                    self._log_ended.set()

    def _find_death(self) -> None:
        """After the pipe has closed: raise TrainerDied once the cause is known and the last lines of the log have arrived."""
        now = time.monotonic()
        if self._death is None:
            self._closed_at = self._closed_at or now
            if self._process.poll() is None:
                if now < self._closed_at + LOG_S:
                    return
                self._process.kill()  # one of the objective's threads may keep it from ending
                self._process.wait()
                self._death = "the trainer process closed its pipe and did not end: it was killed"
            else:
                self._exited_at = self._exited_at or now
                if self._listener.is_alive() and now < self._exited_at + LOG_S:
                    return
                self._death = _how_it_ended(self._process.returncode)
        raise TrainerDied(self._death)


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"the trainer process was killed by {signal.Signals(-code).name}"
    return f"the trainer process exited with code {code}"
