"""/healthz and /readyz: liveness and readiness, for what monitors this process."""

from fastapi import APIRouter
from pydantic import BaseModel

from service.api.dependencies import Db
from service.api.problems import documented
from service.store import revision

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The health of the process."""

    status: str


@router.get("/healthz", summary="Is the process alive?", responses={422: documented(422)[422]})
def alive() -> Health:
    """Whether the process is alive; the database is not checked."""
    return Health(status="alive")


@router.get("/readyz", summary="Can requests be served?", responses=documented(422))
def ready(database: Db) -> Health:
    """Whether requests can be served: the database responds, and is migrated to this version."""
    with database.transaction() as conn:
        revision.check(conn)
    return Health(status="ready")
