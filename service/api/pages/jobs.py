"""/: the jobs, the newest first, with what each has found; and who trains."""

import math
from collections.abc import Hashable, Sequence
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from sqlalchemy import Connection

from service.analysis.words.age import age
from service.analysis.words.ranges import end_to_end
from service.api import cursors
from service.api.dependencies import Answers, Db, JobId
from service.api.faults import NO_NUL
from service.api.labels import Labels, labels_of
from service.api.pages.changes import stream
from service.api.pages.errors import PageRoute
from service.api.pages.job_content import answered_or_why_not
from service.api.pages.pace import Paced
from service.api.pages.render import html
from service.api.waiting import waiting_for
from service.domain.answer import Answer, AnswerVerdict
from service.domain.job import FINAL, Job, JobState
from service.domain.meaning import Role
from service.domain.space import Range
from service.store import jobs, leases, trial_reader, workers

router = APIRouter(include_in_schema=False, route_class=PageRoute)

LISTED = 20
MOST_WORKERS = 50
ENDED = frozenset({"stopped", "lost"})

Text = Annotated[
    str | None, Query(max_length=200, pattern=NO_NUL, description="Only jobs whose name, objective or id holds this.")
]


@router.get("/")
def jobs_page(
    database: Db, q: Text = None, state: JobState | Literal[""] | None = None, label: Labels = None, cursor: cursors.Cursor = None
) -> HTMLResponse:
    """The page of all jobs."""
    before = cursors.moment_and_id(cursor)
    with database.transaction() as conn:
        listed = jobs.page(conn, limit=LISTED + 1, before=before, state=state or None, labels=labels_of(label), text=q or None)
        shown = listed[:LISTED]
        counts = trial_reader.counts(conn, [job.study_id for job in shown])
        found = workers.page(conn, limit=MOST_WORKERS)
        held = leases.held(conn)
        waiting = waiting_for(conn, shown)
    more = cursors.encode(shown[-1].created_at, shown[-1].id) if len(listed) > LISTED else None
    return html(
        "jobs.html",
        jobs=[(job, counts[job.study_id], age(job.created_at)) for job in shown],
        waiting=waiting,
        workers=[(worker, held.get(worker.id)) for worker in found if worker.state not in ENDED],
        states=list(JobState),
        state=state,
        q=q or "",
        labels=label or [],
        more=more,
        is_first=cursor is None,
        is_narrowed=bool(q or state or label),
    )


@router.get("/changes")
def changes(database: Db, pace: Paced, request: Request) -> StreamingResponse:
    """Tells the page of all jobs when it is to ask for itself again."""
    listed: Sequence[Job] = ()

    def seen() -> Hashable:
        nonlocal listed
        with database.transaction() as conn:
            listed = jobs.page(conn, limit=LISTED)
            return _seen(conn, listed)

    def took() -> float:
        """That of the rates which may change."""
        return sum(pace.took(_rate_of(job.id)) for job in listed if job.state not in FINAL)

    return stream(seen, request.app.state.stopping.is_set, took)


@router.get("/jobs/{job_id}/rate")
def rate(job_id: JobId, database: Db, answers: Answers, pace: Paced) -> HTMLResponse:
    """A job's learning rate and where it may lie, as a part of the page of all jobs."""
    with pace.measured(_rate_of(job_id)):
        with database.transaction() as conn:
            job = jobs.get(conn, job_id)
            read = trial_reader.finished_with_pruned_curves(conn, job)
        answered = answered_or_why_not(job, *read, answers)
    if isinstance(answered, str):
        return html("rate.html", rate=None, said="", picture=None)
    found = answered.answer
    if not found.recommends:
        return html("rate.html", rate=None, said=found.verdict, picture=None)
    if found.verdict == AnswerVerdict.ANY_RATE:
        return html("rate.html", rate=found.learning_rate, said=found.verdict, picture=None)
    said = found.verdict if found.interval is None else f"{end_to_end(found.interval, found.learning_rate)}, {found.verdict}"
    return html("rate.html", rate=found.learning_rate, said=said, picture=_picture(job, found))


def _picture(job: Job, answer: Answer) -> dict[str, float] | None:
    """Where rate and interval lie in the range searched, each as a part of its length, on a logarithmic scale."""
    name = job.spec.meaning.named(Role.LEARNING_RATE)
    searched = job.spec.search_space.get(name or "")
    low, high = (getattr(searched, end, None) for end in ("low", "high")) if isinstance(searched, Range) else (None, None)
    if not low or not high or low >= high or answer.interval is None or answer.learning_rate is None:
        return None

    def place(value: float) -> float:
        return round(100 * min(1.0, max(0.0, math.log(value / low) / math.log(high / low))), 1)

    first, last = place(answer.interval.low), place(answer.interval.high)
    return {"low": first, "width": max(1.0, round(last - first, 1)), "at": place(answer.learning_rate)}


def _rate_of(job_id: UUID) -> Hashable:
    """The part of the page, by which the time that it takes is kept."""
    return "rate", job_id


def _seen(conn: Connection, listed: Sequence[Job]) -> tuple[Sequence[tuple[object, ...]], ...]:
    counts = trial_reader.counts(conn, [job.study_id for job in listed])
    alive = [
        (worker.id, worker.state, tuple(worker.set_aside))
        for worker in workers.page(conn, limit=MOST_WORKERS)
        if worker.state not in ENDED
    ]
    return tuple((job.id, job.state, counts[job.study_id]) for job in listed), tuple(alive)
