"""A script process, from outside: started on a user's file, asked what the file holds, and given runs.

The file is loaded there and nowhere else: its modules may have the names of ours, and it may do to its process what it likes.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from objectives.contract import RunLost
from objectives.own_modules import CatalogProblem
from objectives.scripts.guarded import Guarded
from stride import connection
from stride.connection import Closed, Connection, Message

LOAD_S = 120.0
"""How long a file may take to load: it may import torch from a slow disk."""
END_S = 2.0
"""How long the process may take to end by itself."""
_LOOK_UP_S = 0.5
_TRAINING = "objectives.scripts.training"
_MAIN = (
    f"import sys; sys.path.append({str(Path(connection.__file__).parents[1])!r}); from stride.process import main;"
    f" main({_TRAINING!r})"
)
"""The same `stride` as here, wherever it was imported from. With -P the working directory is not looked in."""


class ScriptProcess:
    """One process with one file loaded. Raises CatalogProblem when it cannot be loaded, in a sentence.

    module: the file's name as a module, where it belongs to an installed package.
    """

    def __init__(self, path: Path, *, module: str | None = None, load_s: float = LOAD_S) -> None:
        self.path = path
        self.module = module
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = Guarded(
                [sys.executable, "-P", "-c", _MAIN, str(path), str(theirs.fileno()), module or ""], pass_fds=[theirs.fileno()]
            )
        self._connection = Connection(ours)
        try:
            loaded, _ = self._first(load_s)
        except BaseException:
            self.end()
            raise
        self.sha256: str = loaded["sha256"]
        """Of the file's bytes, in hexadecimal digits."""

    def describe(self, name: str | None, within_s: float, space: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """What the file holds, as `stride.script` describes it. name: the one to describe; None: all. Raises CatalogProblem.

        space: the search space of an Optuna objective, which is else found by asking it.
        """
        self.send({"type": "describe", "name": name, "space": space})
        try:
            described, _ = self._receive(time.monotonic() + within_s)
        except TimeoutError:
            raise CatalogProblem(
                f"{self.path.name} was asked for its search space, and reported nothing within {within_s:g} s"
                f" ({self.path}): report earlier, or declare the space with @stride.objective"
            ) from None
        if described["type"] == "refused":
            raise CatalogProblem(described["reason"])
        objectives: list[dict[str, Any]] = described["objectives"]
        return objectives

    def send(self, message: Message, blob: bytes = b"") -> None:
        """Raises RunLost when the process has ended."""
        try:
            self._connection.send(message, blob)
        except Closed:
            raise RunLost(self._how_it_ended()) from None

    def receive(self, within_s: float | None = None) -> tuple[Message, bytes]:
        """The next message; waits for it as long as the process runs, or so long. Raises RunLost, TimeoutError."""
        return self._receive(None if within_s is None else time.monotonic() + within_s)

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def end(self, *, at_once: bool = False) -> None:
        """End the process and what it has started, by force where it does not end by itself. at_once: by force."""
        self._connection.close()
        if not at_once:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        self._process.kill()

    def _first(self, load_s: float) -> tuple[Message, bytes]:
        try:
            message, blob = self._receive(time.monotonic() + load_s)
        except TimeoutError:
            raise CatalogProblem(f"{self.path.name} is not loaded within {load_s:g} s ({self.path})") from None
        except RunLost as lost:
            raise CatalogProblem(f"{self.path.name} cannot be loaded: {lost} ({self.path})") from None
        if message["type"] == "refused":
            raise CatalogProblem(message["reason"])
        return message, blob

    def _receive(self, until: float | None) -> tuple[Message, bytes]:
        """Raises TimeoutError, RunLost."""
        try:
            while not self._connection.has_message(_LOOK_UP_S if until is None else min(_LOOK_UP_S, _left(until))):
                # Its end of the socket may be held open by a child that it left behind.
                if self._process.poll() is not None and not self._connection.has_message(0):
                    raise Closed
                if until is not None and not _left(until):
                    raise TimeoutError
            return self._connection.receive()
        except Closed:
            raise RunLost(self._how_it_ended()) from None

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            return f"the process of {self.path.name} has closed its connection"
        if code < 0:
            return f"the process of {self.path.name} was killed by {signal.Signals(-code).name}"
        return f"the process of {self.path.name} exited with code {code}"


def _left(until: float) -> float:
    """Seconds."""
    return max(0.0, until - time.monotonic())
