"""A real PostgreSQL without an installation: the default database, and that of the tests.

The programs come from a wheel; what is here starts them in a data folder and sees to it that they end with us:

    data folder/
      lock             held by the process that runs the server; the kernel drops it with the process
      password         of the one user, `stride`
      postgres/        the cluster; made beside itself as postgres-partial-* and renamed when complete
      postgres.log     what the server says
      postgresql-*/    the programs, where the server's user cannot reach the wheel

The server listens on 127.0.0.1 alone and asks for the password. PostgreSQL refuses to be root: for root it runs in a user
namespace; where those are forbidden, or the folder is another user's, as that user or as nobody.
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psycopg

from service.store.postgres_binaries import EmbeddedPostgresError, copy_binaries, wheel_binaries
from service.store.postgres_process import Identity, choose_identity, namespaces_allowed, run, running_postmaster, start

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "default_data_dir", "running_url"]

NAME = "stride"
"""Of the user and of the database."""
HOST = "127.0.0.1"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "300",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # Durability is PostgreSQL's default; stated because postgresql.conf must not be able to take it away.
    "fsync": "on",
    "synchronous_commit": "on",
}
START_DEADLINE_S = 120
"""Long: after a crash the server first replays what it had promised."""
STOP_DEADLINE_S = 30
POLL_S = 0.01
LOG_LIMIT_BYTES = 10_000_000
LOG_TAIL_LINES = 10
PASSING_FAILURES = ("Address already in use", "pre-existing shared memory block")
"""What a start may meet for a moment: somebody took the free port, or the processes of a killed server are still ending."""


class EmbeddedPostgres:
    """A running server that belongs to this process: stop it, or leave the `with` block, or die."""

    def __init__(self, url: str, pid: int, undo: ExitStack) -> None:
        self.url = url
        """`postgresql+psycopg://stride:<password>@127.0.0.1:<port>/stride`"""
        self.pid = pid
        """The server's first process, whose death ends all others."""
        self._undo = undo

    @classmethod
    def start(cls, data_dir: Path, *, port: int | None = None, major: int = 18) -> Self:
        """Make the database if `data_dir` has none, start the server, and return when it answers. The port is a free one unless given.

        Raises EmbeddedPostgresError if the folder is in use, not ours, not writable or of another major version, if the port is
        taken, or if the server does not come up; nothing runs then.
        """
        folder = _Folder(data_dir.resolve())
        with _explained(folder), ExitStack() as undo:
            _claim(folder, undo)
            _end_orphan(folder)
            identity = choose_identity(folder.owner())
            folder.open_to(identity)
            binaries = _usable_binaries(folder, identity, major)
            password = folder.read_or_make_password(identity)
            if not folder.cluster.exists():
                _make_cluster(folder, identity, binaries)
            folder.check_version(major)
            process, port = _start_server(folder, identity, binaries, port, undo)
            _make_database(password, port)
            return cls(_url(password, port), process.pid, undo.pop_all())

    def stop(self) -> None:
        """End the server in order (its fast shutdown) and give the folder free. Again is harmless."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def running_url(data_dir: Path) -> str | None:
    """The URL of the server that runs in `data_dir` at this moment, whoever started it; None if there is none that answers."""
    folder = _Folder(data_dir.resolve())
    with _explained(folder):
        server = running_postmaster(folder.cluster)
        return _url(folder.password.read_text(), server.port) if server and server.ready else None


def default_data_dir() -> Path:
    """`stride` in the user's data folder (XDG); for root without user namespaces /var/lib/stride, which others can reach."""
    if os.geteuid() == 0 and not namespaces_allowed():
        return Path("/var/lib/stride")
    # The specification: a relative path is to be ignored.
    data_home = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (data_home if data_home.is_absolute() else Path.home() / ".local" / "share") / "stride"


