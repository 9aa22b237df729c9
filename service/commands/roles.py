"""Processes with a single role, on a database that already runs: API, worker, migration, retention."""

import json
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from service.commands.configuration import check_data_folders, database_url
from service.errors import ConfigurationError, DatabaseUnavailable
from service.processes import die_with
from service.settings import Settings
from service.store.postgres import Database, stock_url

if TYPE_CHECKING:
    from objectives.scripts.entry import ScriptObjective

GRACEFUL_SHUTDOWN_S = 3
"""How long open requests may take to finish when the API is asked to stop."""


def run_api(settings: Settings, *, parent: int | None, descriptor: int | None) -> None:
    """Serve until SIGTERM or SIGINT, on the socket `descriptor` if one is given, and else on the settings' host and port."""
    if parent is not None:
        die_with(parent)
    settings = own_objectives(settings, trains=False, warns=parent is None).settings
    database = _begin(settings)
    with socket.socket(fileno=descriptor) if descriptor is not None else listen(settings.host, settings.port) as listener:
        _check_schema(database)
        # Imported late, since they take seconds: the errors above are reported before.
        import structlog
        import uvicorn

        from service.api import notes
        from service.app import create_app

        class Server(uvicorn.Server):
            """Ends the streams of pages when it is told to stop: they would be waited for."""

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                app.state.stopping.set()
                super().handle_exit(sig, frame)

        app = create_app(settings, database)
        config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S)
        # When uvicorn has ended, it raises the signal that stopped it again, which has been handled by then.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        structlog.get_logger().info("api.started", url=address(listener))
        with notes.kept(database, app.state.answers, app.state.stopping):
            Server(config).run(sockets=[listener])
    database.close()


def run_a_worker(settings: Settings, *, parent: int | None, described: Sequence[str] = (), assignment: int | None = None) -> None:
    """Claim trials and train them, until SIGTERM or SIGINT. described: further objectives of scripts, as JSON.

    assignment: file descriptor of an `Assignment` to a job of one of `described`.
    """
    if parent is not None:
        die_with(parent)
    own = own_objectives(settings, trains=True, warns=parent is None, installed=not described)
    settings, scripts = own.settings, dict(_scripts(described))
    if assignment is None:
        scripts = {**own.scripts, **scripts}
    database = _begin(settings)
    check_data_folders(settings)
    from service.worker.assignment import Assignment
    from service.worker.loop import run_worker

    run_worker(database, settings, scripts, None if assignment is None else Assignment(assignment))
    database.close()


def run_migrations(settings: Settings) -> None:
    """Migrate the database to this version's schema."""
    database = _begin(settings)
    from service.store import migrate

    migrate.upgrade(database)
    database.close()
    print("The database has the schema of this version.")


def run_retention(settings: Settings, *, days: float) -> None:
    """Delete events and measurements of jobs that ended more than `days` days ago, and as old workers and announcements."""
    database = _begin(settings)
    from service.store import retention, revision

    with database.transaction() as conn:
        revision.check(conn)
    deleted = retention.delete_all(database, days)
    database.close()
    print(
        f"Deleted {deleted.measurements:,} measurements, {deleted.events:,} events, {deleted.workers:,} workers"
        f" and {deleted.objectives:,} announced objectives"
        f" older than {days:g} days."
    )


def print_url(settings: Settings) -> None:
    """Print the database's URL in the form that stock Optuna takes."""
    print(stock_url(database_url(settings)))


@dataclass(frozen=True)
class OwnObjectives:
    """What a process can offer besides the built-in objectives."""

    settings: Settings
    """With all modules of objectives, those of installed packages too."""
    scripts: "Mapping[str, ScriptObjective]"
    """By the objective's name."""


def own_objectives(settings: Settings, *, trains: bool, warns: bool, installed: bool = True) -> OwnObjectives:
    """The objectives of settings and installed packages. Raises ConfigurationError when one of the settings' cannot be used.

    trains: also when `start` is nowhere here, or a script cannot be used. warns: of what installed packages offer and cannot be
    used, and of what scripts keep as it is. installed: whether they are looked for.
    """
    from objectives.installed import installed as found

    entries = found() if installed else []
    has_scripts = bool(settings.objective_files or settings.objective_command)
    if not (settings.objective_modules or entries or (has_scripts and trains)):
        return OwnObjectives(settings, {})
    from service.commands import own_objectives as own  # it takes half a second to import

    own.check(settings.objective_modules, trains=trains)
    scripts = own.read_scripts(settings) if trains else {}
    if warns:
        for note in filter(None, (script.note for script in scripts.values())):
            print(note, file=sys.stderr)
    if not entries:
        return OwnObjectives(settings, scripts)
    more = own.read_installed(entries, settings, scripts, trains=trains)
    if warns:
        for problem in more.problems:
            print(f"Warning: not offered: {problem}.", file=sys.stderr)
    modules = (*settings.objective_modules, *more.modules)
    return OwnObjectives(settings.model_copy(update={"objective_modules": modules}), {**scripts, **more.scripts})


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on this address; connections are queued until a server accepts them.

    Raises ConfigurationError when it cannot listen there.
    """
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(place[:2], family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"Stride cannot listen on {host}, port {port}: {(error.strerror or str(error)).lower()}."
            " Choose another with --port (0 takes a free one) or --host."
        ) from error


def address(listener: socket.socket) -> str:
    """The URL at which a browser on this machine reaches the server that listens on `listener`."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _scripts(described: Sequence[str]) -> "Mapping[str, ScriptObjective]":
    if not described:
        return {}
    from objectives.scripts.entry import from_document

    scripts = [from_document(json.loads(each)) for each in described]
    return {script.objective.name: script for script in scripts}


def _begin(settings: Settings) -> Database:
    """The first steps of every role. Raises ConfigurationError, and DatabaseUnavailable when no embedded database runs."""
    database = Database(database_url(settings), timeout_s=settings.database_timeout_s)
    from service import logs

    logs.configure(settings)
    return database


def _check_schema(database: Database) -> None:
    """Raises DatabaseNotMigrated. A database that does not respond is only logged: until it does, requests get 503."""
    from service.store import revision

    try:
        with database.transaction() as conn:
            revision.check(conn)
    except DatabaseUnavailable as error:
        database.outage.failed(error)
