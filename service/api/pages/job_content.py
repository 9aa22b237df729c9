"""What the page of a job shows, and its report: gathered from the store and from the analysis."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from service.analysis.answer.best_lr import Answered
from service.analysis.answer.other_batch_sizes import scaled
from service.analysis.comparison.trade_off import trade_off
from service.analysis.comparison.tuned import Finished
from service.analysis.figures.batch_sizes import batch_size_figure
from service.analysis.figures.figure import Figure
from service.analysis.figures.gaps import METRIC, gap_figure
from service.analysis.figures.importance import importance_figure, interaction_figure
from service.analysis.figures.losses import drawn_trials, loss_figure
from service.analysis.figures.response import response_figure
from service.analysis.figures.schedules import schedule_figure
from service.analysis.figures.trade_off import trade_off_figure
from service.analysis.model.pruned_trials import Curves
from service.analysis.words.cost import cost
from service.analysis.words.ranges import end_to_end
from service.analysis.words.summary import headline, sentences
from service.api.advice import Measured, advice_on, measured_of
from service.api.catalog import Catalog
from service.api.kept_answers import KeptAnswers, digest_of
from service.api.waiting import waiting_for
from service.domain.answer import Answer, AnswerVerdict, BatchScalingView, BatchSizeView
from service.domain.comparison import TradeOffView
from service.domain.events import JobEvent
from service.domain.job import FINAL, Job, JobState
from service.domain.lease import TimeSpent
from service.domain.meaning import Role
from service.domain.space import searched
from service.domain.trial import Trial, TrialCounts, TrialState
from service.errors import NoBatchScaling, NoLearningRate, NothingFinished
from service.store import events, jobs, measurements, trial_reader
from service.store.postgres import Database

MOST_TRIALS = 500
"""Rows of the table; further ones are on pages of their own."""
PRINTED = 20
"""Rows that are printed: the best."""
MOST_EVENTS = 50
MOST_PARAMETERS = 4
"""Named in the headline; where there are more, all stand in a list below it."""
MOVES: Mapping[JobState, Sequence[str]] = {
    JobState.QUEUED: ("pause", "cancel"),
    JobState.RUNNING: ("pause", "cancel"),
    JobState.PAUSED: ("resume", "cancel"),
}
"""What the buttons of a job do, by its state."""
FURTHER = 16
"""Trials that the button of a finished job adds, where the answer names no other number."""
NO_MORE_HELPS = (AnswerVerdict.ALL_DIVERGED, AnswerVerdict.NOTHING_LEARNED, AnswerVerdict.RANGE_TOO_NARROW)
"""Verdicts after which another job is needed, and not more trials of this one."""


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What the database holds of a job, as of one moment."""

    job: Job
    counts: TrialCounts
    waiting_for: str | None
    trials: Sequence[Trial]
    """Those that have a result."""
    best: int | None
    """The number of the one with the best value."""
    pruned_curves: Curves
    """Of these, where one was pruned."""
    curves: Curves
    """Of those whose curves are drawn; so are the rates that were applied."""
    applied: Mapping[int, Sequence[tuple[int, float]]]
    gaps: Mapping[int, float]
    listed: Sequence[Trial]
    """For the table: of any state, with their attempts."""
    happened: Sequence[JobEvent]
    spent: Sequence[TimeSpent]
    measured: Measured

    @property
    def rate(self) -> str | None:
        """What the job calls the learning rate."""
        return self.job.spec.meaning.named(Role.LEARNING_RATE)


def content(
    database: Database, job_id: UUID, answers: KeptAnswers, catalog: Catalog, *, after: int = -1, best_first: bool = False
) -> dict[str, Any]:
    """The values of the template `job_content.html`. Raises JobNotFound.

    after: the number before the first trial of the table. best_first: the table begins with the best trial of all.
    """
    with database.transaction() as conn:
        read = _read(conn, job_id, after)
    job = read.job
    answered = answered_or_why_not(job, read.trials, read.pruned_curves, answers)
    found = answered if isinstance(answered, str) else answered.answer
    names = searched(job.spec.search_space)
    is_part = len(read.listed) < read.counts.total
    listed = ranked(job, read.trials if is_part else read.listed)[:MOST_TRIALS] if best_first else read.listed
    # Where there is no rate to recommend, what was fitted about it says nothing.
    fitted = answered if isinstance(answered, Answered) and answered.answer.recommends else None
    figures = _figures(read, answered, fitted)
    if read.rate is not None and fitted is not None and (trade_off := _trade_off(database, read, answers)) is not None:
        figures.append(trade_off)
    return dict(
        job=job,
        is_final=job.state in FINAL,
        counts=read.counts,
        waiting_for=read.waiting_for,
        seconds=_seconds(job),
        moves=MOVES.get(job.state, ()),
        further=_further(job, found),
        answer=found if isinstance(found, Answer) else None,
        because=found if isinstance(found, str) else found.because,
        headline=None if isinstance(found, str) else headline(found, MOST_PARAMETERS),
        params=found.params if isinstance(found, Answer) and len(found.params) > MOST_PARAMETERS else {},
        sentences=[] if isinstance(found, str) else list(sentences(found, names, read.rate)),
        advice=advice_on(
            job, read.trials, read.pruned_curves, read.measured, found if isinstance(found, Answer) else None, catalog
        ),
        by_batch_size=[] if fitted is None else _by_batch_size(fitted.answer),
        figures=figures,
        trials=[(trial, said_of(trial)) for trial in listed],
        printed={trial.number for trial in ranked(job, listed)[:PRINTED]},
        is_part=is_part,
        columns=sorted(names, key=lambda name: (name != read.rate, name)),
        events=read.happened,
        spent=read.spent,
        cost=cost(read.spent, _seconds(job)),
    )


