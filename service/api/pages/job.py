"""/jobs/{id}: one job, with its answer first and the evidence below it."""

from collections.abc import Hashable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from sqlalchemy import Connection

from service.api.dependencies import Answers, Catalog, Db, JobId
from service.api.pages.changes import stream
from service.api.pages.errors import PageRoute
from service.api.pages.job_content import content
from service.api.pages.pace import Paced
from service.api.pages.render import html
from service.api.waiting import waiting_for
from service.domain.trial import TrialCounts
from service.store import jobs, trial_reader

router = APIRouter(prefix="/jobs", include_in_schema=False, route_class=PageRoute)

After = Annotated[int, Query(ge=-1, lt=2**31, description="The number before the first trial of the table.")]


@router.get("/{job_id}")
def job_page(job_id: JobId, database: Db, answers: Answers, catalog: Catalog, pace: Paced, after: After = -1) -> HTMLResponse:
    """The page of a job."""
    with pace.measured(job_id):
        return html("job.html", **content(database, job_id, answers, catalog, after=after))


@router.get("/{job_id}/changes")
def changes(job_id: JobId, database: Db, pace: Paced, request: Request) -> StreamingResponse:
    """Tells the page when it is to ask for itself again."""

    def seen() -> Hashable:
        with database.transaction() as conn:
            return _seen(conn, job_id)

    return stream(seen, request.app.state.stopping.is_set, lambda: pace.took(job_id))


def _seen(conn: Connection, job_id: UUID) -> tuple[str, int, TrialCounts, str | None]:
    job = jobs.get(conn, job_id)
    counts = trial_reader.counts(conn, [job.study_id])[job.study_id]
    return job.state, job.phase.position, counts, waiting_for(conn, [job]).get(job.id)
