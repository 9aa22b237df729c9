"""One database, opened by us and by stock Optuna, in a zone that is not UTC."""

import time
from collections.abc import Iterator

import pytest
from optuna.storages import RDBStorage

from service.store.postgres import Database, psycopg_url
from tests.conftest import execute
from tests.stock_optuna import stock


@pytest.fixture
def time_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose offset is no whole hour."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def contract_url(database_url: str, postgres_url: str, time_zone: None) -> str:
    """A database whose sessions are neither in UTC nor in this process's zone."""
    execute(postgres_url, f"ALTER DATABASE {psycopg_url(database_url).database} SET timezone = 'Pacific/Chatham'")
    return database_url


@pytest.fixture
def ours(contract_url: str) -> Iterator[Database]:
    database = Database(contract_url)
    yield database
    database.close()


@pytest.fixture(name="stock")
def _stock(contract_url: str) -> Iterator[RDBStorage]:
    with stock(contract_url) as storage:
        yield storage
