"""A real PostgreSQL for the whole run, and an empty, migrated database for every test that asks for one."""

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.embedded.server import SETTINGS
from service.store.postgres import Database, psycopg_url
from tests.databases import Databases, connection_url
from tests.folders import data_folder

# The same examples in every run, however long each takes; others: HYPOTHESIS_PROFILE=default. What these find gets a test.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs so, and the processes that tests interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
"""Of the server that tests share, which none crashes: tests of crashes start their own, as everybody gets it."""
ROOM_BYTES = 8 * 2**30
"""That must be free in memory, to have the data of four such servers there."""

FOLDER = Path(__file__).parent
TOGETHER = (
    (
        "acceptance/test_cli_up.py",
        "acceptance/test_cli_jobs.py",
        "acceptance/test_cli_service.py",
        "acceptance/test_cli_run_joining.py",
        "acceptance/test_cli_import.py",
        "acceptance/test_cli_clean.py",
    ),
    (
        "acceptance/test_guide.py",
        "acceptance/test_scripts.py",
        "acceptance/test_client.py",
        "acceptance/test_own_objective.py",
    ),
)
"""The files that share a running Stride, or only what commands are forked from, which takes four seconds of CPU to start."""
LONGEST = (
    "acceptance/test_strategies.py",
    *TOGETHER[0],
    "acceptance/test_cli_run.py",
    "integration/worker/test_going_on.py",
    "lost_replies/test_sweep.py",
    *TOGETHER[1],
    "integration/worker/test_scripts.py",
    "integration/worker/test_limits.py",
    "integration/worker/test_checkpoints.py",
    "integration/worker/test_best_models.py",
    "integration/worker/test_long_outages.py",
    "integration/worker/test_worker.py",
    "integration/api/test_openapi.py",
    "integration/worker/test_repeatable.py",
    "integration/worker/test_model_scripts.py",
    "integration/store/embedded/test_server.py",
    "integration/worker/test_optuna_scripts.py",
    "integration/dispatch/test_replicates.py",
    "integration/dispatch/test_concurrency.py",
    "integration/dispatch/test_same_as_optuna.py",
    "integration/dispatch/test_fair_share.py",
    "integration/worker/test_unwritable_checkpoints.py",
    "migration/test_migrate.py",
    "migration/test_wheel.py",
    "migration/test_database_of_before.py",
)
"""The files that take long, the longest first; but what has seconds to train in not at once, while all processes start."""


def pytest_configure() -> None:
    """Nothing is garbage while modules are imported, and little is later: to look for it often takes a tenth of the time."""
    gc.disable()
    gc.set_threshold(50_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Processes take whole files, in this order: one that is begun late is waited for by all others."""
    place = {FOLDER / file: number for number, file in enumerate(LONGEST)}
    assert all(file.exists() for file in place), "LONGEST names a file that is not there"
    items.sort(key=lambda item: place.get(item.path, len(place)))
    of_acceptance = (item for item in items if item.path.is_relative_to(FOLDER / "acceptance"))  # whose conftest has the two
    sharing = {item.path for item in of_acceptance if {"stride", "workerless"} & {*getattr(item, "fixturenames", ())}}
    assert sharing <= {FOLDER / file for files in TOGETHER for file in files}, (
        "a file that is not in TOGETHER starts another Stride"
    )


class _Together(LoadFileScheduling):
    """Whole files to a process, and to the same one what is of TOGETHER."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return next((files[0] for files in TOGETHER if file.removeprefix("tests/") in files), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _Together(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """What is there now stays: a collection need not look through it again and again."""
    gc.freeze()
    gc.enable()


def execute(server_url: str, statement: str) -> None:
    """Run one statement outside a transaction."""
    with psycopg.connect(server_url.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(statement)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server of the newest promised version."""
    with ExitStack() as undo:
        folder = undo.enter_context(data_folder(ROOM_BYTES))
        with mock.patch.dict(SETTINGS, NOT_DURABLE):
            server = undo.enter_context(EmbeddedPostgres.start(folder / "data"))
        # Thousands of connections are made to it, and each would hash its password 4096 times.
        owner = psycopg_url(server.url)
        execute(server.url, f"SET scram_iterations = 1; ALTER ROLE {owner.username} PASSWORD '{owner.password}'")
        yield server.url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """The name of a migrated database, to be copied."""
    execute(postgres_url, "CREATE DATABASE template_stride")
    database = Database(connection_url(postgres_url, "template_stride"))
    migrate.upgrade(database)
    database.close()
    return "template_stride"


@pytest.fixture(scope="session")
def databases(postgres_url: str, template: str) -> Iterator[Databases]:
    """Copies of the template."""
    databases = Databases(postgres_url, template)
    yield databases
    databases.close()


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """An empty, migrated database that no other test uses meanwhile."""
    with databases.borrow() as url:
        yield url


@pytest.fixture(scope="module")
def shared_database(databases: Databases) -> Iterator[Database]:
    """One for all tests of a module that look at the same jobs, or leave nothing behind."""
    with databases.borrow() as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database with nothing in it."""
    name = f"test_{uuid4().hex}"
    execute(postgres_url, f"CREATE DATABASE {name}")
    yield connection_url(postgres_url, name)
    execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database, connected."""
    database = Database(database_url)
    yield database
    database.close()
