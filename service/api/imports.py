"""/v1/imports: trials that were trained elsewhere, as a finished job."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from objectives.catalog import typed_params
from objectives.contract import Objective
from service.api.applicability import described, shown
from service.api.dependencies import Catalog, Db
from service.api.jobs import IdempotencyKey, sha256_of, view_of
from service.api.json_body import MAX_FAULTS, JsonRoute
from service.api.problems import documented
from service.api.schemas.jobs import JobView
from service.api.submission import complete
from service.dispatch.import_trials import import_job, judged
from service.domain.imported import ImportedTrial, ImportRequest
from service.domain.objective import ExternalObjective
from service.domain.request import Budget, JobRequest
from service.domain.space import Scalar, contains, fixed, searched
from service.domain.spec import JobSpec
from service.domain.strategy import Grid
from service.errors import Invalid, InvalidJob, pointer
from stride.metrics import ALSO_TAKEN, is_taken

PATH = re.compile("/v1/imports")
router = APIRouter(prefix=PATH.pattern, tags=["jobs"], route_class=JsonRoute)

TIMEOUT_S = 120
"""Seconds: storing many trials takes long."""


@router.post("", status_code=201, responses=documented(400, 403, 413, 415, 422))
def import_trials(
    request: ImportRequest, database: Db, catalog: Catalog, response: Response, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Import trials that were trained elsewhere: they make a completed job, which has an answer as any other.

    They are judged as a worker's are: one whose value is not finite has diverged. The job can be extended by trials of its own.
    """
    faults = list(_job_faults(request.job))
    if faults:
        raise InvalidJob(faults)
    n_trials = len(request.trials)
    wanted = request.job.model_copy(update={"budget": Budget(trials=n_trials, confirm=0)})
    name = wanted.objective.name
    try:
        objective, version = catalog.find(wanted.objective)
        spec = complete(wanted, catalog.all() if objective is None else {name: objective})
    except InvalidJob as error:
        raise InvalidJob([Invalid(f"/job{fault.pointer}", fault.detail) for fault in error.faults]) from error
    assert objective is not None  # else it could not be completed
    shared = request.job.training_seed == "shared" and "seed" in request.job.model_fields_set
    trials = [
        trial.model_copy(
            update={
                "params": typed_params(objective, trial.params),
                "seed": spec.seed if shared and trial.seed is None else trial.seed,
            }
        )
        for trial in request.trials
    ]
    found = (fault for index, trial in enumerate(trials) for fault in _faults(index, trial, spec, objective))
    if faults := list(islice(found, MAX_FAULTS)):
        raise InvalidJob(faults)
    rows = judged(spec, objective, trials)
    request_sha256 = sha256_of(request.model_dump_json(exclude_unset=True)) if idempotency_key else None

    def work(conn: Connection) -> JobView:
        job = import_job(
            conn,
            spec,
            rows,
            source=request.source,
            objective_sha256=catalog.version_of_loaded(conn, name) if version is None else version.sha256,
            idempotency_key=idempotency_key,
            request_sha256=request_sha256,
        )
        return view_of(conn, job)

    view = database.transact(work, timeout_s=TIMEOUT_S)
    response.headers["Location"] = f"/v1/jobs/{view.id}"
    return view


def _job_faults(request: JobRequest) -> Iterator[Invalid]:
    """Fields that make no sense where the trials are given."""
    if request.budget is not None:
        yield Invalid("/job/budget", "the budget of an import is its trials: leave it out, and extend the job for more")
    if request.try_first:
        yield Invalid("/job/try_first", "nothing is tried before trials that have ended: leave it out")
    if request.replicates > 1:
        yield Invalid("/job/replicates", "imported trials have their own seeds: leave it out")
    if isinstance(request.strategy, Grid):
        yield Invalid("/job/strategy", "which points of a grid were trained is not known: choose random or bayesian")


def _faults(index: int, trial: ImportedTrial, spec: JobSpec, objective: Objective) -> Iterator[Invalid]:
    where = ("trials", index)
    if spec.training_seed == "shared" and trial.seed not in (None, spec.seed):
        yield Invalid(pointer(*where, "seed"), f"must be {spec.seed}, the job's seed: its training_seed is shared by all trials")
    yield from _params_faults((*where, "params"), trial.params, spec)
    declared = {metric.name for metric in objective.metrics}
    before = 0
    for place, step in enumerate(trial.measurements):
        at = (*where, "measurements", place)
        if step.step <= before:
            yield Invalid(pointer(*at, "step"), f"comes after step {before}: steps must ascend")
        before = step.step
        if spec.metric not in step.metrics:
            yield Invalid(pointer(*at, "metrics"), f"must hold {spec.metric}, which the job is judged by")
        for name in step.metrics if isinstance(spec.objective, ExternalObjective) else ():
            if not is_taken(name, declared):
                known = ", ".join(sorted({*declared, *ALSO_TAKEN}))
                yield Invalid(pointer(*at, "metrics", name), f"is not declared; metrics are: {known}")
    if trial.outcome == "completed" and not trial.measurements:
        yield Invalid(pointer(*where, "measurements"), f"a completed trial has at least one, of {spec.metric}")


def _params_faults(where: tuple[Any, ...], params: Mapping[str, Scalar], spec: JobSpec) -> Iterator[Invalid]:
    ranges, values = searched(spec.search_space), fixed(spec.search_space)
    for name in ranges.keys() - params.keys():
        yield Invalid(pointer(*where), f"must hold {name}, which the job searches")
    for name, value in params.items():
        if name in ranges:
            if not contains(ranges[name], value):
                yield Invalid(pointer(*where, name), f"{shown(value)} is not in the range of the job, {described(ranges[name])}")
        elif name not in values:
            known = ", ".join(sorted(spec.search_space))
            yield Invalid(pointer(*where, name), f"is not a parameter of the job, which has: {known}")
        elif value != values[name]:
            yield Invalid(pointer(*where, name), f"is fixed at {shown(values[name])} by the job: give it a range")
