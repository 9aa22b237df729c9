"""What the page of a job shows, and its report: gathered from the store and from the analysis."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service.analysis.answer.best_lr import Answered
from service.analysis.answer.other_batch_sizes import scaled
from service.analysis.figures.batch_sizes import batch_size_figure
from service.analysis.figures.gaps import METRIC, gap_figure
from service.analysis.figures.losses import loss_figure
from service.analysis.figures.response import response_figure
from service.analysis.model.pruned_trials import Curves
from service.analysis.words.ranges import end_to_end
from service.analysis.words.summary import headline, sentences
from service.api.kept_answers import KeptAnswers
from service.domain.answer import Answer, BatchScalingView, BatchSizeView
from service.domain.job import FINAL, Job, JobState
from service.domain.meaning import Role
from service.domain.space import searched
from service.domain.trial import Trial, TrialState
from service.errors import NoBatchScaling, NoLearningRate, NothingFinished
from service.store import events, jobs, measurements, trial_reader
from service.store.postgres import Database

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
"""Trials that the button of a finished job adds, where the answer names no other number."""


def content(database: Database, job_id: UUID, answers: KeptAnswers) -> dict[str, Any]:
    """The values of the template `job_content.html`. Raises JobNotFound."""
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        trials, curves = trial_reader.finished_with_curves(conn, job)
        listed = trial_reader.page(conn, job, limit=MOST_TRIALS)
        counts = trial_reader.counts(conn, [job.study_id])[job.study_id]
        gaps = measurements.last_values(conn, job.study_id, METRIC)
        happened = events.last(conn, job.id, limit=MOST_EVENTS)
    rate = job.spec.meaning.named(Role.LEARNING_RATE)
    answered = _answered(job, trials, curves, answers)
    found = answered if isinstance(answered, str) else answered.answer
    figures = []
    if rate is not None:
        response = None if isinstance(found, str) else response_figure(found, trials, rate)
        losses = loss_figure(trials, curves, metric=job.spec.metric, step_word=job.spec.meaning.step_word, rate=rate)
        batch_sizes = None if isinstance(answered, str) else batch_size_figure(answered.answer, _scaling(job, answered))
        figures = [each for each in (response, losses, batch_sizes, gap_figure(trials, gaps, rate)) if each is not None]
    return dict(
        job=job,
        counts=counts,
        seconds=_seconds(job),
        moves=MOVES.get(job.state, ()),
        further=(FURTHER if isinstance(found, str) else found.further_trials or FURTHER) if job.can_run_on else 0,
        answer=found if isinstance(found, Answer) else None,
        because=found if isinstance(found, str) else found.because,
        headline=None if isinstance(found, str) else headline(found),
        sentences=[] if isinstance(found, str) else list(sentences(found, searched(job.spec.search_space), rate)),
        by_batch_size=[] if isinstance(found, str) else _by_batch_size(found),
        figures=figures,
        trials=[(trial, _said(trial)) for trial in listed],
        columns=sorted(searched(job.spec.search_space), key=lambda name: (name != rate, name)),
        events=happened,
    )


def answer_of(job: Job, trials: Sequence[Trial], curves: Curves, answers: KeptAnswers) -> Answer | str:
    """The answer, or why there is none."""
    answered = _answered(job, trials, curves, answers)
    return answered if isinstance(answered, str) else answered.answer


def _answered(job: Job, trials: Sequence[Trial], curves: Curves, answers: KeptAnswers) -> Answered | str:
    if not trials and job.state in FINAL:
        return f"The job is {job.state}, and none of its trials has a result: {job.reason}"
    pruned = any(trial.state is TrialState.PRUNED for trial in trials)
    try:
        return answers.answer(job, trials, curves if pruned else dict.fromkeys(curves, ()))
    except (NothingFinished, NoLearningRate) as error:
        return str(error)


def _scaling(job: Job, answered: Answered) -> BatchScalingView | None:
    try:
        return scaled(job, answered)
    except NoBatchScaling:
        return None


def _said(trial: Trial) -> list[tuple[str, str]]:
    """What is to be said of a trial, in a word and in full: its error, or its diagnosis, in which a user's script may write."""
    if trial.error is not None:
        return [(trial.error.type, trial.error.message)]
    diagnosis = trial.user_attrs.get("diagnosis", {})
    return [(name, str(why)) for name, why in diagnosis.items()] if isinstance(diagnosis, dict) else [(str(diagnosis), "")]


def _by_batch_size(answer: Answer) -> list[tuple[BatchSizeView, str]]:
    """Each with its interval in words."""
    return [(each, end_to_end(each.interval, each.learning_rate)) for each in answer.by_batch_size]


def _seconds(job: Job) -> float | None:
    """How long it has run."""
    if job.started_at is None:
        return None
    return ((job.finished_at or datetime.now(UTC)) - job.started_at).total_seconds()
