"""advice of a job: what its trials show that the next job can do better, and that job, ready to be submitted."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from objectives.contract import Objective
from service.analysis.advice.advise import advise, looked_at
from service.analysis.model.pruned_trials import Curves
from service.api.catalog import Catalog
from service.api.dependencies import Answers, Db, JobId
from service.api.dependencies import Catalog as KnownObjectives
from service.api.problems import documented
from service.api.resubmission import request_of
from service.api.submission import complete
from service.domain.advice import AdviceView
from service.domain.answer import Answer
from service.domain.job import Job
from service.domain.measurement import RunSummary
from service.domain.request import JobRequest
from service.domain.trial import Trial
from service.errors import InvalidJob, NoLearningRate, NothingFinished
from service.store import jobs, measurements, trial_reader

router = APIRouter(prefix="/v1", tags=["answers"])


@router.get("/jobs/{job_id}/advice", responses=documented(404, 409, 422))
def advice_of_job(job_id: JobId, database: Db, answers: Answers, catalog: KnownObjectives) -> AdviceView:
    """What to do after a job, the most important first: each with its evidence, its source, and the next job, ready to POST."""
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        trials, pruned_curves = trial_reader.finished_with_pruned_curves(conn, job)
        measured = measured_of(conn, job, trials)
    try:
        answer = answers.answer(job, trials, pruned_curves).answer
    except (NothingFinished, NoLearningRate):
        answer = None
    return advice_on(job, trials, pruned_curves, measured, answer, catalog)


Measured = tuple[Curves, Mapping[int, RunSummary]]
"""The curves of a job's best trials, and what else was measured of them, by number."""


def measured_of(conn: Connection, job: Job, trials: Sequence[Trial]) -> Measured:
    """trials: the finished ones."""
    numbers = looked_at(job, trials)
    return trial_reader.curves(conn, job, numbers), measurements.summaries(conn, job.study_id, numbers)


def advice_on(
    job: Job, trials: Sequence[Trial], pruned_curves: Curves, measured: Measured, answer: Answer | None, catalog: Catalog
) -> AdviceView:
    """The advice on a job's finished trials. Next jobs are those that the job's objective takes as it is offered now."""
    objective, _ = catalog.find(job.spec.objective)
    curves, runs = measured
    return advise(job, trials, {**pruned_curves, **curves}, runs, answer, lambda request: _document(request, objective))


def _document(request: JobRequest, objective: Objective | None) -> dict[str, Any] | None:
    """The shortest form of a request; None where it can not be submitted."""
    if objective is None:
        return None
    try:
        spec = complete(request, {objective.name: objective})
    except InvalidJob:
        return None
    return request_of(spec, objective)