@dataclass(frozen=True)
class _Folder:
    """What lies where in a data folder."""

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

    def owner(self) -> int:
        """Whose the cluster is, or will be."""
        return (self.cluster if self.cluster.exists() else self.path).stat().st_uid

    def open_to(self, identity: Identity) -> None:
        """Close the folder to others; another user as whom the server runs may pass through, and see no names."""
        self.path.chmod(0o700 if self.path.stat().st_uid == identity.owner else 0o711)
        if self.cluster.exists() and self.cluster.stat().st_uid != identity.owner:
            raise EmbeddedPostgresError(
                f"The database in {self.path} belongs to user {self.cluster.stat().st_uid}, and PostgreSQL would run as user"
                f" {identity.owner}. Start as its owner, or choose another data folder (STRIDE_DATA_DIR)."
            )

    def read_or_make_password(self, identity: Identity) -> str:
        if not self.password.exists():
            if self.cluster.exists():
                raise EmbeddedPostgresError(f"{self.password} is missing. Restore it, or choose another data folder (STRIDE_DATA_DIR).")
            partial = self.path / "password-partial"
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
                file.flush()
                os.fchown(descriptor, identity.owner, -1)  # initdb reads it
                os.fsync(descriptor)
            partial.rename(self.password)
        return self.password.read_text()

    def check_version(self, major: int) -> None:
        version = self.cluster / "PG_VERSION"
        found = version.read_text().strip() if version.exists() else None
        if found is None:
            raise EmbeddedPostgresError(f"{self.cluster} holds no database. Choose another data folder (STRIDE_DATA_DIR).")
        if found != str(major):
            raise EmbeddedPostgresError(
                f"The database in {self.path} was made by PostgreSQL {found}, and this is {major}. Choose another data folder"
                f" (STRIDE_DATA_DIR), or dump the database with {found} and restore it with {major}."
            )


@contextmanager
def _explained(folder: _Folder) -> Iterator[None]:
    """What the system refuses becomes one sentence that names the folder."""
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The data folder {folder.path} cannot be used: {error}. Choose another (STRIDE_DATA_DIR), or set STRIDE_DATABASE_URL."
        ) from error


