"""/new: the form for a new job, empty or filled from a job."""

import json
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from service.api.catalog import Listed
from service.api.dependencies import Catalog, Db, job_named
from service.api.faults import JOB_ID, NO_NUL
from service.api.pages import fields
from service.api.pages.errors import PageRoute
from service.api.pages.render import html
from service.api.resubmission import Document, request_of
from service.domain.job import Job
from service.store import jobs

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/new")
def new_job_page(
    database: Db,
    catalog: Catalog,
    again: Annotated[str | None, Query(alias="from", pattern=JOB_ID, description="The job to fill the form from.")] = None,
    objective: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="The objective to begin with.")] = None,
) -> HTMLResponse:
    """The form. Its script sends it to `POST /v1/jobs`, while one types with `dry_run`."""
    listed = catalog.listed()
    by_name = {each.objective.name: each for each in listed}
    job = None if again is None else _job(database, again)
    if job is None:
        name = _first(listed) if objective is None else objective
        request: Document = {"objective": {"name": name}}
    else:
        name = job.spec.objective.name
        request = request_of(job.spec, catalog.find(job.spec.objective)[0])
    chosen = by_name.get(name)
    return html(
        "new.html",
        job=job,
        text=json.dumps(request, ensure_ascii=False, indent=2),
        listed=listed,
        name=name,
        chosen=chosen,
        settings=[] if chosen is None else fields.of_settings(chosen.objective),
        metric=None if chosen is None else fields.of_metric(chosen.objective),
        parameters=[] if chosen is None else [fields.of_parameter(each) for each in chosen.objective.parameters],
        strategies=fields.strategies(),
        pruners=fields.pruners(),
        heading=fields.of_request("name"),
        budget=fields.of_budget("trials", "seconds"),
        further_budget=fields.of_budget("target", "confirm", "failures"),
        further=fields.of_request(
            "seed", "training_seed", "replicates", "priority", "labels", "max_parallel", "max_attempts", "try_first"
        ),
        limits=fields.of_limits(),
    )


def _job(database: Db, named: str) -> Job:
    job_id = job_named(database, named)
    with database.transaction() as conn:
        return jobs.get(conn, job_id)


def _first(listed: list[Listed]) -> str:
    """The objective that an empty form begins with: one that a worker offers, if there is one."""
    return next((each for each in listed if each.is_offered), listed[0]).objective.name
