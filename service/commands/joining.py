"""A Stride on this machine that several commands use: who comes first runs it, and when that ends, another one that needs it."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from socket import socket

import httpx2
import structlog

from service.commands.configuration import check_data_folders, data_dir, database_url
from service.commands.local_service import (
    InUse,
    LocalService,
    Postgres,
    Services,
    WorkerCommand,
    interrupted_by,
    quiet,
    running,
    start_workers,
)
from service.commands.roles import listen, own_objectives
from service.errors import ConfigurationError, DatabaseUnavailable
from service.settings import Settings
from service.store.embedded import EmbeddedPostgresError, FolderInUse, find_holder
from service.store.postgres import psycopg_url

CHECK_EVERY_S = 0.2
STARTS_WITHIN_S = 60.0
"""How long another process that has the data folder may take until its API answers, or until it has ended."""
FREE_WITHIN_S = 5.0
"""How long the port of an API whose process was killed may stay in use."""

log = structlog.get_logger()


@contextmanager
def running_or_joined(settings: Settings, worker: WorkerCommand) -> Iterator[LocalService]:
    """Workers, with the PostgreSQL and the API that run already, else with its own. Ctrl-C, SIGTERM and SIGHUP end the block by
    KeyboardInterrupt.

    Those that run are those of the data folder; where a database or a URL is set, those at the URL. Raises StrideError, with
    nothing left running.
    """
    with ExitStack() as stack:
        yield _begin(settings, worker, stack)


@contextmanager
def supervised(service: LocalService) -> Iterator[None]:
    """Restart what ends while the block runs. Raises what that raises: the block is then ended by KeyboardInterrupt."""
    stop, stopped = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def supervise() -> None:
        try:
            while not stop.wait(CHECK_EVERY_S):
                service.restart_what_ended()
        except Exception as error:
            failures.append(error)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        stopped.set()
        threading.Event().wait()  # the kernel kills what this thread has started when it ends

    threading.Thread(target=supervise, name="supervisor", daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if not failures:
            raise
    finally:
        stop.set()
        stopped.wait()
    if failures:
        service.kill_workers()
        raise failures[0]


def _begin(settings: Settings, worker: WorkerCommand, stack: ExitStack) -> LocalService:
    has_place = settings.database_url is not None or "url" in settings.model_fields_set
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        holder = _holder(settings)
        try:
            if holder is None and has_place and _answers(settings.url):
                return stack.enter_context(_joined(settings, worker, settings.url, takes_over=False))
            if holder is None:
                return stack.enter_context(running(settings, worker))
            if holder.url is not None and _answers(holder.url):
                return stack.enter_context(_joined(settings, worker, holder.url, takes_over=True))
        except (ConfigurationError, DatabaseUnavailable):
            # Another process may have begun, or ended, since we looked.
            if _holder(settings) is None or time.monotonic() > deadline:
                raise
        if holder is not None and time.monotonic() > deadline:
            raise ConfigurationError(str(holder))
        time.sleep(CHECK_EVERY_S)


def _holder(settings: Settings) -> FolderInUse | None:
    """The process that has the data folder, if that is where the database is. Raises ConfigurationError."""
    if settings.database_url is not None:
        return None
    try:
        return find_holder(data_dir(settings))
    except EmbeddedPostgresError as error:
        raise ConfigurationError(str(error)) from error


@contextmanager
def _joined(settings: Settings, worker: WorkerCommand, url: str, *, takes_over: bool) -> Iterator[LocalService]:
    """As `running`, beside PostgreSQL and API of another process: workers. url: of that API.

    takes_over: whether PostgreSQL and API are started here, at the same ports, once that process has ended.
    """
    settings = quiet(settings)
    own_objectives(settings, trains=True, warns=False, installed=False)
    check_data_folders(settings)
    from service import logs  # it takes half a second to import: errors in the settings are reported before

    logs.configure(settings)
    with interrupted_by(signal.SIGTERM, signal.SIGHUP), ExitStack() as services, ExitStack() as workers:
        database = database_url(settings)
        started = start_workers(settings, worker, database, workers)
        take_over = partial(_take_over, settings, database, url, services) if takes_over else lambda: None
        yield LocalService(url, started, None, take_over)


def _take_over(settings: Settings, database: str, url: str, cleanup: ExitStack) -> Services | None:
    """Start what another process has run in the data folder; None: it runs it yet, or a third one does now.

    Raises ConfigurationError, where its ports cannot be used.
    """
    try:
        postgres = Postgres(settings, psycopg_url(database).port)
    except InUse:
        return None
    cleanup.callback(postgres.stop)
    log.warning("service.taken_over", url=url)
    listener = cleanup.enter_context(_listen_again(settings.host, httpx2.URL(url).port or 80))
    return Services(settings, postgres, listener, cleanup)


def _listen_again(host: str, port: int) -> socket:
    deadline = time.monotonic() + FREE_WITHIN_S
    while True:
        try:
            return listen(host, port)
        except ConfigurationError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _answers(url: str) -> bool:
    """Whether a Stride answers there."""
    try:
        verify = not url.startswith("http:")  # to read certificates takes longer than the request
        answer = httpx2.get(f"{url}/healthz", timeout=2.0, trust_env=False, verify=verify)
        return bool(answer.json() == {"status": "alive"})
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return False
