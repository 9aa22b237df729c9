"""The start of a trial: the first attempt at a point that was just proposed, or that was enqueued.

One transaction locks job and study, checks that nothing that the proposal relied on has changed, and inserts trial, lease and
event together.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from optuna.trial import FrozenTrial

from service.dispatch.attempt import Claim, Claimant
from service.dispatch.study_cache import frozen_trial
from service.domain.budget import Issued, all_issued, phase_issued, spec_of_phase
from service.domain.events import Event
from service.domain.job import Job, JobState
from service.domain.phase import CONFIRMS, PHASE
from service.domain.space import fixed
from service.domain.spec import JobSpec
from service.domain.training_seeds import TRAINING_SEED, marks, training_seed
from service.domain.trial import CANDIDATE, PHASE_NAME
from service.search.next_trial import propose_next
from service.search.sampling import Proposal, Unsampleable
from service.search.snapshot import EMPTY, StudySnapshot
from service.search.strategies import strategy_of
from service.store import claims, jobs, trials
from service.store.jobs import EventRow


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A proposal that was made without a lock, and the position of the phase for which it was made."""

    proposal: Proposal
    phase: int


class Conflict(Exception):
    """The job or its study has changed since it was read; the claim starts again."""


class PhaseOver(Exception):
    """All of the job's current phase has been issued, and the next one has not begun."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__(f"the next phase of job {job_id} is to begin")
        self.job_id = job_id


class NoPoint(Exception):
    """No point can be drawn from a job's search space."""

    def __init__(self, job: Job, error: Unsampleable) -> None:
        super().__init__(f"no point can be drawn from the search space: {error}")
        self.job_id = job.id


def start_trial(
    conn: sa.Connection,
    by: Claimant,
    job_id: UUID,
    token: UUID,
    proposed: Proposed | None = None,
    *,
    fair_share: int | None = None,
) -> Claim:
    """Store a new trial with its lease and event, or start an enqueued one. Locks job and study.

    fair_share: if the job has more open leases than this, another job is more entitled to the next trial. Raises Conflict,
    and PhaseOver when the job must begin its next phase first.
    """
    job = jobs.lock_with_study(conn, job_id)
    issued = claims.issued(conn, job)
    if not _may_claim(job, issued):
        raise Conflict  # the job has changed since it was found; another job may have work
    if fair_share is not None and issued.open_leases > fair_share:
        raise Conflict  # other workers found the same job at the same moment and claimed first
    if not issued.waiting and phase_issued(job, next_number=issued.next_number):
        raise PhaseOver(job.id)
    proposal = _propose_locked(conn, job, issued) if proposed is None else _still_valid(proposed, job, issued)
    seed = training_seed(
        job.spec,
        number=job.drawn_number(proposal.number) if proposal.candidate is None else proposal.number,
        # Each phase counts its points from 0, so in later phases the index would repeat training seeds.
        grid_point=proposal.grid_point if job.phase.position == 0 else None,
        replicate=proposal.replicate,
        is_confirming=proposal.candidate is not None,
    )
    user_attrs, system_attrs = _attributes(job, proposal, seed)
    params = proposal.params
    if proposal.waiting_trial_id is None:
        trial_id = trials.insert_trial(
            conn, job.study_id, issued.next_number, params=params, user_attrs=user_attrs, system_attrs=system_attrs
        )
    else:
        trial_id = proposal.waiting_trial_id
        started = trials.start_waiting_trial(conn, trial_id, params=params, user_attrs=user_attrs, system_attrs=system_attrs)
        if started is None:
            raise Conflict
    trials.set_study_system_attrs(conn, job.study_id, proposal.study_attrs)
    lease = claims.start_attempt(
        conn,
        job,
        trial_id,
        proposal.number,
        1,
        token=token,
        worker_id=by.worker_id,
        lease_s=by.lease_s,
        next_point=job.next_point + 1 if proposal.takes_point else None,
        events=_claim_events(job, proposal),
    )
    return Claim(
        lease=lease,
        job=job,
        params=fixed(job.search_space) | proposal.point,
        training_seed=seed,
    )


def propose(job: Job, spec: JobSpec, snapshot: StudySnapshot, *, number: int, waiting: FrozenTrial | None) -> Proposal:
    """The trial with this number, by the strategy of the phase. waiting: an enqueued one. Raises NoPoint."""
    try:
        proposal = propose_next(
            spec,
            snapshot,
            number=job.drawn_number(number),
            next_point=job.next_point,
            first_number=job.drawn_number(job.phase.first_number),
            waiting=waiting,
        )
    except Unsampleable as error:
        raise NoPoint(job, error) from error
    return replace(proposal, number=number) if waiting is None else proposal


def _attributes(job: Job, proposal: Proposal, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The user attributes and the system attributes of a new trial."""
    user_attrs: dict[str, Any] = {TRAINING_SEED: seed, **marks(proposal.replicate, job.spec.replicates)}
    system_attrs = dict(proposal.trial_attrs)
    if job.phase.position:
        system_attrs[PHASE] = job.phase.position
    if proposal.candidate is not None:
        user_attrs |= {PHASE_NAME: job.phase.name, CANDIDATE: proposal.candidate}
        system_attrs[CONFIRMS] = proposal.candidate
    return user_attrs, system_attrs


def _may_claim(job: Job, issued: Issued) -> bool:
    """Whether another trial of the job may be started; the caller has locked the job."""
    if job.state not in (JobState.QUEUED, JobState.RUNNING):
        return False
    if job.spec.max_parallel is not None and issued.open_leases >= job.spec.max_parallel:
        return False
    return issued.waiting or not all_issued(job, issued)


def _still_valid(proposed: Proposed, job: Job, issued: Issued) -> Proposal:
    """The proposal that was made before the job was locked. Raises Conflict if it is no longer valid."""
    proposal = proposed.proposal
    if proposed.phase != job.phase.position or proposal.waiting_trial_id != issued.waiting_trial_id:
        raise Conflict
    if not issued.waiting and proposal.number != issued.next_number:
        raise Conflict
    return proposal


def _propose_locked(conn: sa.Connection, job: Job, issued: Issued) -> Proposal:
    """The next trial of a strategy that needs no history. Raises Conflict when the current phase's strategy needs it."""
    spec = spec_of_phase(job)
    if strategy_of(spec).needs_history:
        raise Conflict
    waiting = None
    if issued.waiting_trial_id is not None:
        waiting = frozen_trial(trials.read_trial(conn, job.study_id, issued.waiting_trial_id), job)
    return propose(job, spec, EMPTY, number=issued.next_number, waiting=waiting)


def _claim_events(job: Job, proposal: Proposal) -> list[EventRow]:
    events: list[EventRow] = []
    if job.state is JobState.QUEUED:
        events.append((Event.JOB_STARTED, {}))
    if proposal.sampler_error is not None:
        events.append((Event.SAMPLER_FAILED, {"trial": proposal.number, "error": proposal.sampler_error}))
    events.append((Event.TRIAL_STARTED, {"trial": proposal.number}))
    return events
