"""The objectives that jobs can name: built in, of modules that the API loads itself, and announced by workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache, cached
from sqlalchemy import Connection

from objectives.catalog import load_catalog
from objectives.contract import Objective
from objectives.documents import declaration_sha256, objective_of
from objectives.sources import own_versions
from service.api import external
from service.domain.objective import ExternalObjective, ObjectiveChoice
from service.store import objectives, workers
from service.store.objectives import Version
from service.store.postgres import Database


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An objective as `GET /v1/objectives` shows it."""

    objective: Objective
    sha256: bytes | None
    """Of the version announced last, if possible of one that is offered; None: it is built in, or no worker has announced it."""
    is_offered: bool
    """Whether a worker that is alive offers it."""


class Catalog:
    """What can be submitted. What workers announce while the API runs is found at once."""

    def __init__(self, database: Database, modules: Sequence[str]) -> None:
        """Raises CatalogProblem."""
        self._database = database
        self._loaded = load_catalog(modules)
        self._own_versions = own_versions(self._loaded, modules)

    def find(self, choice: ObjectiveChoice) -> tuple[Objective | None, Version | None]:
        """The objective chosen, None when there is none; and its version where that follows from what was announced.

        What the API has loaded itself, or the job declares, is found without the database. Raises InvalidJob where what a job
        declares cannot be used.
        """
        if isinstance(choice, ExternalObjective):
            return external.objective_of(choice), None
        name = choice.name
        if name in self._loaded:
            return self._loaded[name], None
        with self._database.transaction() as conn:
            version = next(iter(objectives.versions_of(conn, name)), None)
            return (None if version is None else _declared(conn, version)), version

    def version_of_loaded(self, conn: Connection, name: str) -> bytes | None:
        """Which version of an objective that the API has loaded itself a job keeps; None: any.

        One with the declaration that the job was checked against. As long as no worker offers the objective, any will do.
        """
        if name not in self._own_versions:
            return None
        versions = objectives.versions_of(conn, name)
        declaration = declaration_sha256(self._loaded[name])
        same = next((version.sha256 for version in versions if version.declaration_sha256 == declaration), None)
        if same is None and any(version.is_offered for version in versions):
            return self._own_versions[name]
        return same

    def all(self) -> dict[str, Objective]:
        """All objectives, by name."""
        with self._database.transaction() as conn:
            return self._all(conn, objectives.newest(conn))

    def listed(self) -> list[Listed]:
        """All objectives, in the order of their names."""
        with self._database.transaction() as conn:
            newest = objectives.newest(conn)
            every = self._all(conn, newest)
            offered = workers.offered(conn, every)
        return [
            Listed(
                objective=every[name],
                sha256=newest[name].sha256 if name in newest else None,
                is_offered=name in offered,
            )
            for name in sorted(every)
        ]

    def _all(self, conn: Connection, newest: dict[str, Version]) -> dict[str, Objective]:
        announced = ((name, _declared(conn, version)) for name, version in newest.items() if name not in self._loaded)
        return {name: objective for name, objective in announced if objective is not None} | self._loaded


# What has this sha256 never changes.
@cached(LRUCache(1_000), key=lambda conn, version: version.sha256, lock=Lock())
def _declared(conn: Connection, version: Version) -> Objective | None:
    """None when retention has just deleted it."""
    document = objectives.declaration(conn, version)
    return None if document is None else objective_of(document)
