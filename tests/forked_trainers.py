"""A trainer process, forked from one that has imported torch and what an optimizer's first step imports, for two seconds."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from service.worker.trainer import child
from service.worker.trainer.process import TrainerProcess
from tests.forked_scripts import fork_scripts
from tests.forks import Forked, ForkServer, Start, begin_in

_SERVER = ForkServer("torch._dynamo", "service.worker.trainer.child")


class ForkedTrainer(TrainerProcess):
    """As its base, but for how it starts, and that its parent is the server: it ends with that, or once its pipe is closed."""

    def _start(self, arguments: Sequence[str], pipe: int) -> "Logged":  # type: ignore[override]
        return start_trainer(_SERVER, arguments, pipe)


class Logged:
    """What `TrainerProcess` needs of a Popen. stdout: what the process prints."""

    def __init__(self, process: Forked, stdout: IO[str]) -> None:
        self.stdout = stdout
        self.pid = process.pid
        self.poll, self.wait, self.kill = process.poll, process.wait, process.kill
        self._process = process

    @property
    def returncode(self) -> int | None:
        return self._process.returncode


def start_trainer(server: ForkServer, arguments: Sequence[str], pipe: int, scripts: str | None = None) -> Logged:
    """In place of `TrainerProcess._start`. scripts: address of a server that forks the processes of scripts."""
    log, theirs = os.pipe()
    start = Start(
        function=_main,
        arguments=(Path.cwd(), scripts),
        environment=os.environ | {"PYTHONUNBUFFERED": "1"},
        words=("trainer", *arguments),
        numbers=(pipe, 1, 2),
    )
    process = server.start(start, [pipe, theirs, theirs])
    os.close(theirs)
    return Logged(process, open(log, encoding="utf-8", errors="replace"))


def _main(folder: Path, scripts: str | None) -> None:
    if scripts is not None:
        fork_scripts(ForkServer.at(scripts))
    begin_in(folder)
    child.die_with = lambda worker: None  # type: ignore[assignment]
    child.main()
