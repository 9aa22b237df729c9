"""Whatever is sent, the answer is a problem that points to the fault: never a 500, and nothing is stored."""

from collections.abc import Iterator

import pytest

from service.store.postgres import Database
from tests.integration.api.one_database import client, database

__all__ = ["client", "database"]


@pytest.fixture(autouse=True)
def _nothing_is_stored(database: Database) -> Iterator[None]:
    yield
    with database.transaction() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM stride.jobs").scalar() == 0
        assert conn.exec_driver_sql("SELECT count(*) FROM optuna.studies").scalar() == 0
