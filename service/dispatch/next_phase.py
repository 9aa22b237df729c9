"""How a job goes on from one phase to the next.

What a phase takes from the results so far is computed with no transaction open; the transaction that begins the phase locks job
and study and checks again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import sqlalchemy as sa

from service.dispatch import lifecycle
from service.domain.budget import Issued, foreign_trials, phase_issued
from service.domain.events import Event
from service.domain.job import Job, JobState
from service.domain.measurement import CurvePoint
from service.domain.strategy import PhaseStrategies
from service.domain.trial import Trial
from service.search.strategies import strategy_of
from service.store import claims, extensions, jobs, phases, trial_reader
from service.store.jobs import EventRow
from service.store.phases import Planned
from service.store.postgres import Database

CHOOSING_S = 5.0
"""Seconds for which a hint keeps other workers from the job while one computes what its next phase takes from the results. A
worker that is killed meanwhile costs the job so long; if it takes longer, others compute it too."""
WAIT_S = 1.0
"""Seconds until the results are looked at again, where they do not suffice and trials are still running."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A job whose next phase may begin, as read without a lock."""

    job: Job
    issued: Issued
    planned: Planned
    trials: Sequence[Trial] = ()
    curves: Mapping[int, Sequence[CurvePoint]]


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """What the phase takes from the results."""

    strategy: PhaseStrategies | None = None
    """None: nothing, or the results do not suffice."""
    error: str | None = None
    """The error with which the strategy failed."""


def begin_next_phase(database: Database, job_id: UUID) -> None:
    """Begin the job's next phase, unless somebody else has. Raises JobNotFound, DatabaseUnavailable.

    A phase that needs results does not wait for running trials, unless there are no results yet. Where nothing is running and
    nothing has a result, or where the strategy fails, the phase begins without trials.
    """
    found = database.transact(partial(_find, job_id=job_id))
    if found is None:
        return
    chosen = _choose(found)
    # Not in one transaction: what it reads of the phase that it has begun is kept in memory, and would be if it were rolled back.
    if database.transact(lambda conn: _begin(conn, found, chosen)):
        database.transact(partial(lifecycle.complete_if_done, job_id=job_id))


def _find(conn: sa.Connection, job_id: UUID) -> _Found | None:
    job = jobs.get(conn, job_id)
    following = phases.planned(conn, job)
    if not following:
        return None
    planned = following[0]
    issued = claims.issued(conn, job)
    if not strategy_of(planned.spec).needs_results:
        return _Found(job=job, issued=issued, planned=planned, curves={})
    if not claims.hint_sampling(conn, job.id, CHOOSING_S):
        return None
    trials, curves = trial_reader.finished_with_pruned_curves(conn, job)
    return _Found(job=job, issued=issued, planned=planned, trials=trials, curves=curves)


def _choose(found: _Found) -> _Chosen:
    job, planned, strategy = found.job, found.planned, strategy_of(found.planned.spec)
    if not strategy.needs_results:
        return _Chosen()
    counted = found.issued.next_number - foreign_trials(job, next_number=found.issued.next_number)
    left = None if job.budget.trials is None else job.budget.trials - counted
    limits = [limit for limit in (planned.trials, left) if limit is not None]
    if any(limit <= 0 for limit in limits):
        return _Chosen()
    try:
        chosen = strategy.begin(
            job,
            found.trials,
            found.curves,
            n_trials=min(limits, default=None),
            more_to_come=found.issued.open_leases > 0,
        )
    except Exception as error:  # numerics may fail on what foreign scripts store; the job goes on, and its event says so
        return _Chosen(error=f"{type(error).__name__}: {error}")
    return _Chosen(strategy=chosen)


def _begin(conn: sa.Connection, found: _Found, chosen: _Chosen) -> bool:
    """Whether the phase has begun without trials, so that the job may be done."""
    job = jobs.lock_with_study(conn, found.job.id)
    issued = claims.issued(conn, job)
    is_open = job.state in (JobState.QUEUED, JobState.RUNNING)
    if not is_open or job.phase.position != found.job.phase.position or not job.has_next_phase:
        return False
    if issued.waiting or not phase_issued(job, next_number=issued.next_number):
        return False
    is_without_trials = strategy_of(found.planned.spec).needs_results and chosen.strategy is None
    if is_without_trials and chosen.error is None and found.issued.open_leases:
        claims.look_again(conn, job.id, WAIT_S)
        return False
    foreign = foreign_trials(job, next_number=issued.next_number)
    if job.budget.trials is not None and foreign:
        budget = job.budget.model_copy(update={"trials": job.budget.trials + foreign})
        extensions.set_budget(conn, job, budget, added_seconds=None, anew=False)
    phases.begin_next(
        conn,
        job,
        first_number=issued.next_number,
        strategy=chosen.strategy,
        trials=0 if is_without_trials else None,
    )
    jobs.move(conn, job, events=_events(job, found.planned, chosen))
    return is_without_trials


def _events(job: Job, planned: Planned, chosen: _Chosen) -> list[EventRow]:
    events: list[EventRow] = []
    if chosen.error is not None:
        events.append((Event.SAMPLER_FAILED, {"phase": planned.name, "error": chosen.error}))
    payload = {"phase": planned.name, "position": job.phase.position + 1}
    if chosen.strategy is not None:
        payload |= chosen.strategy.model_dump(mode="json", exclude={"type"})
    events.append((Event.PHASE_STARTED, payload))
    return events
