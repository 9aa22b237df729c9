"""The one job that a worker of `stride run` is for: an open file says it, which the worker has inherited."""

import os
from uuid import UUID

ANY = "any"
"""Written in place of a job's id once the worker may train any job."""
_LONGEST = 36


class Assignment:
    """What the file with this descriptor says; it may say nothing yet. The file is written at once, and may be written again."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, job: str) -> None:
        """Let the workers train the job with this id, or ANY."""
        os.pwrite(self._descriptor, job.ljust(_LONGEST).encode(), 0)

    def read(self) -> tuple[bool, UUID | None]:
        """Whether the worker may train, and the one job that it may train; None: any."""
        said = os.pread(self._descriptor, _LONGEST, 0).decode().strip()
        return said != "", None if said in ("", ANY) else UUID(said)
