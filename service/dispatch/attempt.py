"""Attempts at a trial that is there already: the next one after the last has ended, and what a lost reply has begun."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from service.dispatch.finish import fail_exhausted, lock_job
from service.dispatch.renew import report
from service.dispatch.study_cache import frozen_trial
from service.dispatch.takeover import take_over
from service.domain.events import Event
from service.domain.job import Job, JobState
from service.domain.lease import Lease, Outcome
from service.domain.measurement import Measurement
from service.domain.space import Point, fixed
from service.domain.training_seeds import replicate_of, stored_seed, training_seed
from service.errors import LeaseLost
from service.store import claims, jobs, leases, trials
from service.store.jobs import EventRow
from service.store.leases import ExpiredLease


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A trial to train, and the right to write it."""

    lease: Lease
    job: Job
    params: Point
    """All parameters: searched and fixed ones."""
    training_seed: int


@dataclass(frozen=True, kw_only=True)
class Claimant:
    """Who holds the leases that are opened, and for how long one stands without a renewal."""

    worker_id: UUID
    lease_s: float


def retry(
    conn: sa.Connection,
    by: Claimant,
    claim: Claim,
    token: UUID,
    reason: str,
    log_tail: str,
    measurements: Sequence[Measurement] = (),
) -> Claim | None:
    """After the trainer died: store what it had still measured, end this attempt and open the next under `token`, without
    letting go of the trial.

    None when the trial has used up its attempts and has failed, or when the job is paused: it is given back then. Raises
    LeaseLost.
    """
    job = lock_job(conn, claim.lease)
    if measurements:
        report(conn, job, claim.lease, measurements, lease_s=by.lease_s)
    if job.state is not JobState.RUNNING:
        leases.release(conn, claim.lease, reason, log_tail=log_tail)
        return None
    leases.end(conn, claim.lease, job.study_id, Outcome.TRAINER_DIED, reason=reason, log_tail=log_tail)
    died: EventRow = (Event.TRAINER_DIED, {"trial": claim.lease.number, "attempt": claim.lease.attempt, "reason": reason})
    if leases.fruitless_attempts(conn, claim.lease.trial_id) >= job.spec.max_attempts:
        fail_exhausted(conn, job, claim.lease, reason, events=[died], log_tail=log_tail)
        return None
    return _next_attempt(conn, by, job, claim.lease, token, died)


def go_on(conn: sa.Connection, by: Claimant, lease_id: int, job_id: UUID, token: UUID) -> Claim | None:
    """Take over a trial whose lease was found expired, if it still is."""
    taken = take_over(conn, lease_id, job_id)
    return None if taken is None else _next_attempt(conn, by, taken.job, taken.lease, token, taken.event)


def reclaim(conn: sa.Connection, token: UUID, *, lease_s: float) -> Claim | None:
    """The claim that was made with `token` by a transaction whose reply was lost, if it took place and still stands.

    Its lease is renewed.
    """
    found = leases.by_token(conn, token)
    if found is None or found[1] is not None:
        return None
    lease = found[0]
    job = jobs.get(conn, lease.job_id)
    try:
        report(conn, job, lease, [], lease_s=lease_s)  # else part of its time has passed
    except LeaseLost:
        return None
    return _claim_of(conn, job, lease)


def _next_attempt(
    conn: sa.Connection, by: Claimant, job: Job, ended: Lease | ExpiredLease, token: UUID, event: EventRow
) -> Claim:
    lease = claims.start_attempt(
        conn,
        job,
        ended.trial_id,
        ended.number,
        ended.attempt + 1,
        token=token,
        worker_id=by.worker_id,
        lease_s=by.lease_s,
        events=[event],
    )
    return _claim_of(conn, job, lease)


def _claim_of(conn: sa.Connection, job: Job, lease: Lease) -> Claim:
    record = trials.read_trial(conn, job.study_id, lease.trial_id)
    trial = frozen_trial(record, job)
    seed = stored_seed(trial.user_attrs)
    if seed is None:  # something else has overwritten it
        replicate = replicate_of(trial.user_attrs, job.spec.replicates)
        seed = training_seed(job.spec, number=trial.number, replicate=replicate)
    return Claim(lease=lease, job=job, params=fixed(job.spec.search_space) | trial.params, training_seed=seed)
