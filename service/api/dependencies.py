"""What endpoints depend on: the database, the catalog, the kept answers, the folder of the checkpoints."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from objectives.contract import Objective
from service.api.kept_answers import KeptAnswers
from service.settings import Settings
from service.store.postgres import Database


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _catalog(request: Request) -> Mapping[str, Objective]:
    catalog: Mapping[str, Objective] = request.app.state.catalog
    return catalog


def _checkpoint_dir(request: Request) -> Path | None:
    settings: Settings = request.app.state.settings
    return settings.checkpoint_dir


async def _answers(request: Request) -> AsyncIterator[KeptAnswers]:
    answers: KeptAnswers = request.app.state.answers
    async with answers.turns:
        yield answers


Answers = Annotated[KeptAnswers, Depends(_answers)]
Db = Annotated[Database, Depends(_database)]
Catalog = Annotated[Mapping[str, Objective], Depends(_catalog)]
Folder = Annotated[Path | None, Depends(_checkpoint_dir)]
"""The folder of the checkpoints; None: they are in the database."""
