"""A Stride of this machine, run by a process of its own that ends with this one."""

import atexit
import json
import os
import subprocess
import sys
import tempfile

from stride.errors import NotStarted

STOPS_WITHIN_S = 60.0
"""How long workers, API and PostgreSQL may take to end in their order."""


class LocalStride:
    """The process `stride serve-client`. data_dir: None: as the command line chooses it. Raises NotStarted."""

    def __init__(self, data_dir: str | os.PathLike[str] | None, workers: int) -> None:
        # With -P the working directory is not looked in first: what is there belongs to the user.
        command = [
            sys.executable,
            "-P",
            "-m",
            "service.cli",
            "serve-client",
            "--parent",
            str(os.getpid()),
            "--workers",
            str(workers),
        ]
        if data_dir is not None:
            command += ["--data", os.fspath(data_dir)]
        self._pid = os.getpid()
        with tempfile.TemporaryFile("w+") as errors:
            # A session of its own: Ctrl-C, and a notebook's interrupt, are for this process.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
            )
            atexit.register(self.stop)
            try:
                assert self._process.stdout is not None
                line = self._process.stdout.readline()
            except BaseException:
                self.stop()
                raise
            if not line:
                self.stop()
                errors.seek(0)
                said = errors.read().strip().splitlines() or [f"it ended with code {self._process.returncode}"]
                raise NotStarted(f"The Stride of this machine did not start: {said[-1].removeprefix('stride: ')}")
        self.url: str = json.loads(line)["url"]

    def stop(self) -> None:
        """End it, in order. Nothing happens where it has ended."""
        atexit.unregister(self.stop)
        if self._pid != os.getpid():  # a copy of the client's process, by fork
            return
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
