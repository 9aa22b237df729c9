"""PostgreSQL, the API and workers on this machine, each restarted when it dies, and stopped in order."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import NoReturn

import httpx2
import structlog

from service.commands import pool
from service.commands.configuration import check_data_folders, data_dir, database_url
from service.commands.pool import LocalProcess
from service.commands.roles import GRACEFUL_SHUTDOWN_S, address, listen, own_objectives
from service.errors import ConfigurationError, StrideError
from service.settings import Settings
from service.store.embedded import EmbeddedPostgres, EmbeddedPostgresError
from service.store.postgres import Database, psycopg_url

READY_WITHIN_S = 60.0

log = structlog.get_logger()


class StartFailed(StrideError):
    """Stride did not start."""


class LocalService:
    """What runs on this machine."""

    def __init__(self, url: str, postgres: "_Postgres | None", processes: Sequence[LocalProcess]) -> None:
        self.url = url
        """Of the API."""
        self.stored = "" if postgres is None else postgres.stored
        """Where the data is, in words."""
        self._postgres = postgres
        self._processes = processes

    def restart_what_ended(self) -> None:
        """To be called often. Raises ConfigurationError when the embedded PostgreSQL cannot be restarted."""
        if self._postgres is not None:
            self._postgres.restart_if_ended()
        for process in self._processes:
            process.restart_if_ended()

    def exit_if_ended(self) -> None:
        """Exit with the code of the first process that has ended at its start: it has printed why."""
        _exit_if_ended(self._processes)


@contextmanager
def running(settings: Settings, worker: Sequence[str] = ("worker",)) -> Iterator[LocalService]:
    """Start everything, and stop it at the end of the block. Ctrl-C, SIGTERM and SIGHUP end the block by KeyboardInterrupt.

    worker: the arguments of `stride` that start one. Raises StrideError, with nothing left running, when something cannot be
    started.
    """
    settings = _quiet(settings)
    own_objectives(settings, trains=settings.workers > 0, warns=True, installed=tuple(worker) == ("worker",))
    if settings.workers:
        check_data_folders(settings)
    with _interrupted_by(signal.SIGTERM, signal.SIGHUP), ExitStack() as cleanup:
        listener = cleanup.enter_context(listen(settings.host, settings.port))
        postgres = _Postgres(settings)
        cleanup.callback(postgres.stop)
        _migrate(postgres.url, settings)
        environment = _environment(settings, postgres.url)
        api = LocalProcess(
            "api",
            ["api", "--host", settings.host, "--fd", str(listener.fileno())],
            environment=environment,
            grace_s=GRACEFUL_SHUTDOWN_S,
            descriptors=[listener.fileno()],
        )
        cleanup.callback(pool.stop, [api])
        workers = _workers(settings, worker, environment, cleanup)
        _wait_until_ready(address(listener), [api, *workers])
        yield LocalService(address(listener), postgres, [api, *workers])


@contextmanager
def running_workers(settings: Settings, worker: Sequence[str]) -> Iterator[LocalService]:
    """As `running`, where database and API run already: workers alone."""
    settings = _quiet(settings)
    own_objectives(settings, trains=True, warns=False, installed=False)
    check_data_folders(settings)
    with _interrupted_by(signal.SIGTERM, signal.SIGHUP), ExitStack() as cleanup:
        environment = _environment(settings, database_url(settings))
        yield LocalService(settings.url, None, _workers(settings, worker, environment, cleanup))


def _quiet(settings: Settings) -> Settings:
    """At the level info, every trial logs a line."""
    return settings if "log_level" in settings.model_fields_set else settings.model_copy(update={"log_level": "warning"})


def _environment(settings: Settings, database: str) -> dict[str, str]:
    return os.environ | {"STRIDE_DATABASE_URL": database, "STRIDE_LOG_LEVEL": settings.log_level}


def _workers(settings: Settings, worker: Sequence[str], environment: Mapping[str, str], cleanup: ExitStack) -> list[LocalProcess]:
    workers: list[LocalProcess] = []
    cleanup.callback(_stop_workers, workers)
    for number in range(1, settings.workers + 1):
        workers.append(LocalProcess(f"worker {number}", worker, environment=environment, grace_s=settings.grace_s))
    return workers


def _exit_if_ended(processes: Sequence[LocalProcess]) -> None:
    for process in processes:
        if process.exit_code is not None:
            sys.exit(process.exit_code if process.exit_code > 0 else 1)


class _Postgres:
    """The database of the settings: one that runs elsewhere, or an embedded one, which is restarted when it dies."""

    def __init__(self, settings: Settings) -> None:
        self._server: EmbeddedPostgres | None = None
        self.folder = None if settings.database_url is not None else data_dir(settings)
        if settings.database_url is not None:
            self.url = settings.database_url
        else:
            self._start(port=None)

    def restart_if_ended(self) -> None:
        """To be called often. Raises ConfigurationError when the embedded server cannot be restarted."""
        if self._server is None or _is_alive(self._server.pid):
            return
        log.warning("process.died", process="postgresql")
        self._server.stop()
        self._start(port=psycopg_url(self.url).port)  # the other processes connect to this port

    @property
    def stored(self) -> str:
        """Where the data is, in words."""
        return f"Data       {self.folder}" if self.folder else f"Database   {psycopg_url(self.url).render_as_string()}"

    def stop(self) -> None:
        """Stop the embedded server, if there is one."""
        if self._server is not None:
            self._server.stop()

    def _start(self, port: int | None) -> None:
        assert self.folder is not None
        try:
            self._server = EmbeddedPostgres.start(self.folder, port=port)
        except EmbeddedPostgresError as error:
            raise ConfigurationError(str(error)) from error
        self.url = self._server.url


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _migrate(url: str, settings: Settings) -> None:
    # Imported late, since they take a second: errors in the settings are reported before.
    from service import logs
    from service.store import migrate

    logs.configure(settings)
    database = Database(url, timeout_s=settings.database_timeout_s)
    try:
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
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
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
