"""/jobs/{id}/trials/{number}: one trial, with its curves, attempts, error and log."""

import json
from collections.abc import Hashable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from service.analysis.figures.one_trial import metrics_figure, rates_figure
from service.analysis.words.numbers import number
from service.api.dependencies import Db, JobId
from service.api.pages.changes import stream
from service.api.pages.errors import PageRoute
from service.api.pages.job_content import said_of
from service.api.pages.render import html
from service.api.trials import Number
from service.domain.meaning import Role
from service.domain.space import searched
from service.store import jobs, leases, measurements, trial_reader

router = APIRouter(prefix="/jobs/{job_id}/trials", include_in_schema=False, route_class=PageRoute)

MOST_POINTS = 500
"""Of a curve."""


@router.get("/{trial_number}")
def trial_page(job_id: JobId, trial_number: Number, database: Db) -> HTMLResponse:
    """The page of a trial."""
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        trial = trial_reader.get(conn, job, trial_number)
        trial_id = trial_reader.trial_id(conn, job, trial_number)
        measured = measurements.some_of_trial(conn, trial_id, most=MOST_POINTS)
        log = leases.log_tail(conn, trial_id)
        last = trial_reader.counts(conn, [job.study_id])[job.study_id].total - 1
    names, rate = searched(job.spec.search_space), job.spec.meaning.named(Role.LEARNING_RATE)
    step_word = job.spec.meaning.step_word
    figures = (
        metrics_figure(measured, metric=job.spec.metric, step_word=step_word, sign=job.spec.cost_sign),
        rates_figure(measured, step_word=step_word),
    )
    return html(
        "trial.html",
        job=job,
        trial=trial,
        last=last,
        step_word=step_word,
        figures=[each for each in figures if each is not None],
        params=sorted(trial.params.items(), key=lambda pair: (pair[0] != rate, pair[0] not in names, pair[0])),
        searched=names,
        said=said_of(trial),
        attributes=_shown(trial.user_attrs),
        log=log,
    )


@router.get("/{trial_number}/changes")
def changes(job_id: JobId, trial_number: Number, database: Db, request: Request) -> StreamingResponse:
    """Tells the page when it is to ask for itself again."""

    def seen() -> Hashable:
        with database.transaction() as conn:
            trial = trial_reader.get(conn, jobs.get(conn, job_id), trial_number)
        return trial.state, trial.last_step, len(trial.attempts)

    return stream(seen, request.app.state.stopping.is_set)


def _shown(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each as text; the diagnosis is told in words."""
    return [
        (name, number(value) if isinstance(value, int | float | str) else json.dumps(value))
        for name, value in sorted(attributes.items())
        if name != "diagnosis"
    ]
