"""/compare: recipes side by side, each at its own best learning rate."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from service.analysis.comparison import comparison
from service.analysis.figures.recipes import Line, best_values_figure, curves_figure, line_of
from service.analysis.words.comparison import by_verdict, sentences
from service.analysis.words.numbers import capitalized
from service.api import comparisons
from service.api.dependencies import Answers, Db
from service.api.kept_answers import KeptAnswers
from service.api.pages.changes import stream
from service.api.pages.errors import PageRoute
from service.api.pages.pace import Paced
from service.api.pages.render import html
from service.domain.comparison import AtRateView, ComparisonView, JudgedView
from service.domain.job import Job
from service.domain.trial import TrialCounts
from service.errors import NotComparable, TooFewToCompare
from service.store import jobs as stored_jobs
from service.store import trial_reader
from service.store.postgres import Database

router = APIRouter(prefix="/compare", include_in_schema=False, route_class=PageRoute)

Jobs = Annotated[list[str] | None, Query(max_length=comparison.MOST_JOBS, description="As of GET /v1/compare.")]


@dataclass(frozen=True)
class Row:
    """A job of the table."""

    job: Job
    counts: TrialCounts
    line: Line
    """How the figures draw it."""
    judged: JudgedView | None
    """None while nothing is compared."""
    at_rate: AtRateView | None
    """None where no rate for all is asked for, or the job is not judged."""


@dataclass(frozen=True)
class Why:
    """Why there is no comparison."""

    headline: str
    reasons: Sequence[str]


@router.get("")
def compare_page(
    database: Db,
    answers: Answers,
    pace: Paced,
    jobs: Jobs = None,
    learning_rate: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
) -> HTMLResponse:
    """The comparison of jobs; or a page that says why they cannot be compared, or not yet."""
    ids = _ids(database, jobs)
    with pace.measured(tuple(ids)):
        found = _found(database, answers, ids, learning_rate)
    compared = found if isinstance(found, ComparisonView) else None
    figures = () if compared is None else (curves_figure(compared), best_values_figure(compared))
    return html(
        "compare.html",
        rows=_rows(database, ids, compared),
        compared=compared,
        verdict=None if compared is None else by_verdict(compared.jobs)[0],
        others=[] if compared is None else _others(compared),
        why=None if isinstance(found, ComparisonView) else found,
        learning_rate=learning_rate,
        figures=[figure for figure in figures if figure is not None],
        jobs=",".join(map(str, ids)),
    )


@router.get("/changes")
def changes(database: Db, pace: Paced, request: Request, jobs: Jobs = None) -> StreamingResponse:
    """Tells the page when it is to ask for itself again."""
    ids = _ids(database, jobs)

    def seen() -> Hashable:
        return tuple((job.state, job.phase.position, counts) for job, counts in _jobs(database, ids))

    return stream(seen, request.app.state.stopping.is_set, lambda: pace.took(tuple(ids)))


def _ids(database: Database, jobs: Sequence[str] | None) -> list[UUID]:
    """Each job once. Raises NotComparable for texts that are no ids, JobNotFound, AmbiguousJob."""
    return list(dict.fromkeys(comparisons.ids_named(database, [text for text in jobs or () if text.strip()])))


def _found(database: Database, answers: KeptAnswers, ids: Sequence[UUID], learning_rate: float | None) -> ComparisonView | Why:
    """The comparison, or why there is none."""
    if len(ids) < comparison.FEWEST_JOBS:
        return Why("Choose two jobs or more.", [])
    try:
        comparison.check(ids)
        return comparisons.compared(answers, comparisons.read(database, ids), learning_rate)
    except TooFewToCompare as error:
        return Why("There is nothing to compare yet.", [str(error)])
    except NotComparable as error:
        return Why(str(error), [f"{_named(fault.pointer, ids)} {fault.detail}." for fault in error.faults])


def _named(pointer: str, ids: Sequence[UUID]) -> str:
    """What a pointer means: one of the jobs, or all of them."""
    place = pointer.removeprefix("/jobs/")
    return f"Job {str(ids[int(place)])[:8]}:" if place.isdigit() else "These"


def _jobs(database: Database, ids: Sequence[UUID]) -> list[tuple[Job, TrialCounts]]:
    with database.transaction() as conn:
        found = [stored_jobs.get(conn, job_id) for job_id in ids[: comparison.MOST_JOBS]]
        counts = trial_reader.counts(conn, [job.study_id for job in found])
    return [(job, counts[job.study_id]) for job in found]


def _rows(database: Database, ids: Sequence[UUID], compared: ComparisonView | None) -> list[Row]:
    """The best first, those that are not judged last."""
    judged = {} if compared is None else {each.job: each for each in compared.jobs}
    shared = () if compared is None or compared.at_shared_rate is None else compared.at_shared_rate.jobs
    at_rate = {each.job: each for each in shared}
    rows = [
        Row(job, counts, line_of(place), judged.get(job.id), at_rate.get(job.id))
        for place, (job, counts) in enumerate(_jobs(database, ids))
    ]
    sign = 1 if compared is None or compared.direction == "minimize" else -1

    def place(row: Row) -> tuple[bool, float]:
        expected = None if row.judged is None else row.judged.expected
        best = compared is not None and row.job.id == compared.best
        return not best, math.inf if expected is None or math.isnan(expected.mean) else sign * expected.mean

    return sorted(rows, key=place)


def _others(compared: ComparisonView) -> list[str]:
    """The sentences beside that of the best job."""
    robust = next(each for each in compared.jobs if each.job == compared.most_robust)
    said = sentences(compared.jobs, robust)[1:]
    if (shared := compared.at_shared_rate) is not None:
        said.append(f"{capitalized(shared.because)}.")
    return said
