"""best-lr: the one question, of one job or across jobs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from service.api.dependencies import Catalog, Db
from service.api.faults import NO_NUL
from service.api.problems import documented
from service.api.schemas import Answer, BestTrial, Evidence
from service.domain.job import FINAL, Job
from service.errors import Invalid, InvalidJob, NothingFinished
from service.report.best_lr import BestLearningRate, answer, best_of
from service.store import jobs, trial_reader

router = APIRouter(prefix="/v1", tags=["answers"])

Wanted = Annotated[str | None, Query(max_length=200, pattern=NO_NUL)]


@router.get("/jobs/{job_id}/best-lr", responses=documented(404, 409, 422))
def best_learning_rate_of_job(job_id: UUID, database: Db) -> Answer:
    """Which learning rate is best, by what a job's trials have shown so far."""
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        trials = trial_reader.finished(conn, job)
    if not trials and job.state in FINAL:
        raise NothingFinished(f"The job is {job.state} and none of its trials has a result, so there is no answer: {job.reason}.")
    return _view(job, answer(job, trials))


@router.get("/best-lr", responses=documented(409, 422))
def best_learning_rate(
    objective: Annotated[str, Query(max_length=200, description="The objective's name.")],
    database: Db,
    catalog: Catalog,
    dataset: Annotated[Wanted, Query(description="Only jobs with this dataset in their settings.")] = None,
    model: Annotated[Wanted, Query(description="Only jobs with this model in their settings.")] = None,
    path: Annotated[Wanted, Query(description="Only jobs with this path of local data in their settings.")] = None,
    metric: Annotated[Wanted, Query(description="Only jobs with this metric; left out: the objective's first.")] = None,
) -> Answer:
    """The same question across jobs: the best of their answers, on the trials of all of them."""
    metric = _known_metric(catalog, objective, metric)
    settings = {name: value for name, value in (("dataset", dataset), ("model", model), ("path", path)) if value is not None}
    answers = []
    with database.transaction() as conn:
        for job in jobs.of_objective(conn, objective, settings, metric):
            try:
                answers.append((job, answer(job, trial_reader.finished(conn, job))))
            except NothingFinished:
                continue
    if not answers:
        raise NothingFinished("No such job has a finished trial yet: submit one, or ask with fewer of these conditions.")
    return _view(*best_of(answers))


def _known_metric(catalog: Catalog, objective: str, metric: str | None) -> str:
    if objective not in catalog:
        raise InvalidJob([Invalid("/objective", f"there is no objective {objective!r}; there are: {', '.join(sorted(catalog))}")])
    names = [metric.name for metric in catalog[objective].metrics]
    if metric is not None and metric not in names:
        raise InvalidJob([Invalid("/metric", f"{objective} has no metric {metric!r}; it has: {', '.join(names)}")])
    return metric or names[0]


def _view(job: Job, found: BestLearningRate) -> Answer:
    best = found.best_trial
    return Answer(
        job=job.id,
        learning_rate=found.learning_rate,
        metric=found.metric,
        at_edge=found.at_edge,
        evidence=Evidence(
            trials=found.evidence.trials,
            infeasible=found.evidence.infeasible,
            pruned=found.evidence.pruned,
            seeds=found.evidence.seeds,
        ),
        best_trial=None if best is None else BestTrial(number=best.number, value=best.value, params=best.params),
        verdict=found.verdict,
        because=found.because,
    )
