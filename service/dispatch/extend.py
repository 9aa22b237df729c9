"""More budget for a job, open or final.

An open job gets more than it was given, a final one more than it has issued, and runs again. A job whose last trials confirm gets
some of the addition for that too: added to its confirming phase, if this has not begun, else in a search and a confirming phase
of their own.
"""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from service.dispatch.submit import add_confirming_phase, add_phase, confirming_seconds
from service.domain.budget import Issued, confirming_trials_added, foreign_trials, target_reached
from service.domain.events import Event
from service.domain.job import FINAL, Job, JobState
from service.domain.phase import CONFIRM
from service.domain.request import MAX_SECONDS, MAX_TRIALS, Budget, Extension
from service.errors import IdempotencyKeyReused, NotExtendable
from service.search.strategies import strategy_of
from service.store import claims, extensions, jobs, phases, trial_reader
from service.store.jobs import EventRow
from service.store.phases import Planned


@dataclass(frozen=True, kw_only=True)
class _Addition:
    """What is added, for the search and to confirm what it finds. None: no limit of that kind."""

    search_trials: int | None = None
    confirming_trials: int | None = None
    confirming_seconds: float | None = None
    """The last ones of what is added."""
    seconds: float | None = None
    """In all."""

    @property
    def search_seconds(self) -> float | None:
        """What a phase that confirms before this search must leave to it."""
        return None if self.seconds is None else self.seconds - (self.confirming_seconds or 0.0)


def extend(
    conn: sa.Connection,
    job_id: UUID,
    extension: Extension,
    *,
    idempotency_key: str | None = None,
    request_sha256: bytes | None = None,
) -> None:
    """Extend a job. The same key with the same request changes nothing.

    Raises JobNotFound, NotExtendable, and IdempotencyKeyReused when the key was used for another request.
    """
    job = jobs.lock_with_study(conn, job_id)
    if idempotency_key is not None and request_sha256 is not None:
        known = extensions.by_key(conn, idempotency_key)
        if known == request_sha256:
            return
        if known is not None:
            raise IdempotencyKeyReused
        extensions.insert_key(conn, idempotency_key, job_id, request_sha256)
    issued, is_final = claims.issued(conn, job), job.state in FINAL
    budget = _within_grid(job, _extended(conn, job, issued, extension), extension)
    extensions.set_budget(conn, job, budget, added_seconds=extension.seconds, anew=is_final)
    if job.spec.budget.confirm != 0:
        _extend_phases(conn, job, issued, _addition(extension))
    events: list[EventRow] = [(Event.JOB_EXTENDED, extension.model_dump(exclude_none=True))]
    if is_final:
        state = JobState.QUEUED if job.started_at is None else JobState.RUNNING
        jobs.move(conn, job, state=state, failures_in_a_row=0, events=events)
    else:
        jobs.move(conn, job, events=events)


def _extended(conn: sa.Connection, job: Job, issued: Issued, extension: Extension) -> Budget:
    """The job's budget with what is added. Of a final job's limits only that of the addition is left. Raises NotExtendable."""
    if job.state is JobState.FAILED:
        raise NotExtendable(f"Job {job.id} has failed; submit it again once its cause is mended: {job.reason}.")
    best = trial_reader.best(conn, job)
    target = None if target_reached(job, None if best is None else best.value) else job.budget.target
    trials, seconds = job.budget.trials, job.budget.seconds
    if job.state in FINAL:
        counted = issued.next_number - foreign_trials(job, next_number=issued.next_number)
        trials = None if extension.trials is None else counted + extension.trials
        seconds = extension.seconds
    elif extension.trials is not None:
        if trials is None:
            raise _unlimited(job, "trials", other="seconds" if seconds is not None else None)
        trials += extension.trials
    elif extension.seconds is not None:
        if seconds is None:
            raise _unlimited(job, "seconds", other="trials" if trials is not None else None)
        seconds += extension.seconds
    if (trials or 0) > MAX_TRIALS or (seconds or 0) > MAX_SECONDS:
        raise NotExtendable(f"Job {job.id} would have more than {MAX_TRIALS:,} trials, or more than a year.")
    return job.budget.model_copy(update={"trials": trials, "seconds": seconds, "target": target})


