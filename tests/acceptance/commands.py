"""The commands of `stride`, in processes that are forked from one that has imported their packages: quick to start."""

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from service import cli
from tests.processes import CONTEXT

STREAMS = ("stdin", "stdout", "stderr")


def run_forked(
    arguments: Sequence[str], *, stdin: str, cwd: Path, environment: Mapping[str, str], deadline_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `stride ARGUMENT...` to its end. Raises TimeoutExpired."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stdin").write_text(stdin)
        process = CONTEXT.Process(target=_main, args=(arguments, cwd, dict(environment), folder))
        process.start()
        process.join(deadline_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["stride", *arguments], deadline_s)
        said = [(folder / stream).read_text() for stream in ("stdout", "stderr")]
        return subprocess.CompletedProcess(["stride", *arguments], process.exitcode, *said)


def _main(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], folder: Path) -> None:
    gc.freeze()  # of what the server that it was forked from has imported, nothing is garbage
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    if "PYTHONPATH" in environment:
        sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)  # as Python does when a process starts
    for number, stream in enumerate(STREAMS):
        descriptor = os.open(folder / stream, os.O_RDWR | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
        setattr(sys, stream, open(number, "w" if number else "r", encoding="utf-8", closefd=False))
    sys.argv = ["stride", *arguments]
    cli.main()
