"""/v1/jobs/{id}/events: what happened to a job."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.api import cursors
from service.api.dependencies import Db, JobId
from service.api.problems import documented
from service.api.schemas.events import EventView
from service.api.schemas.view import Page
from service.store import events, jobs

router = APIRouter(prefix="/v1/jobs/{job_id}/events", tags=["jobs"])

After = Annotated[
    int,
    Query(ge=0, lt=2**31, description="Only events with a larger `seq`: to follow a job, ask again with the last one received."),
]


@router.get("", responses=documented(404, 409, 422))
def list_events(
    job_id: JobId, database: Db, after: After = 0, limit: cursors.Limit = 100, cursor: cursors.Cursor = None
) -> Page[EventView]:
    """List a job's events, oldest first. Those of jobs that ended long ago may have been deleted."""
    start = max(after, cursors.number(cursor, default=0))
    with database.transaction() as conn:
        found = events.page(conn, jobs.get(conn, job_id).id, after=start, limit=limit + 1)
    items = [EventView.model_validate(event, from_attributes=True) for event in found[:limit]]
    return Page(items=items, next_cursor=cursors.encode(items[-1].seq) if len(found) > limit else None)
