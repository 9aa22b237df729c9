"""Servers of the tests' own, and folders for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.embedded import EmbeddedPostgres
from tests.folders import data_folder
from tests.integration.store.embedded.owners import WAYS, Way, ask, new_folder, owned


@pytest.fixture
def scratch() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


@pytest.fixture
def data_dir(scratch: Path) -> Path:
    """A data folder that does not exist yet."""
    return scratch / "data"


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.name)
def home(request: pytest.FixtureRequest) -> Iterator[tuple[Way, Path]]:
    """A way to run, and a data folder in which it ran once and left a table."""
    way: Way = request.param
    with data_folder() as scratch:
        data_dir = new_folder(scratch, way)
        with owned(data_dir, way) as owner:
            ask(owner.url, "CREATE TABLE kept AS SELECT 42 AS answer")
            owner.stop()
        yield way, data_dir


@pytest.fixture(scope="module", params=[16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[EmbeddedPostgres, Path, int]]:
    """A running server of our own, its data folder, and its major version."""
    with data_folder() as scratch, EmbeddedPostgres.start(scratch / "data", major=request.param) as running:
        yield running, scratch / "data", request.param
