"""The API in this process on one database for all tests of a file, for a conftest: theirs do not look at each other's jobs."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.store.postgres import Database
from tests.integration.api.conftest import SETTINGS


@pytest.fixture(scope="module")
def database(shared_database: Database) -> Database:
    return shared_database


@pytest.fixture(scope="module")
def client(database: Database) -> Iterator[TestClient]:
    """Answers 500 instead of raising, as a server would."""
    with TestClient(create_app(SETTINGS, database), "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client
