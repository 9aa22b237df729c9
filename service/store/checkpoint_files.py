"""Deletes files from the checkpoint folder: those whose rows are deleted, and those that never got a row.

Trainer processes write it (`worker/checkpoint_format.py`), each file whole or not at all.
"""

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from service.domain.checkpoint import Checkpoint
from service.store import checkpoints
from service.store.postgres import Database

LEFTOVER_S = 3600.0
"""Seconds. A file that no checkpoint refers to is deleted at this age: a younger one may be about to get its row."""

_CHUNK_BYTES = 1_048_576


def delete(folder: Path | None, paths: Sequence[str]) -> None:
    """Delete files whose rows are deleted. Ignores files that do not exist or cannot be reached from here."""
    if folder is None:
        return
    for path in paths:
        with suppress(OSError):
            (folder / path).unlink()


def delete_leftovers(database: Database, folder: Path) -> None:
    """Delete old files that no checkpoint refers to: left by processes killed between writing or deleting a file and its row."""
    old = time.time() - LEFTOVER_S
    found = []
    for pattern in ("*/*.checkpoint", "*/*.safetensors", "*/.*.part"):
        for file in _glob(folder, pattern):
            with suppress(OSError):
                if file.stat().st_mtime < old:
                    found.append(str(file.relative_to(folder)))
    for job in _glob(folder, "*-*-*-*-*"):
        with suppress(OSError):
            if job.stat().st_mtime < old:
                job.rmdir()  # if it is empty
    if found:
        delete(folder, database.transact(lambda conn: checkpoints.unknown_paths(conn, found)))


def _glob(folder: Path, pattern: str) -> list[Path]:
    """The matching paths; none when files vanish while they are listed, or the disk fails: the next run tries again."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def is_whole(file: Path, checkpoint: Checkpoint) -> bool:
    """Whether a file has the stored checksum. Raises OSError."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest() == checkpoint.sha256