def ranked(job: Job, trials: Sequence[Trial]) -> list[Trial]:
    """The best first; then those without a value to compare, diverged ones, and those without a result."""
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.INFEASIBLE)

    def place(trial: Trial) -> tuple[int, float, int]:
        state = states.index(trial.state) if trial.state in states else len(states)
        cost = math.inf if trial.value is None or not math.isfinite(trial.value) else job.spec.cost_sign * trial.value
        return state, cost, trial.number

    return sorted(trials, key=place)


def _further(job: Job, found: Answer | str) -> int:
    """How many trials the button adds; 0: none is shown, since the job cannot run on, or more in its range would not help."""
    if not job.can_run_on:
        return 0
    if isinstance(found, str):
        return FURTHER
    return 0 if found.verdict in NO_MORE_HELPS else found.further_trials or FURTHER


def _read(conn: Connection, job_id: UUID, after: int) -> _Read:
    job = jobs.get(conn, job_id)
    trials, pruned_curves = trial_reader.finished_with_pruned_curves(conn, job)
    rate = job.spec.meaning.named(Role.LEARNING_RATE)
    best = trial_reader.best(conn, job)
    drawn = [] if rate is None else [trial.number for trial in drawn_trials(trials, rate, None if best is None else best.number)]
    return _Read(
        job=job,
        counts=trial_reader.counts(conn, [job.study_id])[job.study_id],
        waiting_for=waiting_for(conn, [job]).get(job.id),
        trials=trials,
        best=None if best is None else best.number,
        pruned_curves=pruned_curves,
        curves=trial_reader.curves(conn, job, drawn),
        applied=measurements.applied_rates(conn, job.study_id, drawn),
        gaps=measurements.last_values(conn, job.study_id, METRIC),
        listed=trial_reader.page(conn, job, limit=MOST_TRIALS, after=after),
        happened=events.last(conn, job.id, limit=MOST_EVENTS),
        spent=trial_reader.time_spent(conn, job.id),
        measured=measured_of(conn, job, trials),
    )


def _figures(read: _Read, answered: Answered | str, fitted: Answered | None) -> list[Figure]:
    """In the order of the page; none without a learning rate. fitted: the answer, if it recommends a rate."""
    job, trials, rate = read.job, read.trials, read.rate
    if rate is None:
        return []
    step_word, sign = job.spec.meaning.step_word, job.spec.cost_sign
    figures = [
        None if isinstance(answered, str) else response_figure(answered.answer, trials, rate, sign=sign),
        loss_figure(trials, read.curves, metric=job.spec.metric, step_word=step_word, rate=rate, sign=sign, best=read.best),
        schedule_figure(trials, read.applied, step_word=step_word, rate=rate),
        None if fitted is None else batch_size_figure(fitted.answer, _scaling(job, fitted)),
        gap_figure(trials, read.gaps, rate),
        None if fitted is None else importance_figure(fitted.answer),
        None if fitted is None else _interaction(read, fitted, rate),
    ]
    return [each for each in figures if each is not None]


def _interaction(read: _Read, answered: Answered, rate: str) -> Figure | None:
    sign = read.job.spec.cost_sign
    return interaction_figure(answered.interaction, read.trials, answer=answered.answer, rate=rate, sign=sign)


def _trade_off(database: Database, read: _Read, answers: KeptAnswers) -> Figure | None:
    """Speed against stability. It takes every curve: these are read only once for the same finished trials."""
    job = read.job

    def compute() -> TradeOffView | None:
        with database.transaction() as conn:
            trials, curves = trial_reader.finished_with_curves(conn, job)
        try:
            return trade_off(Finished(job=job, trials=trials, curves=curves))
        except NothingFinished:
            return None

    found = answers.once(("trade-off", job.id, digest_of(read.trials)), compute)
    if found is None:
        return None
    return trade_off_figure(
        found, sorted(searched(job.spec.search_space)), step_word=job.spec.meaning.step_word, sign=job.spec.cost_sign
    )


def answered_or_why_not(job: Job, trials: Sequence[Trial], curves: Curves, answers: KeptAnswers) -> Answered | str:
    """The answer, or why there is none. curves: of the trials, where one was pruned."""
    if not trials and job.state in FINAL:
        return f"The job is {job.state}, and none of its trials has a result: {job.reason}"
    try:
        return answers.answer(job, trials, curves)
    except (NothingFinished, NoLearningRate) as error:
        return str(error)


def _scaling(job: Job, answered: Answered) -> BatchScalingView | None:
    try:
        return scaled(job, answered)
    except NoBatchScaling:
        return None


def said_of(trial: Trial) -> list[tuple[str, str]]:
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
