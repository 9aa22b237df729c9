"""The data folder: its files, its lock, and its owner.

    lock             held by the process that runs the server; the kernel releases it when the process ends. It holds the
                     process's id and, once it serves there, the URL of its API
    password         of the only database user
    postgres/        the cluster; made as postgres-partial-* and renamed when it is complete
    postgres.log     what the server says; above 10 MB the next start moves it to postgres.log.1
    postgresql-*/    the programs, where the server's user cannot reach the wheel

Whatever exists is complete: what takes time is created under another name in the same folder, and renamed.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from service.store.embedded.errors import EmbeddedPostgresError, FolderInUse
from service.store.embedded.process import ROOT, Identity, namespaces_allowed

LOG_LIMIT_BYTES = 10_000_000
ELSEWHERE = "Choose another data folder (STRIDE_DATA_DIR), or set STRIDE_DATABASE_URL."


def default_data_dir() -> Path:
    """`stride` in the user's data folder (XDG); for root without user namespaces /var/lib/stride, which others can reach."""
    if os.geteuid() == ROOT and not namespaces_allowed():
        return Path("/var/lib/stride")
    data_home = Path(os.environ.get("XDG_DATA_HOME", ""))
    # The specification says to ignore relative paths.
    return (data_home if data_home.is_absolute() else Path.home() / ".local" / "share") / "stride"


@dataclass(frozen=True)
class DataFolder:
    """A data folder. Only the process that has claimed it changes anything in it."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def password(self) -> Path:
        return self.path / "password"

    @property
    def cluster(self) -> Path:
        return self.path / "postgres"

    @property
    def log(self) -> Path:
        return self.path / "postgres.log"

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the system in this block into a sentence that names the folder."""
        try:
            yield
        except OSError as error:
            what = f"{error.strerror} ({error.filename})" if error.filename else str(error)
            raise EmbeddedPostgresError(f"The data folder {self.path} cannot be used: {what}. {ELSEWHERE}") from error

    def claim(self) -> int:
        """Make the folder if need be, and take it for this process until the descriptor returned is closed or the process ends.

        Raises FolderInUse if another process has it, and EmbeddedPostgresError if it holds what is not ours.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The lock is the first file that we make, so a folder that has others and not this one is not ours.
        strangers = {path.name for path in self.path.iterdir()} - {"lost+found"}
        if strangers and not self.lock.exists():
            raise EmbeddedPostgresError(f"The folder {self.path} holds something else, {min(strangers)!r} for one. {ELSEWHERE}")
        lock = os.open(self.lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder, _, url = os.read(lock, 1000).decode().partition(" ")
            os.close(lock)
            said = f"The data folder {self.path} is in use by process {holder or 'unknown'}. Stop it, or choose another."
            raise FolderInUse(said, url or None) from None
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return lock

    def note(self, lock: int, url: str) -> None:
        """Tell who finds the folder in use where our API serves. lock: what `claim` has returned."""
        os.pwrite(lock, f"{os.getpid()} {url}".encode(), 0)

    def owner(self) -> int:
        """The user who owns the cluster, or will own it."""
        return (self.cluster if self.cluster.exists() else self.path).stat().st_uid

    def open_to(self, identity: Identity) -> None:
        """Close the folder to other users. A server that runs as another user may pass through it, but not list it.

        Raises EmbeddedPostgresError if the cluster is not that user's.
        """
        if self.owner() != identity.owner and self.cluster.exists():
            raise EmbeddedPostgresError(
                f"The database in {self.path} belongs to user {self.owner()}, and PostgreSQL would run as {identity.owner}."
                f" Give the folder to that user, or start as its owner."
            )
        self.path.chmod(0o700 if self.path.stat().st_uid == identity.owner else 0o711)

    def check_version(self, major: int) -> None:
        """Raises EmbeddedPostgresError if the cluster is another major version's, or none."""
        version = self.cluster / "PG_VERSION"
        if not version.exists():
            raise EmbeddedPostgresError(f"The folder {self.cluster} holds no database. {ELSEWHERE}")
        found = version.read_text().strip()
        if found != str(major):
            raise EmbeddedPostgresError(
                f"The database in {self.path} was made by PostgreSQL {found}, and this is PostgreSQL {major}."
                f" Dump it with {found} and restore it into another folder (STRIDE_DATA_DIR), or set STRIDE_DATABASE_URL."
            )

    def read_password(self) -> str:
        return self.password.read_text().strip()

    def make_password(self, reader: int) -> None:
        """Keep the password of an earlier attempt, or write a new one, atomically. Only `reader`, and root, can read it."""
        if not self.password.exists():
            partial = self.path / "password-partial"
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
                file.flush()
                os.fchown(descriptor, reader, -1)
                os.fsync(descriptor)
            partial.rename(self.password)

    def sync(self) -> None:
        """Make renames in this folder survive a power failure."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def open_log(self) -> IO[bytes]:
        """Open the log for appending and reading."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.rename(self.path / "postgres.log.1")
        return os.fdopen(os.open(self.log, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW, 0o600), "a+b")
