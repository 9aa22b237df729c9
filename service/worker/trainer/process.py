"""The worker's handle on its trainer process: start, talk, listen to its log, end."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from service.worker.trainer.messages import END_OF_LOG, FromTrainer, RunEnded, ToTrainer

LOG_LINES = 200
LOG_S = 1.0
"""How long a result waits for the last lines of the log. They may never end: an objective's own children may hold its output."""
STOP_S = 1.75
"""How long a trainer that is told to stop may take for the item under way, before it is killed: stopped within two seconds."""


class TrainerDied(Exception):
    """The trainer process has ended; the message says how."""


class TrainerProcess:
    """One child process, warm between trials: it keeps its imports and its data."""

    def __init__(self, objective_modules: Sequence[str] = (), data_folders: Sequence[Path] = ()) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "service.worker.trainer.child"),
                    *(f"--data-folder={folder}" for folder in data_folders),
                    *(str(theirs.fileno()), str(os.getpid()), *objective_modules),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                process_group=0,  # what it starts is ended with it
            )
        self._pipe = Connection(ours.detach())
        self._death: str | None = None
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._log_ended = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="trainer-log", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def send(self, message: ToTrainer) -> None:
        """Raises TrainerDied."""
        try:
            self._pipe.send(message)
        except OSError:
            raise TrainerDied(self._how_it_died()) from None

    def has_room(self) -> bool:
        """Whether a short message can be sent at once. The trainer reads between two items only, and an item may take hours."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLOUT)
        return bool(poll.poll(0))

    def receive(self, timeout_s: float) -> FromTrainer | None:
        """The next message, or None when none came in time. Raises TrainerDied."""
        try:
            if not self._pipe.poll(max(0.0, timeout_s)):
                if self._process.poll() is None or self._pipe.poll():
                    return None
                raise EOFError  # dead, though a child that it forked holds its end of the pipe
            message: FromTrainer = self._pipe.recv()
        except (EOFError, OSError):  # the latter when it was killed in the middle of a message
            raise TrainerDied(self._how_it_died()) from None
        if isinstance(message, RunEnded):
            self._log_ended.wait(LOG_S)
        return message

    def start_log(self) -> None:
        """What was printed until now belongs to the trial before."""
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
        """Kill the process and what it has started, if they still run, and wait for its end."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join(LOG_S)
        self._pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        mark = END_OF_LOG.decode()
        with self._process.stdout as lines:
            for line in lines:  # until the process, and whoever it has given it to, closes it
                if line != mark:
                    self._log.append(line.removesuffix(mark))
                if line.endswith(mark):
                    self._log_ended.set()

    def _how_it_died(self) -> str:
        # Told once for all: whoever asks again would find it killed, by us.
        if self._death is None:
            self._death = self._await_death()
        return self._death

    def _await_death(self) -> str:
        try:
            code = self._process.wait(LOG_S)
        except subprocess.TimeoutExpired:  # a thread of the objective's may keep it from ending
            self._process.kill()
            self._process.wait()
            return "the trainer process closed its pipe and did not end: it was killed"
        self._listener.join(LOG_S)  # its last words
        if code < 0:
            return f"the trainer process was killed by {signal.Signals(-code).name}"
        return f"the trainer process exited with code {code}"
