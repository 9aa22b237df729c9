"""advice of a job: what its trials show that the next job can do better, and that job, ready to be submitted."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter

from objectives.contract import Objective
from service.analysis.advice.advise import advise
from service.analysis.model.pruned_trials import Curves
from service.api.catalog import Catalog
from service.api.dependencies import Answers, Db, JobId
from service.api.dependencies import Catalog as KnownObjectives
from service.api.kept_answers import KeptAnswers
from service.api.problems import documented
from service.api.submission import complete
from service.domain.advice import AdviceView
from service.domain.answer import Answer
from service.domain.job import Job
from service.domain.measurement import RunSummary
from service.domain.request import JobRequest
from service.domain.trial import Trial, TrialState
from service.errors import InvalidJob, NoLearningRate, NothingFinished
from service.store import jobs, measurements, trial_reader

router = APIRouter(prefix="/v1", tags=["answers"])


@router.get("/jobs/{job_id}/advice", responses=documented(404, 409, 422))
def advice_of_job(job_id: JobId, database: Db, answers: Answers, catalog: KnownObjectives) -> AdviceView:
    """What to do after a job, the most important first: each with its evidence, its source, and the next job, ready to POST."""
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        trials, curves = trial_reader.finished_with_curves(conn, job)
        runs = measurements.summaries(conn, job.study_id)
    return advice_on(job, trials, curves, runs, answers, catalog)


def advice_on(
    job: Job,
    trials: Sequence[Trial],
    curves: Curves,
    runs: Mapping[int, RunSummary],
    answers: KeptAnswers,
    catalog: Catalog,
) -> AdviceView:
    """The advice on a job's finished trials. Next jobs are those that the job's objective takes as it is offered now."""
    objective, _ = catalog.find(job.spec.objective.name)
    known = catalog.all() if objective is None else {objective.name: objective}
    return advise(job, trials, curves, runs, _answer(job, trials, curves, answers), lambda request: _fitting(request, known))


def _answer(job: Job, trials: Sequence[Trial], curves: Curves, answers: KeptAnswers) -> Answer | None:
    pruned = any(trial.state is TrialState.PRUNED for trial in trials)
    try:
        return answers.answer(job, trials, curves if pruned else dict.fromkeys(curves, ())).answer
    except (NothingFinished, NoLearningRate):
        return None


def _fitting(request: JobRequest, known: Mapping[str, Objective]) -> JobRequest | None:
    """The request, if it can be submitted."""
    try:
        complete(request, known)
    except InvalidJob:
        return None
    return request
