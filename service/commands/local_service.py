"""PostgreSQL, the API and workers on this machine, each restarted when it dies, and stopped in order."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from socket import gethostname, socket
from types import FrameType
from typing import NoReturn

import httpx2
import structlog

from service.commands import pool
from service.commands.configuration import check_data_folders, data_dir
from service.commands.pool import LocalProcess
from service.commands.roles import GRACEFUL_SHUTDOWN_S, address, listen, own_objectives
from service.errors import ConfigurationError, DatabaseNotMigrated, StrideError
from service.settings import Settings
from service.store.embedded import EmbeddedPostgres, EmbeddedPostgresError, FolderInUse
from service.store.postgres import Database, psycopg_url

READY_WITHIN_S = 60.0

log = structlog.get_logger()


class StartFailed(StrideError):
    """Stride did not start."""


class InUse(ConfigurationError):
    """Another process runs a Stride in the data folder.

    url: of its API; None: it serves none, or not yet.
    """

    def __init__(self, message: str, url: str | None) -> None:
        super().__init__(message)
        self.url = url


@dataclass(frozen=True, kw_only=True)
class WorkerCommand:
    """How workers are started."""

    arguments: Sequence[str] = ("worker",)
    """Of `stride`."""
    descriptors: Sequence[int] = ()
    """File descriptors that they inherit."""


class LocalService:
    """What this process runs on this machine: workers, and PostgreSQL and API, unless another process runs these.

    url: of the API. take_over: starts PostgreSQL and API if nobody runs them any more; called often.
    """

    def __init__(
        self,
        url: str,
        workers: Sequence[LocalProcess],
        services: "Services | None",
        take_over: "Callable[[], Services | None]" = lambda: None,
    ) -> None:
        self.url = url
        self.stored = "" if services is None else services.postgres.stored
        """Where the data is, in words."""
        self._workers = workers
        self._services = services
        self._take_over = take_over

    @property
    def worker_names(self) -> set[str]:
        """Of the workers that run here, as they are registered."""
        return {f"{gethostname()}:{worker.pid}" for worker in self._workers}

    def restart_services(self) -> None:
        """To be called often, as `restart_what_ended`, while workers that end at their start are to be noticed."""
        if self._services is None:
            self._services = self._take_over()
        else:
            self._services.restart_what_ended()

    def restart_what_ended(self) -> None:
        """To be called often. Raises ConfigurationError when PostgreSQL or the API cannot be started again."""
        self.restart_services()
        for worker in self._workers:
            worker.restart_if_ended()

    def kill_workers(self) -> None:
        """End them at once, where there is no database in which they could store anything."""
        for worker in self._workers:
            worker.kill()

    def exit_if_ended(self) -> None:
        """Exit with the code of the first worker that has ended at its start: it has printed why."""
        _exit_if_ended(self._workers)


@contextmanager
def running(settings: Settings, worker: WorkerCommand = WorkerCommand()) -> Iterator[LocalService]:
    """Start everything, and stop it at the end of the block. Ctrl-C, SIGTERM and SIGHUP end the block by KeyboardInterrupt.

    Raises StrideError, with nothing left running, when something cannot be started; InUse: since the data folder is in use.
    """
    settings = quiet(settings)
    own_objectives(settings, trains=settings.workers > 0, warns=True, installed=worker == WorkerCommand())
    if settings.workers:
        check_data_folders(settings)
    with interrupted_by(signal.SIGTERM, signal.SIGHUP), ExitStack() as cleanup:
        listener = cleanup.enter_context(listen(settings.host, settings.port))
        postgres = Postgres(settings)
        cleanup.callback(postgres.stop)
        _migrate(postgres.url, settings)
        services = Services(settings, postgres, listener, cleanup)
        workers = start_workers(settings, worker, postgres.url, cleanup)
        _wait_until_ready(services.url, [services.api, *workers])
        yield LocalService(services.url, workers, services)


def quiet(settings: Settings) -> Settings:
    """At the level info, every trial logs a line."""
    return settings if "log_level" in settings.model_fields_set else settings.model_copy(update={"log_level": "warning"})


def _environment(settings: Settings, database: str) -> dict[str, str]:
    return os.environ | {"STRIDE_DATABASE_URL": database, "STRIDE_LOG_LEVEL": settings.log_level}


def start_workers(settings: Settings, worker: WorkerCommand, database: str, cleanup: ExitStack) -> list[LocalProcess]:
    """Start as many as the settings say. cleanup: stops them. database: the URL."""
    workers: list[LocalProcess] = []
    cleanup.callback(_stop_workers, workers)
    environment = _environment(settings, database)
    for number in range(1, settings.workers + 1):
        started = LocalProcess(
            f"worker {number}",
            worker.arguments,
            environment=environment,
            grace_s=settings.grace_s,
            descriptors=worker.descriptors,
        )
        workers.append(started)
    return workers


def _exit_if_ended(processes: Sequence[LocalProcess]) -> None:
    for process in processes:
        if process.exit_code is not None:
            sys.exit(process.exit_code if process.exit_code > 0 else 1)


class Services:
    """PostgreSQL and the API. cleanup: stops the API, which listens at `listener`; PostgreSQL runs, and is stopped elsewhere."""

    def __init__(self, settings: Settings, postgres: "Postgres", listener: socket, cleanup: ExitStack) -> None:
        self.url = address(listener)
        """Of the API."""
        self.postgres = postgres
        postgres.note(self.url)
        self.api = LocalProcess(
            "api",
            ["api", "--host", settings.host, "--fd", str(listener.fileno())],
            environment=_environment(settings, postgres.url),
            grace_s=GRACEFUL_SHUTDOWN_S,
            descriptors=[listener.fileno()],
        )
        cleanup.callback(pool.stop, [self.api])

    def restart_what_ended(self) -> None:
        """To be called often. Raises ConfigurationError when the embedded PostgreSQL cannot be restarted."""
        self.postgres.restart_if_ended()
        self.api.restart_if_ended()


class Postgres:
    """The database of the settings: one that runs elsewhere, or an embedded one, which is restarted when it dies.

    port: of an embedded one; None: a free one. Raises ConfigurationError; InUse: another process has the data folder.
    """

    def __init__(self, settings: Settings, port: int | None = None) -> None:
        self._server: EmbeddedPostgres | None = None
        self.folder = None if settings.database_url is not None else data_dir(settings)
        if settings.database_url is not None:
            self.url = settings.database_url
        else:
            with _explained():
                self._server = EmbeddedPostgres.start(data_dir(settings), port=port)
            self.url = self._server.url

    def restart_if_ended(self) -> None:
        """To be called often. Raises ConfigurationError when the embedded server cannot be restarted."""
        if self._server is None or _is_alive(self._server.pid):
            return
        log.warning("process.died", process="postgresql")
        with _explained():
            self._server.restart()

    @property
    def stored(self) -> str:
        """Where the data is, in words."""
        return f"Data       {self.folder}" if self.folder else f"Database   {psycopg_url(self.url).render_as_string()}"

    def note(self, url: str) -> None:
        """Tell others who find the data folder in use where the API is."""
        if self._server is not None:
            self._server.note(url)

    def stop(self) -> None:
        """Stop the embedded server, if there is one."""
        if self._server is not None:
            self._server.stop()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except FolderInUse as error:
        raise InUse(str(error), error.url) from error
    except EmbeddedPostgresError as error:
        raise ConfigurationError(str(error)) from error


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _migrate(url: str, settings: Settings) -> None:
    # Imported late, since they take a second: errors in the settings are reported before.
    from service import logs
    from service.store import revision

    logs.configure(settings)
    database = Database(url, timeout_s=settings.database_timeout_s)
    try:
        with database.transaction() as conn:
            revision.check(conn)
    except DatabaseNotMigrated:
        from service.store import migrate

        migrate.upgrade(database)
    finally:
        database.close()


def _wait_until_ready(url: str, processes: list[LocalProcess]) -> None:
    """Raises StartFailed. When one of the processes ends, exits with its code: it has printed why."""
    deadline = time.monotonic() + READY_WITHIN_S
    # Not through a proxy, and without certificates, which take time to read: the API runs on this machine.
    with httpx2.Client(base_url=url, timeout=1.0, trust_env=False, verify=False) as client:
        while True:
            _exit_if_ended(processes)
            try:
                answer = client.get("/readyz")
                reason = answer.text
                if answer.is_success:
                    return
            except httpx2.TransportError as error:
                reason = str(error)
            if time.monotonic() > deadline:
                raise StartFailed(f"The API was not ready after {READY_WITHIN_S:g} s: {reason}")
            time.sleep(0.05)


def _stop_workers(workers: list[LocalProcess]) -> None:
    if sys.stderr.isatty() and any(worker.exit_code is None for worker in workers):
        longest = max(worker.grace_s for worker in workers)
        print(
            f"\nStopping: trials that end within {longest:g} s are finished, others continue at the next start. Ctrl-C: now.",
            file=sys.stderr,
        )
    pool.stop(workers)


@contextmanager
def interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """Treat these signals as Ctrl-C, unless they are ignored (nohup)."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
