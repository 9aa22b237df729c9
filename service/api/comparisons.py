"""compare: recipes, each at its own best learning rate; trade-off: the configurations of one job, speed against stability."""

import re
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query

from service.analysis.comparison import comparison
from service.analysis.comparison.trade_off import By, trade_off
from service.analysis.comparison.tuned import Finished
from service.api.dependencies import Answers, Db, JobId, job_named
from service.api.faults import JOB_ID, JOB_IDS
from service.api.kept_answers import KeptAnswers, seen_of
from service.api.problems import documented
from service.domain.comparison import ComparisonView, TradeOffView
from service.errors import Invalid, NotComparable
from service.store import jobs as stored_jobs
from service.store import measurements, trial_reader
from service.store.postgres import Database

router = APIRouter(prefix="/v1", tags=["answers"])


@router.get("/compare", responses=documented(404, 409, 422))
def compare_jobs(
    jobs: Annotated[
        list[str],
        Query(
            description="Ids of 2 to 20 jobs, or their first digits: jobs=A&jobs=B, or jobs=A,B.",
            min_length=1,
            max_length=comparison.MOST_JOBS,
            json_schema_extra={
                "items": {"type": "string", "pattern": JOB_IDS},
                "anyOf": [{"minItems": comparison.FEWEST_JOBS}, {"items": {"pattern": ","}}],
            },
        ),
    ],
    database: Db,
    answers: Answers,
    learning_rate: Annotated[
        float | None,
        Query(gt=0, allow_inf_nan=False, description="Also compare them at this one learning rate, as is often done."),
    ] = None,
) -> ComparisonView:
    """Which recipe (optimizer, schedule, normalization, ...) is better, each at its own best learning rate."""
    ids = ids_named(database, jobs)
    comparison.check(ids)
    return compared(answers, read(database, ids), learning_rate)


def ids_named(database: Database, texts: Sequence[str]) -> list[UUID]:
    """The ids in `jobs=A,B&jobs=C`. Raises NotComparable for texts that are no ids, JobNotFound, AmbiguousJob."""
    ids, faults = [], []
    for index, text in enumerate(text.strip() for given in texts for text in given.split(",")):
        if re.fullmatch(JOB_ID, text):
            ids.append(text)
        else:
            faults.append(Invalid(f"/jobs/{index}", f"should be the id of a job, not {text!r}"))
    if faults:
        raise NotComparable(faults)
    return [job_named(database, text) for text in ids]


def read(database: Database, ids: Sequence[UUID]) -> list[Finished]:
    """The jobs and their finished trials. Raises JobNotFound."""
    with database.transaction() as conn:
        return [_finished(conn, job_id) for job_id in ids]


def compared(answers: KeptAnswers, all_finished: Sequence[Finished], learning_rate: float | None) -> ComparisonView:
    """What `comparison.compare` returns or raises, computed once for the same trials."""
    key = (*(seen_of(each.job, each.trials, each.curves) for each in all_finished), learning_rate)
    return answers.once(key, lambda: comparison.compare(all_finished, learning_rate))


@router.get("/jobs/{job_id}/trade-off", responses=documented(404, 409, 422))
def trade_off_of_job(
    job_id: JobId,
    database: Db,
    target: Annotated[
        float | None,
        Query(allow_inf_nan=False, description="Value to reach, in the metric's units; default: close to the best final value."),
    ] = None,
    by: Annotated[By, Query(description="What counts as speed on the front.")] = "steps",
) -> TradeOffView:
    """Speed against stability: how soon each configuration reaches a target, its final value, and its spread over seeds."""
    with database.transaction() as conn:
        finished = _finished(conn, job_id)
    return trade_off(finished, target, by)


def _finished(conn: sa.Connection, job_id: UUID) -> Finished:
    job = stored_jobs.get(conn, job_id)
    trials, curves = trial_reader.finished_with_curves(conn, job)
    return Finished(job=job, trials=trials, curves=curves, seconds=measurements.seconds_of_study(conn, job.study_id))
