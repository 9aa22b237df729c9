"""/v1/jobs: submit, list, show, cancel, pause, resume, extend, delete."""

import hashlib
from collections.abc import Callable, Collection
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Header, Query, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Connection

from service.analysis.words.plan import plan
from service.api import cursors
from service.api.dependencies import Catalog, Db, Folder, JobId
from service.api.examples import JOBS
from service.api.json_body import JsonRoute
from service.api.labels import Labels, labels_of
from service.api.problems import documented
from service.api.schemas.jobs import DryRun, Epochs, JobView
from service.api.schemas.view import Page
from service.api.submission import complete, warnings_of
from service.api.waiting import waiting_for
from service.dispatch import lifecycle
from service.dispatch.extend import extend
from service.dispatch.submit import submit
from service.domain.job import Job, JobState
from service.domain.request import Extension, JobRequest
from service.domain.spec import JobSpec
from service.search.preview import first_points, steps_per_trial
from service.store import checkpoint_files, jobs, trial_reader

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=JsonRoute)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern="^[ -~]+$",
        description="A request with the same key and body within 7 days returns the same job.",
    ),
]


@router.post(
    "", status_code=202, response_model=JobView, responses={**documented(400, 403, 413, 415, 422), 200: {"model": DryRun}}
)
def submit_job(
    request: Annotated[JobRequest, Body(openapi_examples=JOBS)],
    database: Db,
    catalog: Catalog,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    dry: Annotated[
        bool, Query(alias="dry_run", description="Return 200 and what the job would do, without creating it.")
    ] = False,
) -> JobView | JSONResponse:
    """Submit a tuning job. Workers start it as soon as they are free."""
    name = request.objective.name
    objective, version = catalog.find(request.objective)
    spec = complete(request, catalog.all() if objective is None else {name: objective})
    if dry:
        return JSONResponse(_dry_run(spec, request.model_fields_set).model_dump(mode="json"))
    request_sha256 = sha256_of(request.model_dump_json(exclude_unset=True))
    earlier_sha256 = sha256_of(request.model_dump_json(exclude_defaults=True))

    def work(conn: Connection) -> JobView:
        sha256 = catalog.version_of_loaded(conn, name) if version is None else version.sha256
        job, _ = submit(
            conn,
            spec,
            objective_sha256=sha256,
            idempotency_key=idempotency_key,
            request_sha256=request_sha256 if idempotency_key else None,
            earlier_sha256=earlier_sha256,
        )
        return view_of(conn, job)

    view = database.transact(work)
    response.headers["Location"] = f"/v1/jobs/{view.id}"
    return view


@router.get("", responses=documented(422))
def list_jobs(
    database: Db,
    state: JobState | None = None,
    label: Labels = None,
    limit: cursors.Limit = 20,
    cursor: cursors.Cursor = None,
) -> Page[JobView]:
    """List jobs, newest first."""
    labels = labels_of(label)
    with database.transaction() as conn:
        listed = jobs.page(conn, limit=limit + 1, before=cursors.moment_and_id(cursor), state=state, labels=labels)
        views = _views(conn, listed[:limit])
    more = len(listed) > limit
    return Page(items=views, next_cursor=cursors.encode(views[-1].created_at, views[-1].id) if more else None)


@router.get("/{job_id}", responses=documented(404, 409, 422))
def get_job(job_id: JobId, database: Db) -> JobView:
    """A job, its progress and its best trial so far."""
    with database.transaction() as conn:
        return view_of(conn, jobs.get(conn, job_id))


@router.post("/{job_id}/cancel", responses=documented(403, 404, 409, 422))
def cancel_job(job_id: JobId, database: Db) -> JobView:
    """Cancel a job; its running trials keep their measurements."""
    return _moved(database, job_id, lifecycle.cancel)


@router.post("/{job_id}/pause", responses=documented(403, 404, 409, 422))
def pause_job(job_id: JobId, database: Db) -> JobView:
    """Pause a job: start no further trials, and release the running ones, which continue at resume."""
    return _moved(database, job_id, lifecycle.pause)


@router.post("/{job_id}/resume", responses=documented(403, 404, 409, 422))
def resume_job(job_id: JobId, database: Db) -> JobView:
    """Resume a paused job."""
    return _moved(database, job_id, lifecycle.resume)


@router.post("/{job_id}/extend", status_code=202, responses=documented(400, 403, 404, 409, 413, 415, 422))
def extend_job(job_id: JobId, extension: Extension, database: Db, idempotency_key: IdempotencyKey = None) -> JobView:
    """Give a job more trials or seconds: an open one more than its budget, a final one more than it has issued; that runs again.

    Of a final job's other limits none is left, and a target that was reached is dropped. A failed job cannot be extended.
    """
    sha256 = sha256_of(f"{job_id} {extension.model_dump_json()}") if idempotency_key else None

    def work(conn: Connection) -> JobView:
        extend(conn, job_id, extension, idempotency_key=idempotency_key, request_sha256=sha256)
        return view_of(conn, jobs.get(conn, job_id))

    return database.transact(work)


@router.delete("/{job_id}", status_code=204, responses=documented(403, 404, 409, 422))
def delete_job(job_id: JobId, database: Db, folder: Folder) -> None:
    """Delete a completed, failed or cancelled job with all its trials."""
    paths = database.transact(lambda conn: lifecycle.delete(conn, job_id), timeout_s=DELETE_TIMEOUT_S)
    checkpoint_files.delete(folder, paths)


DELETE_TIMEOUT_S = 120
"""Seconds: deleting a large study takes long."""


def _dry_run(spec: JobSpec, given: Collection[str]) -> DryRun:
    trials = spec.budget.trials
    per_trial = steps_per_trial(spec)
    steps = None if per_trial is None or trials is None else (trials * per_trial[0], trials * per_trial[1])
    epochs = None
    if per_trial is not None:
        epochs = Epochs(expected=None, at_most=None) if steps is None else Epochs(expected=steps[0], at_most=steps[1])
    points = first_points(spec)
    return DryRun(
        spec=spec,
        summary=plan(spec, given, steps),
        warnings=warnings_of(spec),
        first_points=points,
        trials=trials,
        epochs=epochs,
        roles=spec.meaning.roles,
        step_word=spec.meaning.step_word,
    )


def _moved(database: Db, job_id: UUID, move: Callable[[Connection, UUID], None]) -> JobView:
    def work(conn: Connection) -> JobView:
        move(conn, job_id)
        return view_of(conn, jobs.get(conn, job_id))

    return database.transact(work)


def sha256_of(text: str) -> bytes:
    """What tells requests with one key apart."""
    return hashlib.sha256(text.encode()).digest()


def view_of(conn: Connection, job: Job) -> JobView:
    """A job as the API returns it."""
    return _views(conn, [job])[0]


def _views(conn: Connection, listed: list[Job]) -> list[JobView]:
    counts = trial_reader.counts(conn, [job.study_id for job in listed])
    waiting = waiting_for(conn, listed)
    return [
        JobView.of(
            job,
            counts[job.study_id],
            trial_reader.best(conn, job),
            trial_reader.last_failed(conn, job) if counts[job.study_id].failed else None,
            waiting.get(job.id),
            warnings_of(job.spec),
        )
        for job in listed
    ]
