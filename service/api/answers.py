"""best-lr: the one question, of one job or across jobs; and how its answer goes with the batch size."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from service.analysis.answer.across_jobs import Brief, best_of, in_brief
from service.analysis.answer.other_batch_sizes import scaled
from service.analysis.model.response_curve import Kind
from service.api.dependencies import Answers, Catalog, Db
from service.api.faults import NO_NUL
from service.api.problems import documented
from service.domain.answer import Answer, BatchScalingView
from service.domain.job import FINAL, Job
from service.errors import Invalid, InvalidQuestion, NothingFinished
from service.store import jobs, trial_reader

router = APIRouter(prefix="/v1", tags=["answers"])

Wanted = Annotated[str | None, Query(max_length=200, pattern=NO_NUL)]
Tolerance = Annotated[
    float | None,
    Query(
        gt=0,
        allow_inf_nan=False,
        description="Of the safe ranges and the verdict, in the metric's units; left out: the answer names the one it took.",
    ),
]
CurveKind = Annotated[
    Kind,
    Query(
        alias="curve",
        description="The other parameters along the curve. params: those of the answer; profile: at their best for each rate;"
        " marginal: averaged over.",
    ),
]


@router.get("/jobs/{job_id}/best-lr", responses=documented(404, 409, 422))
def best_learning_rate_of_job(
    job_id: UUID, database: Db, answers: Answers, tolerance: Tolerance = None, kind: CurveKind = "params"
) -> Answer:
    """Which learning rate is best, by what a job's trials have shown so far: how sure that is, and how far one may move."""
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        read = trial_reader.finished_with_pruned_curves(conn, job)
    if not read[0] and job.state in FINAL:
        raise NothingFinished(f"The job is {job.state}, and none of its trials has a result: {job.reason}.")
    return answers.answer(job, *read, tolerance=tolerance, kind=kind).answer


@router.get("/best-lr", responses=documented(409, 422))
def best_learning_rate(
    objective: Annotated[str, Query(max_length=200, description="The objective's name.")],
    database: Db,
    catalog: Catalog,
    answers: Answers,
    dataset: Annotated[Wanted, Query(description="Only jobs with this dataset in their settings.")] = None,
    model: Annotated[Wanted, Query(description="Only jobs with this model in their settings.")] = None,
    path: Annotated[Wanted, Query(description="Only jobs with this path of local data in their settings.")] = None,
    metric: Annotated[Wanted, Query(description="Only jobs with this metric; left out: the objective's first.")] = None,
) -> Answer:
    """The same question across jobs: the answer of the job with the best trial, and the evidence of all of them."""
    metric = _known_metric(catalog, objective, metric)
    settings = {name: value for name, value in (("dataset", dataset), ("model", model), ("path", path)) if value is not None}
    with database.transaction() as conn:
        several = _briefly(conn, jobs.of_objective(conn, objective, settings, metric))
        if not several:
            raise NothingFinished("No such job has a finished trial yet: submit one, or ask with fewer of these conditions.")
        job, best = best_of(several)
        read = trial_reader.finished_with_pruned_curves(conn, job)
    return answers.answer(job, *read).answer.resting_on(best.evidence)


@router.get("/jobs/{job_id}/batch-scaling", responses=documented(404, 409, 422))
def batch_scaling_of_job(
    job_id: UUID,
    database: Db,
    answers: Answers,
    batch_size: Annotated[
        int | None,
        Query(ge=1, le=2**31 - 1, description="Predict the best rate for this batch size, of all devices together."),
    ] = None,
    devices: Annotated[
        int | None,
        Query(ge=1, le=1_000_000, description="Predict it for so many devices, each with the batch size that is best on one."),
    ] = None,
) -> BatchScalingView:
    """How the best learning rate goes with the batch size, fitted to a job that searches both; and what that predicts.

    A batch size beyond four times the largest fitted to, or below a quarter of the smallest, is a problem: it is not predicted.
    """
    if batch_size is not None and devices is not None:
        raise InvalidQuestion([Invalid("/devices", "give either batch_size, of all devices together, or devices")])
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        read = trial_reader.finished_with_pruned_curves(conn, job)
    return scaled(job, answers.answer(job, *read), batch_size=batch_size, devices=devices)


def _briefly(conn: Connection, found: list[Job]) -> list[Brief]:
    """Those that have an answer."""
    several = []
    for job in found:
        try:
            several.append(in_brief(job, trial_reader.finished(conn, job)))
        except NothingFinished:
            continue
    return several


def _known_metric(catalog: Catalog, objective: str, metric: str | None) -> str:
    if objective not in catalog:
        known = ", ".join(sorted(catalog))
        raise InvalidQuestion([Invalid("/objective", f"there is no objective {objective!r}; there are: {known}")])
    names = [metric.name for metric in catalog[objective].metrics]
    if metric is not None and metric not in names:
        raise InvalidQuestion([Invalid("/metric", f"{objective} has no metric {metric!r}; it has: {', '.join(names)}")])
    return metric or names[0]
