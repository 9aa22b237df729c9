"""best-lr of a job: its best learning rate; batch-scaling: how that depends on the batch size."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.analysis.answer.other_batch_sizes import scaled
from service.analysis.model.response_curve import Kind
from service.api.dependencies import Answers, Db, JobId
from service.api.problems import documented
from service.domain.answer import Answer, BatchScalingView
from service.domain.job import FINAL
from service.errors import Invalid, InvalidQuestion, NothingFinished
from service.store import jobs, trial_reader

router = APIRouter(prefix="/v1", tags=["answers"])

Tolerance = Annotated[
    float | None,
    Query(
        gt=0,
        allow_inf_nan=False,
        description="Tolerance of the safe ranges and the verdict, in the metric's units; the answer states the default.",
    ),
]
CurveKind = Annotated[
    Kind,
    Query(
        alias="curve",
        description="What the other parameters are along the curve. params: those of the answer; profile: the best at each rate;"
        " marginal: averaged over.",
    ),
]


@router.get("/jobs/{job_id}/best-lr", responses=documented(404, 409, 422))
def best_learning_rate_of_job(
    job_id: JobId, database: Db, answers: Answers, tolerance: Tolerance = None, kind: CurveKind = "params"
) -> Answer:
    """The best learning rate by a job's trials so far, how certain it is, and how far one may deviate from it."""
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        read = trial_reader.finished_with_pruned_curves(conn, job)
    if not read[0] and job.state in FINAL:
        reason = str(job.reason).removesuffix(".")  # the sentence of an error may have its own
        raise NothingFinished(f"The job is {job.state}, and none of its trials has a result: {reason}.")
    return answers.answer(job, *read, tolerance=tolerance, kind=kind).answer


@router.get("/jobs/{job_id}/batch-scaling", responses=documented(404, 409, 422))
def batch_scaling_of_job(
    job_id: JobId,
    database: Db,
    answers: Answers,
    batch_size: Annotated[
        int | None,
        Query(ge=1, le=2**31 - 1, description="Predict the best rate for this batch size, summed over all devices."),
    ] = None,
    devices: Annotated[
        int | None,
        Query(ge=1, le=1_000_000, description="Predict it for this many devices, each with the batch size that is best on one."),
    ] = None,
) -> BatchScalingView:
    """How the best learning rate depends on the batch size, fitted to a job that searches both, and what that predicts.

    Nothing is predicted above four times the largest batch size of the fit, or below a quarter of the smallest: that is a 409.
    """
    if batch_size is not None and devices is not None:
        raise InvalidQuestion([Invalid("/devices", "give either batch_size, summed over all devices, or devices")])
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        read = trial_reader.finished_with_pruned_curves(conn, job)
    return scaled(job, answers.answer(job, *read), batch_size=batch_size, devices=devices)
