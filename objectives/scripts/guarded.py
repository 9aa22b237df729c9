"""A user's process, started under a guard, which ends it and all that it has started."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_GUARD = str(Path(__file__).with_name("guard.py"))


class Guarded:
    """One process. What it has started ends with it, and all of them end with the process that started it, even by SIGKILL."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdout: int | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """The arguments are those of subprocess.Popen; there is no standard input. Raises OSError."""
        self._lifeline, theirs = socket.socketpair()
        told = (str(theirs.fileno()), str(os.getpid()), " ".join(map(str, pass_fds)))
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", _GUARD, *told, *words],
                cwd=cwd,
                env=env,
                pass_fds=(theirs.fileno(), *pass_fds),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                process_group=0,  # what kills the group of this process must leave the guard alive
            )
        except BaseException:
            self._lifeline.close()
            raise
        finally:
            theirs.close()
        self.not_started: OSError | None = None
        """Why the process could not be started; known once `poll` returns a code."""
        self._code: int | None = None

    @property
    def stdout(self) -> IO[bytes] | None:
        """As of Popen."""
        return self._guard.stdout

    def poll(self) -> int | None:
        """Its exit code, negative for a signal, once it and all that it has started have ended; None: it runs."""
        if self._code is None and (code := self._guard.poll()) is not None:
            self._code = self._told(code)
        return self._code

    def wait(self, within_s: float | None = None) -> int:
        """Wait for that. Raises subprocess.TimeoutExpired."""
        self._guard.wait(within_s)
        code = self.poll()
        assert code is not None
        return code

    def terminate(self) -> None:
        """Send SIGTERM to it alone."""
        self._guard.terminate()

    def kill(self) -> None:
        """End all of them at once."""
        if self.poll() is None:
            with suppress(OSError):  # it has ended meanwhile
                self._lifeline.shutdown(socket.SHUT_WR)
            self.wait()

    def _told(self, code: int) -> int:
        """The exit code that the guard has told; code: its own, for when it was killed."""
        with self._lifeline:
            self._lifeline.setblocking(False)
            said = b""
            with suppress(BlockingIOError):
                said = self._lifeline.recv(64)
        match said.decode().split():
            case ["failed", number, *_]:
                self.not_started = OSError(int(number), os.strerror(int(number)))
            case ["ended", number]:
                return int(number)
        return code
