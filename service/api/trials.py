"""/v1/jobs/{id}/trials: the trials of a job, their measurements and logs."""

from typing import Annotated

from fastapi import APIRouter, Path

from service.api import cursors
from service.api.dependencies import Db, JobId
from service.api.problems import documented
from service.api.schemas.trials import Log, MeasurementView, TrialView
from service.api.schemas.view import Page
from service.store import jobs, leases, measurements, trial_reader

router = APIRouter(prefix="/v1/jobs/{job_id}/trials", tags=["trials"])

Number = Annotated[int, Path(ge=0, lt=2**31, description="The trial's number in its job.")]


@router.get("", responses=documented(404, 409, 422))
def list_trials(job_id: JobId, database: Db, limit: cursors.Limit = 20, cursor: cursors.Cursor = None) -> Page[TrialView]:
    """List a job's trials by number."""
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        trials = trial_reader.page(conn, job, limit=limit + 1, after=cursors.number(cursor, default=-1))
    items = [TrialView.of(trial) for trial in trials[:limit]]
    return Page(items=items, next_cursor=cursors.encode(items[-1].number) if len(trials) > limit else None)


@router.get("/{number}", responses=documented(404, 409, 422))
def get_trial(job_id: JobId, number: Number, database: Db) -> TrialView:
    """A trial, with all attempts at it."""
    with database.transaction() as conn:
        return TrialView.of(trial_reader.get(conn, jobs.get(conn, job_id), number))


@router.get("/{number}/measurements", responses=documented(404, 409, 422))
def list_measurements(
    job_id: JobId, number: Number, database: Db, limit: cursors.Limit = 100, cursor: cursors.Cursor = None
) -> Page[MeasurementView]:
    """What was measured at each step."""
    with database.transaction() as conn:
        trial_id = trial_reader.trial_id(conn, jobs.get(conn, job_id), number)
        after = cursors.number(cursor, default=0)
        measured = measurements.of_trial(conn, trial_id, after_step=after, limit=limit + 1)
    items = [MeasurementView.of(measurement) for measurement in measured[:limit]]
    return Page(items=items, next_cursor=cursors.encode(items[-1].step) if len(measured) > limit else None)


@router.get("/{number}/log", responses=documented(404, 409, 422))
def get_log(job_id: JobId, number: Number, database: Db) -> Log:
    """The last lines that the trial's training printed: at most 200, and 16 KB."""
    with database.transaction() as conn:
        trial_id = trial_reader.trial_id(conn, jobs.get(conn, job_id), number)
        return Log(log=leases.log_tail(conn, trial_id))
