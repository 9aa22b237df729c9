"""What endpoints are given: the database, the catalog, the job a path names."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request

from objectives.contract import Objective
from service.store.postgres import Database


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _catalog(request: Request) -> Mapping[str, Objective]:
    catalog: Mapping[str, Objective] = request.app.state.catalog
    return catalog


Db = Annotated[Database, Depends(_database)]
Catalog = Annotated[Mapping[str, Objective], Depends(_catalog)]
Responses = dict[int | str, dict[str, Any]]
