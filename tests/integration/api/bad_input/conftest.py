"""Whatever is sent, the answer is a problem that points to the fault: never a 500, and nothing is stored."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.store.postgres import Database
from tests.integration.api.conftest import SETTINGS


@pytest.fixture(scope="module")
def database(shared_database: Database) -> Database:
    """One for all of these tests, as none of them may leave anything in it."""
    return shared_database


@pytest.fixture(scope="module")
def client(database: Database) -> Iterator[TestClient]:
    with TestClient(create_app(SETTINGS, database), "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_is_stored(database: Database) -> Iterator[None]:
    yield
    with database.transaction() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM stride.jobs").scalar() == 0
        assert conn.exec_driver_sql("SELECT count(*) FROM optuna.studies").scalar() == 0
