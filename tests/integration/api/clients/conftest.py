"""Each test has a job of its own, and clients claim of one job only."""

from tests.integration.api.one_database import client, database

__all__ = ["client", "database"]
