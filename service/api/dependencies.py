"""What endpoints depend on: the database, the catalog, the kept answers, the folder of the checkpoints, which job is meant."""

from collections.abc import AsyncIterator
from pathlib import Path as FilePath
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request

from service.api import catalog
from service.api.faults import JOB_ID
from service.api.kept_answers import KeptAnswers
from service.errors import AmbiguousJob, JobNotFound
from service.settings import Settings
from service.store import jobs
from service.store.postgres import Database

ID_DIGITS = 32
MOST_NAMED = 5
"""Jobs that are named where an id is ambiguous."""


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _catalog(request: Request) -> catalog.Catalog:
    known: catalog.Catalog = request.app.state.catalog
    return known


def _checkpoint_dir(request: Request) -> FilePath | None:
    settings: Settings = request.app.state.settings
    return settings.checkpoint_dir


async def _answers(request: Request) -> AsyncIterator[KeptAnswers]:
    answers: KeptAnswers = request.app.state.answers
    async with answers.turns:
        yield answers


def job_named(database: Database, text: str) -> UUID:
    """The id of the job that `text`, which matches JOB_ID, names. A whole id is not looked up.

    Raises JobNotFound, AmbiguousJob.
    """
    digits = text.replace("-", "").lower()
    if len(digits) == ID_DIGITS:
        return UUID(digits)
    with database.transaction() as conn:
        found = jobs.ids_beginning(conn, digits, limit=MOST_NAMED + 1)
    if not found:
        raise JobNotFound(text)
    if len(found) > 1:
        raise AmbiguousJob(text, found[:MOST_NAMED], more=len(found) > MOST_NAMED)
    return found[0]


Answers = Annotated[KeptAnswers, Depends(_answers)]
Db = Annotated[Database, Depends(_database)]
Catalog = Annotated[catalog.Catalog, Depends(_catalog)]
Folder = Annotated[FilePath | None, Depends(_checkpoint_dir)]
"""The folder of the checkpoints; None: they are in the database."""


def _job_id(
    job_id: Annotated[str, Path(pattern=JOB_ID, description="The job's id, or its first 8 digits or more.")], database: Db
) -> UUID:
    return job_named(database, job_id)


JobId = Annotated[UUID, Depends(_job_id)]
"""The id of the job that the path names; 404 or 409 where its digits name none or several."""
