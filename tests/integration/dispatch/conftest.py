"""A database for many claimers at once."""

from collections.abc import Iterator

import pytest

from service.store.postgres import Database
from tests.integration.dispatch.training import CLAIMERS


@pytest.fixture
def wide(database_url: str) -> Iterator[Database]:
    """A database with a connection for every claimer."""
    database = Database(database_url, pool_size=CLAIMERS)
    yield database
    database.close()
