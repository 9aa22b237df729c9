"""/jobs/{id}: one job, with its answer first and the evidence below it."""

from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from sqlalchemy import Connection

from service.analysis.figures.figure import Figure
from service.analysis.figures.losses import loss_figure
from service.analysis.figures.response import response_figure
from service.analysis.words.ranges import end_to_end
from service.analysis.words.summary import headline, sentences
from service.api.dependencies import Answers, Db, JobId
from service.api.kept_answers import KeptAnswers
from service.api.pages.changes import stream
from service.api.pages.errors import PageRoute
from service.api.pages.render import html
from service.domain.answer import Answer, BatchSizeView
from service.domain.job import FINAL, Job, JobState
from service.domain.meaning import Role
from service.domain.measurement import CurvePoint
from service.domain.space import searched
from service.domain.trial import Trial, TrialCounts, TrialState
from service.errors import NoLearningRate, NothingFinished
from service.store import events, jobs, trial_reader

router = APIRouter(prefix="/jobs", include_in_schema=False, route_class=PageRoute)

MOST_TRIALS = 500
"""Rows of the table; the API lists all."""
MOST_EVENTS = 50
MOVES: Mapping[JobState, Sequence[str]] = {
    JobState.QUEUED: ("pause", "cancel"),
    JobState.RUNNING: ("pause", "cancel"),
    JobState.PAUSED: ("resume", "cancel"),
}
"""What the buttons of a job do, by its state."""
FURTHER = 16
"""Trials that the button of a finished job adds."""


@router.get("/{job_id}")
def job_page(job_id: JobId, database: Db, answers: Answers) -> HTMLResponse:
    """The page of a job."""
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        trials, curves = trial_reader.finished_with_curves(conn, job)
        listed = trial_reader.page(conn, job, limit=MOST_TRIALS)
        counts = trial_reader.counts(conn, [job.study_id])[job.study_id]
        happened = events.last(conn, job.id, limit=MOST_EVENTS)
    found = answer_of(job, trials, curves, answers)
    rate = job.spec.meaning.named(Role.LEARNING_RATE)
    return html(
        "job.html",
        job=job,
        counts=counts,
        done=counts.complete + counts.infeasible + counts.pruned + counts.failed,
        seconds=_seconds(job),
        moves=MOVES.get(job.state, ()),
        further=FURTHER if job.can_run_on else 0,
        answer=found if isinstance(found, Answer) else None,
        because=found if isinstance(found, str) else found.because,
        headline=None if isinstance(found, str) else headline(found),
        sentences=[] if isinstance(found, str) else list(sentences(found, searched(job.spec.search_space), rate)),
        by_batch_size=[] if isinstance(found, str) else _by_batch_size(found),
        figures=_figures(job, found, trials, curves, rate),
        trials=listed,
        columns=sorted(searched(job.spec.search_space), key=lambda name: (name != rate, name)),
        events=happened,
    )


@router.get("/{job_id}/changes")
def changes(job_id: JobId, database: Db, request: Request) -> StreamingResponse:
    """Tells the page when it is to ask for itself again."""

    def seen() -> Hashable:
        with database.transaction() as conn:
            return _seen(conn, job_id)

    return stream(seen, request.app.state.stopping.is_set)


def _seen(conn: Connection, job_id: UUID) -> tuple[str, int, TrialCounts]:
    job = jobs.get(conn, job_id)
    return job.state, job.phase.position, trial_reader.counts(conn, [job.study_id])[job.study_id]


def answer_of(
    job: Job, trials: Sequence[Trial], curves: Mapping[int, tuple[CurvePoint, ...]], answers: KeptAnswers
) -> Answer | str:
    """The answer, or why there is none."""
    if not trials and job.state in FINAL:
        return f"The job is {job.state}, and none of its trials has a result: {job.reason}"
    pruned = any(trial.state is TrialState.PRUNED for trial in trials)
    try:
        return answers.answer(job, trials, dict(curves) if pruned else dict.fromkeys(curves, ())).answer
    except (NothingFinished, NoLearningRate) as error:
        return str(error)


def _by_batch_size(answer: Answer) -> list[tuple[BatchSizeView, str]]:
    """Each with its interval in words."""
    return [(each, end_to_end(each.interval, each.learning_rate)) for each in answer.by_batch_size]


def _figures(
    job: Job,
    found: Answer | str,
    trials: Sequence[Trial],
    curves: Mapping[int, Sequence[CurvePoint]],
    rate: str | None,
) -> list[Figure]:
    if rate is None:
        return []
    response = None if isinstance(found, str) else response_figure(found, trials, rate)
    losses = loss_figure(trials, curves, metric=job.spec.metric, step_word=job.spec.meaning.step_word, rate=rate)
    return [figure for figure in (response, losses) if figure is not None]


def _seconds(job: Job) -> float | None:
    """How long it has run."""
    if job.started_at is None:
        return None
    return ((job.finished_at or datetime.now(UTC)) - job.started_at).total_seconds()
