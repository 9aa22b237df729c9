"""/healthz and /readyz: for whoever watches over this process."""

from fastapi import APIRouter
from pydantic import BaseModel

from service.api.dependencies import Db
from service.api.problems import documented
from service.store import migrate

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """How the process is."""

    status: str


@router.get("/healthz", summary="Is the process alive?")
def alive() -> Health:
    """Whether the process lives; asks nothing else."""
    return Health(status="alive")


@router.get("/readyz", summary="Can requests be served?", responses=documented())
def ready(database: Db) -> Health:
    """Whether requests can be served: the database answers, and is migrated for this version."""
    with database.transaction() as conn:
        migrate.check(conn)
    return Health(status="ready")
