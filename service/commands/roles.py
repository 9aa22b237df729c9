"""One process, one role: the API, a worker, the migration, each on a database that runs already."""

import signal
import socket

from service.commands.configuration import check_data_folders, check_objectives, database_url
from service.errors import ConfigurationError, DatabaseUnavailable
from service.processes import die_with
from service.settings import Settings
from service.store.postgres import Database, stock_url

GRACEFUL_SHUTDOWN_S = 3
"""How long the API lets requests finish that are under way when it is asked to stop."""


def run_api(settings: Settings, *, parent: int | None, descriptor: int | None) -> None:
    """Serve until SIGTERM or SIGINT, on the socket `descriptor` if one is given, and else on the settings' host and port."""
    database = _begin(settings, parent)
    with socket.socket(fileno=descriptor) if descriptor is not None else listen(settings.host, settings.port) as door:
        _check_schema(database)
        # Late, since they take seconds to import: what is wrong is said before.
        import structlog
        import uvicorn

        from service.app import create_app

        app = create_app(settings, database)
        config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S)
        # Uvicorn raises the signal that stopped it again, once it is done: it has been obeyed by then.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        structlog.get_logger().info("api.started", url=address(door))
        uvicorn.Server(config).run(sockets=[door])
    database.close()


def run_a_worker(settings: Settings, *, parent: int | None) -> None:
    """Claim trials and see them through, until SIGTERM or SIGINT."""
    database = _begin(settings, parent)
    check_data_folders(settings)
    from service.worker.loop import run_worker

    run_worker(database, settings)
    database.close()


def run_migrations(settings: Settings) -> None:
    """Bring the database to this version's schema."""
    database = _begin(settings, parent=None)
    from service.store import migrate

    migrate.upgrade(database)
    database.close()
    print("The database has the schema of this version.")


def run_retention(settings: Settings, *, days: float) -> None:
    """Delete what is old of ended jobs."""
    database = _begin(settings, parent=None)
    from service.store import migrate, retention

    with database.transaction() as conn:
        migrate.check(conn)
    deleted = retention.delete_all(database, days)
    database.close()
    print(
        f"Deleted {deleted.measurements:,} measurements, {deleted.events:,} events and {deleted.workers:,} workers"
        f" of more than {days:g} days ago."
    )


def print_url(settings: Settings) -> None:
    """Print the database's URL as stock Optuna wants it."""
    print(stock_url(database_url(settings)))


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; connections wait in it until somebody serves them.

    Raises ConfigurationError when the address cannot be had.
    """
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(place[:2], family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"Stride cannot listen on {host}, port {port}: {(error.strerror or str(error)).lower()}."
            " Choose another with --port (0 takes a free one) or --host."
        ) from error


def address(door: socket.socket) -> str:
    """Where a browser on this machine finds what listens on `door`."""
    host, port = door.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _begin(settings: Settings, parent: int | None) -> Database:
    """What every role does first. Raises ConfigurationError, and DatabaseUnavailable when there is none to ask."""
    if parent is not None:
        die_with(parent)
    check_objectives(settings)
    database = Database(database_url(settings), timeout_s=settings.database_timeout_s)
    from service import logs

    logs.configure(settings)
    return database


def _check_schema(database: Database) -> None:
    """Raises DatabaseNotMigrated. A database that does not answer may do so later: until then the API says so."""
    import structlog

    from service.store import migrate

    try:
        with database.transaction() as conn:
            migrate.check(conn)
    except DatabaseUnavailable as error:
        structlog.get_logger().warning("database.unavailable", error=str(error))
