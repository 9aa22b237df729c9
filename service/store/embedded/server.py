"""The server: create it, start it, stop it, find it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from service.store.embedded.binaries import usable_binaries
from service.store.embedded.errors import EmbeddedPostgresError, FolderInUse
from service.store.embedded.folder import ELSEWHERE, DataFolder
from service.store.embedded.process import Identity, choose_identity, disown_recycled_pid, run, running_postmaster, start

NAME = "stride"
"""Name of the user, and of the database."""
HOST = "127.0.0.1"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "300",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # PostgreSQL's defaults, set because postgresql.conf must not change them: what is committed is durable.
    "fsync": "on",
    "synchronous_commit": "on",
}
START_DEADLINE_S = 120.0
"""Long: after a crash the server first replays its write-ahead log."""
STOP_DEADLINE_S = 30.0
POLL_S = 0.01
LOG_TAIL_LINES = 10
PASSING_FAILURES = ("Address already in use", "pre-existing shared memory block", 'lock file "postmaster.pid" already exists')
"""Transient failures of a start: another process took the free port, or a killed server or its children are still ending."""


class EmbeddedPostgres:
    """A running server that belongs to this process: it ends with `stop()`, with the `with` block, or with the process."""

    def __init__(
        self, folder: DataFolder, lock: int, identity: Identity, binaries: Path, port: int | None, undo: ExitStack
    ) -> None:
        """As `start`, in a folder that `lock` has claimed. undo: releases it at the end; the server is stopped before."""
        self._folder = folder
        self._lock = lock
        self._identity = identity
        self._binaries = binaries
        self._undo = undo
        self._serving = undo.enter_context(ExitStack())
        self._serve(port)

    @classmethod
    def start(cls, data_dir: Path, *, port: int | None = None, major: int = 18) -> Self:
        """Create the database if `data_dir` has none, start the server, and return when it answers. `port` None: a free one.

        Raises EmbeddedPostgresError, and leaves nothing running, if the folder is in use, not ours, not writable or of another
        major version, if the port is taken, or if the server does not come up.
        """
        folder = DataFolder(data_dir.resolve())
        with folder.explained(), ExitStack() as undo:
            undo.callback(os.close, lock := folder.claim())
            if folder.cluster.exists():
                folder.check_version(major)
            identity = choose_identity(folder.owner())
            folder.open_to(identity)
            binaries = usable_binaries(major, folder.path, identity)
            if not folder.cluster.exists():
                _make_cluster(major, folder, identity, binaries)
            server = cls(folder, lock, identity, binaries, port, undo)
            _make_database(folder, server.port)
            server._undo = undo.pop_all()
            return server

    def restart(self) -> None:
        """Start the server again, once it has ended, on its port. Raises EmbeddedPostgresError; the folder stays claimed."""
        with self._folder.explained():
            self._serving.close()
            self._serve(self.port)

    def note(self, url: str) -> None:
        """Tell others who find the folder in use where our API is."""
        self._folder.note(self._lock, url)

    def stop(self) -> None:
        """Shut the server down (PostgreSQL's fast shutdown), then release the folder. Idempotent."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _serve(self, port: int | None) -> None:
        process, self.port = _start_server(self._folder, self._identity, self._binaries, port)
        self._serving.callback(_stop, process)
        self.pid = process.pid
        """The process id of the postmaster, whose end ends all other processes."""
        self.url = _url(self._folder, self.port)
        """`postgresql+psycopg://stride:<password>@127.0.0.1:<port>/stride`"""


def find_holder(data_dir: Path) -> FolderInUse | None:
    """What a `start` there would raise if another process has the folder; None: none has, at this moment.

    Raises EmbeddedPostgresError if the folder cannot be ours.
    """
    folder = DataFolder(data_dir.resolve())
    with folder.explained():
        if not folder.lock.exists():
            return None
        try:
            os.close(folder.claim())
        except FolderInUse as in_use:
            return in_use
        return None


def running_url(data_dir: Path) -> str | None:
    """The URL of the server that runs in `data_dir` at this moment, whoever started it; None if none does.

    Raises EmbeddedPostgresError if the folder is not ours to read.
    """
    folder = DataFolder(data_dir.resolve())
    with folder.explained():
        server = running_postmaster(folder.cluster)
        return _url(folder, server.port) if server and server.ready else None


def _end_orphan(folder: DataFolder) -> None:
    """Stop a server that outlived its owner: on Linux it is stopping already, elsewhere it would run forever."""
    orphan = running_postmaster(folder.cluster)
    if orphan is not None:
        with suppress(ProcessLookupError):
            os.kill(orphan.pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_DEADLINE_S
        while running_postmaster(folder.cluster) is not None:
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"The data folder {folder.path} is in use by process {orphan.pid}, which does not stop. Stop it."
                )
            time.sleep(POLL_S)
    disown_recycled_pid(folder.cluster)


def _make_cluster(major: int, folder: DataFolder, identity: Identity, binaries: Path) -> None:
    """Create the database under another name, and rename it when it is complete, so that a partial one is never used."""
    for leftover in folder.path.glob("postgres-partial-*"):
        shutil.rmtree(leftover)
    folder.make_password(reader=identity.owner)
    partial = Path(tempfile.mkdtemp(prefix="postgres-partial-", dir=folder.path))
    os.chown(partial, identity.owner, -1, follow_symlinks=False)
    # Text sorts by code point on every system, whatever its C library does; from 17 on, lower() knows all of Unicode too.
    locale = ["--locale=C", *(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else [])]
    made = run(
        identity,
        folder.path,
        [
            str(binaries / "initdb"),
            f"--pgdata={partial}",
            f"--username={NAME}",
            f"--pwfile={folder.password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *locale,
        ],
    )
    if made.returncode != 0:
        raise EmbeddedPostgresError(
            f"No database could be made in {folder.path}. {ELSEWHERE} initdb said:\n{_last_lines(made.stdout)}"
        )
    partial.rename(folder.cluster)
    folder.sync()


def _start_server(
    folder: DataFolder, identity: Identity, binaries: Path, wanted_port: int | None
) -> tuple[subprocess.Popen[bytes], int]:
    """The server, when it answers, and its port."""
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        _end_orphan(folder)
        port = _free_port(wanted_port)
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": port}.items()]
        with folder.open_log() as log, ExitStack() as undo:
            begin = log.seek(0, os.SEEK_END)
            process = start(identity, folder.path, [str(binaries / "postgres"), "-D", str(folder.cluster), *settings], log)
            undo.callback(_stop, process)
            if _answers(folder, port, process, deadline):
                undo.pop_all()
                return process, port
            log.seek(begin)
            said = log.read().decode(errors="replace")
        if time.monotonic() > deadline or not any(failure in said for failure in PASSING_FAILURES):
            raise EmbeddedPostgresError(f"PostgreSQL did not start in {folder.path}. Its log ends so:\n{_last_lines(said)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    interrupt = None
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast shutdown, immediate shutdown, kill
        process.send_signal(how)
        try:
            process.wait(STOP_DEADLINE_S)
            break
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt as again:  # whoever is impatient leaves no server behind
            interrupt = again
    if interrupt is not None:
        raise interrupt


def _answers(folder: DataFolder, port: int, process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Whether a connection succeeds before the server ends, and before the deadline."""
    # The "ready" in postmaster.pid may be that of an earlier server with the same pid, in a container, so a connection decides.
    pause_s = POLL_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            _connect(folder, port).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise EmbeddedPostgresError(
                    f"The password in {folder.password} is not the database's. Restore it. {ELSEWHERE}"
                ) from None
        else:
            return True
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.5)  # while it recovers, every attempt is a line in its log
    return False


def _make_database(folder: DataFolder, port: int) -> None:
    """Create the database, unless an earlier start did."""
    try:
        with _connect(folder, port) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {NAME}")
    except psycopg.Error as error:
        raise EmbeddedPostgresError(f"The database in {folder.path} cannot be used: {error} {ELSEWHERE}") from error


def _connect(folder: DataFolder, port: int) -> psycopg.Connection:
    return psycopg.connect(
        host=HOST, port=port, user=NAME, password=folder.read_password(), dbname="postgres", connect_timeout=10, autocommit=True
    )


def _url(folder: DataFolder, port: int) -> str:
    return f"postgresql+psycopg://{NAME}:{folder.read_password()}@{HOST}:{port}/{NAME}"


def _free_port(wanted: int | None) -> int:
    with socket.socket() as probe:
        # As PostgreSQL does: lingering connections of an earlier server do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except OSError as error:
            raise EmbeddedPostgresError(
                f"Port {wanted} cannot be used: {error.strerror}. Choose another, or none for a free one."
            ) from error
        port: int = probe.getsockname()[1]
        return port


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LOG_TAIL_LINES:])
