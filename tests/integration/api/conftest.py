"""The API in this process, on a database of the test's own."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.postgres import Database
from tests.integration.api.training import Worker

SETTINGS = Settings.model_validate(
    {"objective_modules": "tests.quadratic", "max_body_bytes": 100_000, "import_max_bytes": 300_000}
)


@pytest.fixture
def app(database: Database) -> FastAPI:
    return create_app(SETTINGS, database)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Answers 500 instead of raising, as a server would."""
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def worker(database: Database) -> Worker:
    return Worker(database)


@pytest.fixture
def document() -> dict[str, Any]:
    """A job that is right."""
    return {
        "objective": {"name": "quadratic"},
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 0.4, "log": True},
            "epochs": 4,
            "momentum": {"type": "float", "low": 0.0, "high": 0.9},
        },
        "strategy": "random",
        "budget": {"trials": 6},
    }
