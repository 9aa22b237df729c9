"""Folders for the data of servers: in memory where there is room, since making a database syncs a thousand files."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")
NAME = "stride-tests-"
"""How the folders' names begin; the process id of who made one follows."""
ROOM_BYTES = 2**30
"""That must be free in memory."""


@contextmanager
def data_folder(room_bytes: int = ROOM_BYTES) -> Iterator[Path]:
    """A folder through which every user may pass, as PostgreSQL must where it is run as another; pytest's own do not allow it."""
    _clear_memory()
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > room_bytes
    with tempfile.TemporaryDirectory(prefix=f"{NAME}{os.getpid()}-", dir=MEMORY if roomy else None) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _clear_memory() -> None:
    """Remove what runs that were killed have left there."""
    for folder in MEMORY.glob(f"{NAME}*"):
        pid = folder.name.removeprefix(NAME).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
