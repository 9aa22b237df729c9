"""/v1/workers: the workers and their states."""

from fastapi import APIRouter

from service.api import cursors
from service.api.dependencies import Db
from service.api.problems import documented
from service.api.schemas.view import Page
from service.api.schemas.workers import WorkerView
from service.store import workers

router = APIRouter(prefix="/v1/workers", tags=["workers"])


@router.get("", responses=documented(422))
def list_workers(database: Db, limit: cursors.Limit = 20, cursor: cursors.Cursor = None) -> Page[WorkerView]:
    """List workers, newest first."""
    with database.transaction() as conn:
        listed = workers.page(conn, limit=limit + 1, before=cursors.moment_and_id(cursor))
    items = [WorkerView.model_validate(worker, from_attributes=True) for worker in listed[:limit]]
    more = len(listed) > limit
    return Page(items=items, next_cursor=cursors.encode(items[-1].started_at, items[-1].id) if more else None)
