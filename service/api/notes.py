"""Keeps what optuna-dashboard shows of each job: a note with the answer in words, its response curve, and notes of trials.

One thread of the API process looks for one job after another whose notes are out of date (`dispatch/notes.py`), and rests in
between. Any number of API processes may do so.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from service.analysis.figures.alone import alone
from service.analysis.figures.figure import evenly
from service.analysis.figures.response import response_figure
from service.analysis.words import notes as words
from service.analysis.words.summary import headline
from service.api.kept_answers import KeptAnswers
from service.api.pages.job_content import answered_or_why_not, said_of
from service.dispatch import notes
from service.domain.answer import Answer
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import searched
from service.domain.trial import Trial
from service.errors import DatabaseUnavailable
from service.store import notes as store
from service.store import trial_reader
from service.store.postgres import Database

log = structlog.get_logger()

LOOK_S = 3.0
"""How long the thread rests, at least."""
REST = 10.0
"""It rests so many times as long as it took to write notes: it takes no more than a tenth of a core."""
AFTER_ERROR_S = 60.0
END_S = 1.0
"""How long the end of the process waits for notes that are being computed."""
MOST_NOTED = 50
"""Trials of a job with notes: the dashboard reads those of all jobs with each look at one."""
MOST_DRAWN = 200
"""Trials in the plot, for the same reason."""


MOST_PARAMETERS = 4
"""Parameters in the title of the plot."""


@contextmanager
def kept(database: Database, answers: KeptAnswers, stopping: threading.Event) -> Iterator[None]:
    """Notes are kept while the block runs, until `stopping`."""
    thread = threading.Thread(target=_keep, args=(database, answers, stopping), name="notes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(END_S)


def _keep(database: Database, answers: KeptAnswers, stopping: threading.Event) -> None:
    rest_s = LOOK_S
    while not stopping.wait(rest_s):
        began = time.monotonic()
        try:
            write_next(database, answers)
            rest_s = max(LOOK_S, REST * (time.monotonic() - began))
        except DatabaseUnavailable as error:
            database.outage.failed(error)
        except Exception:  # any error: notes are worth less than the service
            log.exception("notes.failed")
            rest_s = AFTER_ERROR_S


def write_next(database: Database, answers: KeptAnswers) -> bool:
    """Write the notes of one job, if those of one are out of date; False where none were written. Raises DatabaseUnavailable."""
    taken = notes.take(database)
    if taken is None:
        return False
    job, ended = taken
    try:
        note, plot, trials = _made(database, job, answers)
    except DatabaseUnavailable:
        raise
    except Exception:  # of this job: others have notes all the same, and it is not tried again until it changes
        log.exception("notes.not_made", job=str(job.id))
        notes.leave(database, job, ended)
        return False
    notes.write(database, job, ended, note=note, plot=plot, trials=trials)
    return True


def _made(database: Database, job: Job, answers: KeptAnswers) -> tuple[str, str | None, Mapping[int, str]]:
    """The study's note, its plot, and new notes by trial id."""
    with database.transaction() as conn:
        trials, curves = trial_reader.finished_with_pruned_curves(conn, job)
        records = store.not_noted(conn, job.study_id, most=MOST_NOTED)
    new = [(record.trial_id, trial_reader.as_trial(record, job)) for record in records]
    told = {trial_id: words.trial_note(job.id, trial, said_of(trial)) for trial_id, trial in new}
    answered = answered_or_why_not(job, trials, curves, answers)
    if isinstance(answered, str):
        return words.no_answer(job.id, answered), None, told
    answer, rate = answered.answer, job.spec.meaning.named(Role.LEARNING_RATE)
    note = words.study_note(answer, searched(job.spec.search_space), rate)
    return note, None if rate is None else _plot(job, answer, trials, rate), told


def _plot(job: Job, answer: Answer, trials: Sequence[Trial], rate: str) -> str | None:
    drawn = evenly(trials, MOST_DRAWN)
    figure = response_figure(answer, drawn, rate, sign=job.spec.cost_sign)
    if figure is None:
        return None
    left_out = f"{len(drawn)} of {len(trials)} trials are drawn." if len(drawn) < len(trials) else ""
    return alone(figure, f"{''.join(headline(answer, MOST_PARAMETERS))} ({answer.verdict})", left_out)