def _claim(folder: _Folder, undo: ExitStack) -> None:
    """Take the folder for this process; `undo` gives it free, and so does the end of the process."""
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    strangers = {path.name for path in folder.path.iterdir()} - {"lost+found"}
    if strangers and not folder.lock.exists() and folder.lock.name not in strangers:
        raise EmbeddedPostgresError(
            f"The folder {folder.path} holds something else ({min(strangers)}). Choose an empty or a new data folder (STRIDE_DATA_DIR)."
        )
    lock = os.open(folder.lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    undo.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode() or "unknown"
        raise EmbeddedPostgresError(
            f"The data folder {folder.path} is in use by process {owner}. Stop that process, or choose another data folder (STRIDE_DATA_DIR)."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)


def _end_orphan(folder: _Folder) -> None:
    """Stop a server that outlived its owner: for the moment that takes on Linux, for as long as it likes elsewhere."""
    orphan = running_postmaster(folder.cluster)
    if orphan is None:
        # A killed server leaves its file. PostgreSQL believes it if the number in it now belongs to any process of the same user,
        # which in a container is likely; we hold the lock and have looked at the process.
        (folder.cluster / "postmaster.pid").unlink(missing_ok=True)
        return
    with suppress(ProcessLookupError):
        os.kill(orphan.pid, signal.SIGINT)
    if not _becomes_true(lambda: running_postmaster(folder.cluster) is None, STOP_DEADLINE_S):
        raise EmbeddedPostgresError(
            f"The data folder {folder.path} is in use by process {orphan.pid}, a server that does not stop. Stop that process."
        )


def _usable_binaries(folder: _Folder, identity: Identity, major: int) -> Path:
    """The programs, where the server's user can run them."""
    binaries = wheel_binaries(major)
    said = run(identity, folder.path, [str(binaries / "postgres"), "--version"])
    if said.returncode != 0:
        binaries = copy_binaries(major, folder.path)
        said = run(identity, folder.path, [str(binaries / "postgres"), "--version"])
    if said.returncode != 0:
        raise EmbeddedPostgresError(
            f"PostgreSQL cannot run as user {identity.owner} in {folder.path}: {said.stdout.strip()}. Start as another user, choose"
            " another data folder (STRIDE_DATA_DIR), or set STRIDE_DATABASE_URL."
        )
    return binaries


def _make_cluster(folder: _Folder, identity: Identity, binaries: Path) -> None:
    """Make the database under another name, and rename it when it is complete: nobody ever meets half of one."""
    for leftover in folder.path.glob("postgres-partial-*"):
        shutil.rmtree(leftover)
    partial = Path(tempfile.mkdtemp(prefix="postgres-partial-", dir=folder.path))
    os.chown(partial, identity.owner, -1)
    # Sorted by code point on every system, whatever its C library believes about languages.
    locale = ["--locale=C", "--encoding=UTF8"]
    if "pginstall18" in str(binaries):
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    program = [str(binaries / "initdb"), f"--pgdata={partial}", f"--username={NAME}", f"--pwfile={folder.password}"]
    made = run(identity, folder.path, [*program, "--auth-local=scram-sha-256", "--auth-host=scram-sha-256", *locale])
    if made.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise EmbeddedPostgresError(f"No database could be made in {folder.path}. initdb said:\n{_last_lines(made.stdout)}")
    partial.rename(folder.cluster)


def _start_server(
    folder: _Folder, identity: Identity, binaries: Path, wanted_port: int | None, undo: ExitStack
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server and wait until it is ready; `undo` stops it."""
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        port = _free_port(wanted_port)
        with ExitStack() as undo_attempt, _opened_log(folder) as log:
            log_start = log.tell()
            settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(port)}.items()]
            process = start(identity, folder.path, [str(binaries / "postgres"), "-D", str(folder.cluster), *settings], log)
            undo_attempt.callback(_stop, process)

            def ended_or_ready(process: subprocess.Popen[bytes] = process) -> bool:
                server = running_postmaster(folder.cluster)
                return process.poll() is not None or (server is not None and server.pid == process.pid and server.ready)

            _becomes_true(ended_or_ready, deadline - time.monotonic())
            if process.poll() is None and ended_or_ready():
                undo.push(undo_attempt.pop_all())
                return process, port
            log.seek(log_start)
            said = log.read().decode(errors="replace")
        if time.monotonic() > deadline or not any(failure in said for failure in PASSING_FAILURES):
            raise EmbeddedPostgresError(f"PostgreSQL did not start in {folder.path}. The end of its log:\n{_last_lines(said)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, none
        process.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_DEADLINE_S)
            return


def _make_database(password: str, port: int) -> None:
    """Connect, which shows that the server answers, and make the database `stride` unless an earlier start did."""
    try:
        with psycopg.connect(
            host=HOST, port=port, user=NAME, password=password, dbname="postgres", connect_timeout=10, autocommit=True
        ) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {NAME}")
    except psycopg.Error as error:
        raise EmbeddedPostgresError(f"The embedded PostgreSQL does not answer: {error}") from error


def _url(password: str, port: int) -> str:
    return f"postgresql+psycopg://{NAME}:{password}@{HOST}:{port}/{NAME}"


def _free_port(wanted: int | None) -> int:
    with socket.socket() as probe:
        # As PostgreSQL does, so that connections of an earlier server that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except OSError as error:
            raise EmbeddedPostgresError(f"Port {wanted} cannot be used: {error.strerror}. Choose another, or leave it open.") from error
        port: int = probe.getsockname()[1]
        return port


def _opened_log(folder: _Folder) -> IO[bytes]:
    if folder.log.exists() and folder.log.stat().st_size > LOG_LIMIT_BYTES:
        folder.log.rename(folder.log.with_suffix(".log.1"))
    descriptor = os.open(folder.log, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    file = os.fdopen(descriptor, "a+b")
    file.seek(0, os.SEEK_END)
    return file


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LOG_TAIL_LINES:])


def _becomes_true(condition: Callable[[], bool], deadline_s: float) -> bool:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True
