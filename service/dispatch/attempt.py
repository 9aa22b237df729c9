"""Further attempts at an existing trial: after the trainer died, after a takeover, or one whose claim got no reply."""

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
from service.domain.phase import CONFIRMS
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
    """In the phase of the trial."""
    params: Point
    """All parameters: searched and fixed ones."""
    training_seed: int


@dataclass(frozen=True, kw_only=True)
class Claimant:
    """The worker that opens leases, and how long they last without a renewal."""

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
    """After the trainer died: store its last measurements, end this attempt and open the next under `token`, in one step.

    None when the trial has used up its attempts, and has failed, or when the job is paused, and the trial was released.
    Raises LeaseLost.
    """
    job = lock_job(conn, claim.lease)
    if measurements:
        report(conn, job, claim.lease, measurements, lease_s=by.lease_s)
    if job.state is not JobState.RUNNING:
        leases.release(conn, claim.lease, reason, log_tail=log_tail)
        return None
    leases.end(conn, claim.lease, job, Outcome.TRAINER_DIED, reason=reason, log_tail=log_tail)
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
    """The claim made with `token` by a transaction whose reply was lost; None if it did not commit, or its lease has ended.

    Renews the lease.
    """
    found = leases.by_token(conn, token)
    if found is None or found[1] is not None:
        return None
    lease = found[0]
    job = jobs.get(conn, lease.job_id)
    try:
        report(conn, job, lease, [], lease_s=lease_s)  # part of it has passed already
    except LeaseLost:
        return None
    return claim_of(conn, job, lease)


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
    return claim_of(conn, job, lease)


def claim_of(conn: sa.Connection, job: Job, lease: Lease) -> Claim:
    """The claim that a lease is of."""
    record = trials.read_trial(conn, job.study_id, lease.trial_id)
    job = job.as_of(job.phase_of(record.system_attrs))
    trial = frozen_trial(record, job)
    seed = stored_seed(trial.user_attrs)
    if seed is None:  # something else has overwritten it
        replicate = replicate_of(trial.user_attrs, job.spec.replicates)
        is_confirming = CONFIRMS in record.system_attrs
        number = record.number if is_confirming else job.drawn_number(record.number)
        seed = training_seed(job.spec, number=number, replicate=replicate, is_confirming=is_confirming)
    return Claim(lease=lease, job=job, params=fixed(job.search_space) | trial.params, training_seed=seed)