def _unlimited(job: Job, limit: str, other: str | None) -> NotExtendable:
    instead = "it runs until its target is reached" if other is None else f"extend it by {other}"
    return NotExtendable(f"Job {job.id} is {job.state} and its budget has no limit of {limit}: {instead}.")


def _within_grid(job: Job, budget: Budget, extension: Extension) -> Budget:
    """The budget, which ends with the last point where the strategy has so many. Raises NotExtendable where none are left."""
    spec = job.phases[0].spec
    n_points = strategy_of(spec).n_points(spec.search_space)
    if n_points is None:
        return budget
    if job.phase.position > 0:
        raise NotExtendable(f"Job {job.id} has trained the points of its grid, and confirms the best ones; submit a finer grid.")
    n_trials = n_points * spec.replicates
    counts_begun = job.state in FINAL or extension.trials is None  # more time is for all points that have not begun
    left = n_trials - (job.next_point if counts_begun else min(n_trials, (job.share or job.budget.trials or n_trials)))
    if (extension.trials or 1) > left:
        points = f"{n_trials} trials" if spec.replicates > 1 else f"{n_points} points"
        more = f"at most {left} further trials are possible" if left else "submit a finer grid"
        raise NotExtendable(f"The grid of job {job.id} has {points}, so {more}.")
    return budget.model_copy(update={"trials": n_trials + (budget.confirm or 0)}) if budget.trials is None else budget


def _addition(extension: Extension) -> _Addition:
    if extension.seconds is not None:
        return _Addition(confirming_seconds=confirming_seconds(extension.seconds), seconds=extension.seconds)
    assert extension.trials is not None
    confirming = confirming_trials_added(extension.trials)
    return _Addition(search_trials=extension.trials - confirming, confirming_trials=confirming)


def _extend_phases(conn: sa.Connection, job: Job, issued: Issued, addition: _Addition) -> None:
    planned = phases.planned(conn, job)
    if job.state in FINAL:
        begun = job.next_point if job.phase.counts_points else issued.next_number - job.phase.first_number
        more = 0 if job.phase.is_confirming else addition.search_trials
        n_points = strategy_of(job.phase.spec).n_points(job.search_space)  # of a grid, replicates do not confirm
        phases.set_share(conn, job.id, job.phase.position, trials=n_points if more is None else begun + more)
        for phase in planned:  # of what was left of the earlier budget, nothing is
            is_confirming = phase.name == CONFIRM
            phases.set_share(
                conn,
                job.id,
                phase.position,
                trials=addition.confirming_trials if is_confirming else addition.search_trials,
                seconds=addition.confirming_seconds if is_confirming else addition.search_seconds,
            )
    elif planned:
        _add_to_share(conn, job, planned[-1], addition.confirming_trials, addition.confirming_seconds)
        if len(planned) > 1:
            _add_to_share(conn, job, planned[-2], addition.search_trials, addition.search_seconds)
        else:
            phases.set_share(conn, job.id, job.phase.position, trials=_plus(job.share, addition.search_trials))
    if not planned:  # the job's last phase confirms, and has begun
        search, confirming = job.phase.position + 1, job.phase.position + 2
        add_phase(conn, job.id, search, job.spec, trials=addition.search_trials, seconds=addition.search_seconds)
        add_confirming_phase(
            conn, job.id, confirming, job.spec, trials=addition.confirming_trials, seconds=addition.confirming_seconds
        )


def _add_to_share(conn: sa.Connection, job: Job, phase: Planned, trials: int | None, seconds: float | None) -> None:
    phases.set_share(
        conn,
        job.id,
        phase.position,
        trials=_plus(phase.trials, trials),
        seconds=None if phase.seconds is None else phase.seconds + (seconds or 0.0),
    )


def _plus(given: int | None, added: int | None) -> int | None:
    """None: no limit."""
    return None if given is None else given + (added or 0)
