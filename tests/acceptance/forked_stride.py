"""`stride ARGUMENT...`, forked from a process that has imported what all commands need, and so are the API and the workers of it.

To import that takes longer than most commands: four seconds of CPU for a whole Stride.
"""

import os
import pkgutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partialmethod
from pathlib import Path
from typing import IO

from service import cli, commands
from service.commands.pool import LocalProcess
from service.worker.trainer.process import TrainerProcess
from tests.forked_scripts import fork_scripts
from tests.forked_trainers import start_trainer
from tests.forks import Forked, ForkServer, Start, begin_in, fork

_COMMAND = ("python", "-P", "-m", "service.cli")
_SERVER = ForkServer(
    *("tests.acceptance.forked_stride", "service.store.migrate", "uvicorn", "service.app", "service.worker.loop"),
    *("scipy.optimize", "scipy.stats", "service.analysis.model.retraining"),  # for answers, and to confirm them
    *(f"service.commands.{module.name}" for module in pkgutil.iter_modules(commands.__path__)),
)
_SCRIPTS = ForkServer(
    *("torch._dynamo", "safetensors.torch", "optuna", "sklearn.datasets"),
    *("stride.process", "service.worker.trainer.child"),
)


class ForkedStride:
    """A process `stride ARGUMENT...`, with what a subprocess.Popen has."""

    def __init__(self, process: Forked, stdout: IO[str], stderr: IO[str]) -> None:
        self.stdout, self.stderr, self.pid = stdout, stderr, process.pid
        self.poll, self.wait, self.send_signal = process.poll, process.wait, process.send_signal
        self.terminate, self.kill = process.terminate, process.kill
        self._process = process
        self._readers: list[threading.Thread] = []
        self._said: dict[IO[str], str] = {}

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it has printed since. May be called again. Raises subprocess.TimeoutExpired."""
        if not self._readers:
            for stream in (self.stdout, self.stderr):
                self._readers.append(threading.Thread(target=self._read, args=[stream], daemon=True))
                self._readers[-1].start()
        self.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return self._said[self.stdout], self._said[self.stderr]

    def _read(self, stream: IO[str]) -> None:
        with stream:
            self._said[stream] = stream.read()


def server_of_scripts() -> str:
    """The address of one that has imported torch, and what a first step of an optimizer imports."""
    _SCRIPTS.start(Start(function=int, arguments=(), environment={}, words=())).wait()
    return _SCRIPTS.address


def run_forked(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, *, stdin: str, deadline_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `stride ARGUMENT...` to its end. Raises TimeoutExpired."""
    with tempfile.TemporaryFile() as file:
        file.write(stdin.encode())
        file.seek(0)
        process = start_forked(arguments, environment, cwd, stdin=file)
    try:
        said = process.communicate(deadline_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(["stride", *arguments], process.wait(), *said)


def start_forked(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    *,
    stdin: IO[bytes] | None = None,
    scripts: str | None = None,
) -> ForkedStride:
    """Start `stride ARGUMENT...`. stdin: None: nothing."""
    (out, to_out), (err, to_err) = os.pipe(), os.pipe()
    with open(to_out, "wb"), open(to_err, "wb"), open(os.devnull, "rb") as nothing:
        process = start_with(arguments, environment, cwd, [(stdin or nothing).fileno(), to_out, to_err], scripts)
    return ForkedStride(process, open(out, encoding="utf-8"), open(err, encoding="utf-8"))


def start_with(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, descriptors: Sequence[int], scripts: str | None = None
) -> Forked:
    """As `start_forked`. descriptors: its input, output and error output.

    scripts: address of a server that forks the trainers and the processes of scripts, for scripts that start nothing.
    """
    start = Start(
        function=_main,
        arguments=(cwd, scripts),
        environment=environment,
        words=("stride", *arguments),
        numbers=(0, 1, 2),
        shown=(*_COMMAND, *arguments),
    )
    return _SERVER.start(start, descriptors)


def _main(cwd: Path, scripts: str | None) -> None:
    begin_in(cwd)
    LocalProcess._start = partialmethod(_start, scripts)  # type: ignore[assignment]
    _command(scripts)


def _command(scripts: str | None) -> None:
    if scripts is not None:
        server = ForkServer.at(scripts)
        fork_scripts(server)
        TrainerProcess._start = lambda self, arguments, pipe: start_trainer(server, arguments, pipe, scripts)  # type: ignore[assignment, method-assign, return-value]
    cli.main()


def _start(self: LocalProcess, scripts: str | None) -> Forked:
    """In place of `LocalProcess._start`: the same process, forked."""
    self._started_at = time.monotonic()
    words = [*self._arguments, "--parent", str(os.getpid())]
    start = Start(
        function=_main_of_child,
        arguments=(scripts,),
        environment=self._environment,
        words=("stride", *words),
        numbers=tuple(self._descriptors),
        shown=(*_COMMAND, *words),
    )
    return fork(start, self._descriptors)


def _main_of_child(scripts: str | None) -> None:
    os.setsid()
    _command(scripts)
