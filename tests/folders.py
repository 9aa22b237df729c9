"""Folders for the data of servers: in memory where there is room, since making a database syncs a thousand files."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 2**30
"""That must be free in memory."""


@contextmanager
def data_folder(room_bytes: int = ROOM_BYTES) -> Iterator[Path]:
    """A folder through which every user may pass, as PostgreSQL must where it is run as another; pytest's own do not allow it."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > room_bytes
    with tempfile.TemporaryDirectory(prefix="stride-tests-", dir=MEMORY if roomy else None) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
