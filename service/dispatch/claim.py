"""How a worker gets its next trial: it takes over an expired lease, or starts a new trial of the job whose turn it is.

A sampler that needs the study's history runs with no transaction open. One transaction then locks job and study, checks that
nothing the sampler relied on has changed, and inserts trial, lease and event together.
"""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from optuna.trial import FrozenTrial

from service.dispatch import attempt, lifecycle
from service.dispatch.attempt import Claim, Claimant
from service.dispatch.next_phase import begin_next_phase
from service.dispatch.patience import Patience
from service.dispatch.study_cache import StudyCache, frozen_trial
from service.domain.budget import Issued, all_issued, phase_issued, spec_of_phase
from service.domain.events import Event
from service.domain.job import Job, JobState
from service.domain.measurement import Measurement
from service.domain.phase import CONFIRMS, PHASE
from service.domain.space import fixed
from service.domain.spec import JobSpec
from service.domain.training_seeds import TRAINING_SEED, marks, training_seed
from service.domain.trial import CANDIDATE, PHASE_NAME
from service.errors import JobNotFound
from service.search.next_trial import propose_next
from service.search.sampling import Proposal, Unsampleable
from service.search.snapshot import EMPTY, StudySnapshot
from service.search.strategies import strategy_of
from service.store import claims, jobs, leases, trials
from service.store.claims import FoundJob
from service.store.jobs import EventRow
from service.store.postgres import Database

SLOW_S = 0.02
"""Seconds. If a job's sampler took longer than this the last time, a hint keeps other workers from sampling the same trial."""

TAKEOVER_S = 0.25
"""Seconds between two queries for expired leases (decision 0004)."""

MAX_TRIES = 10
"""After this many conflicts with other workers a claim gives up, as if there were no work."""

FAIR_TRIES = 5
"""This many times a claim tries again because another job is more entitled to the next trial; then it takes what it finds."""


@dataclass(frozen=True, kw_only=True)
class _History:
    """The data that a job's next point depends on."""

    job: Job
    snapshot: StudySnapshot
    waiting: FrozenTrial | None
    """An enqueued trial, which comes before any other point."""


@dataclass(frozen=True, kw_only=True)
class _Proposed:
    """A proposal that was made without a lock, and the position of the phase for which it was made."""

    proposal: Proposal
    phase: int


class _Conflict(Exception):
    """The job or its study has changed since it was read; the claim starts again."""


class _PhaseOver(Exception):
    """All of the job's current phase has been issued, and the next one has not begun."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__(f"the next phase of job {job_id} is to begin")
        self.job_id = job_id


class _NoPoint(Exception):
    """No point can be drawn from a job's search space."""

    def __init__(self, job: Job, error: Unsampleable) -> None:
        super().__init__(f"no point can be drawn from the search space: {error}")
        self.job_id = job.id


class Claimer:
    """Claims trials for one worker, and caches the finished trials of the studies that it samples from."""

    def __init__(self, database: Database, worker_id: UUID, objectives: Sequence[str], lease_s: float) -> None:
        self.cache = StudyCache()
        self._database = database
        self.objectives, self.sha256s = list(objectives), list[bytes]()
        self.only: UUID | None = None
        """What the worker can train, the versions of what is not built in, and the one job that it is for; they may change."""
        self._claimant = Claimant(worker_id=worker_id, lease_s=lease_s)
        self._patience = Patience(database, unrenewed_s=lease_s)
        self._sampling_s: dict[UUID, float] = {}
        self._looked_for_expired_at = -math.inf

    def claim(self, token: UUID) -> Claim | None:
        """The next trial, leased under `token`; None when there is nothing to do.

        Raises DatabaseUnavailable. After a lost reply, `reclaim` returns the claim if the token holds a lease.
        """
        for tries in range(MAX_TRIES):
            try:
                return self._try(token, fairly=tries < FAIR_TRIES)
            except (_Conflict, JobNotFound):  # the job may have been deleted while the sampler ran
                continue
            except _PhaseOver as over:
                with suppress(JobNotFound):
                    begin_next_phase(self._database, over.job_id)
            except _NoPoint as error:
                # Otherwise every worker would find this job again and again, and no other job would get a worker.
                with suppress(JobNotFound):  # deleted while the sampler ran
                    self._database.transact(partial(lifecycle.fail, job_id=error.job_id, reason=str(error)))
        return None

    def reclaim(self, token: UUID) -> Claim | None:
        """As `attempt.reclaim`, which a worker calls after a lost reply."""
        return self._database.transact(lambda conn: attempt.reclaim(conn, token, lease_s=self._claimant.lease_s))

    def retry(
        self, claim: Claim, token: UUID, reason: str, log_tail: str, measurements: Sequence[Measurement] = ()
    ) -> Claim | None:
        """As `attempt.retry`: the next attempt at the worker's own trial, after its trainer died. Raises LeaseLost."""
        return self._database.transact(
            lambda conn: attempt.retry(conn, self._claimant, claim, token, reason, log_tail, measurements)
        )

    def _try(self, token: UUID, *, fairly: bool) -> Claim | None:
        expired = self._database.transact(self._find_expired) if self._is_time_to_take_over() else None
        if expired is not None:
            if (claim := self._database.transact(lambda conn: attempt.go_on(conn, self._claimant, *expired, token))) is not None:
                return claim

        def claim_or_read(conn: sa.Connection) -> Claim | _History | None:
            found = claims.find_job(conn, self.objectives, self.sha256s, self.only)
            if found is None:
                return None
            if found.needs_history:
                return self._read_history(conn, found)
            fair_share = found.open_leases if fairly and found.has_rivals else None
            return self._insert(conn, found.job_id, token, fair_share=fair_share)

        result = self._database.transact(claim_or_read)
        return self._sample(result, token) if isinstance(result, _History) else result

    def _find_expired(self, conn: sa.Connection) -> tuple[int, UUID] | None:
        return leases.find_expired(conn, self.objectives, self.sha256s, self.only, patience_s=self._patience.seconds)

    def _is_time_to_take_over(self) -> bool:
        # For trials of milliseconds this query would be the largest cost of a claim; a lease expires in tens of seconds.
        now = time.monotonic()
        if now < self._looked_for_expired_at + TAKEOVER_S or not self._patience.has_run_out():
            return False
        self._looked_for_expired_at = now
        return True

    def _read_history(self, conn: sa.Connection, found: FoundJob) -> _History | None:
        """The data that the job's sampler needs; None when another worker is already sampling this job's next point.

        Raises _PhaseOver.
        """
        job = claims.recall(conn, found)
        snapshot = self.cache.snapshot(conn, job)
        waiting = next((trial for trial in snapshot.trials if trial.state.name == "WAITING"), None)
        if waiting is None and phase_issued(job, next_number=snapshot.next_number):
            raise _PhaseOver(job.id)  # before the hint, which would keep this worker too from beginning the next phase
        expected_s = self._sampling_s.get(found.job_id, 0.0)
        if expected_s > SLOW_S and not claims.hint_sampling(conn, found.job_id, 2 * expected_s):
            return None
        return _History(job=job, snapshot=snapshot, waiting=waiting)

    def _sample(self, history: _History, token: UUID) -> Claim | None:
        job, number = history.job, history.snapshot.next_number
        started = time.monotonic()
        proposal = _propose(job, spec_of_phase(job), history.snapshot, number=number, waiting=history.waiting)
        if proposal.replicate == 0:  # a repeat runs no sampler, so its time does not predict that of the next trial
            self._sampling_s[job.id] = time.monotonic() - started
        proposed = _Proposed(proposal=proposal, phase=job.phase.position)
        return self._database.transact(lambda conn: self._insert(conn, job.id, token, proposed))

    def _insert(
        self,
        conn: sa.Connection,
        job_id: UUID,
        token: UUID,
        proposed: _Proposed | None = None,
        *,
        fair_share: int | None = None,
    ) -> Claim:
        """Store a new trial with its lease and event, or start an enqueued one. Locks job and study.

        fair_share: if the job has more open leases than this, another job is more entitled to the next trial. Raises _Conflict,
        and _PhaseOver when the job must begin its next phase first.
        """
        job = jobs.lock_with_study(conn, job_id)
        issued = claims.issued(conn, job)
        if not _may_claim(job, issued):
            raise _Conflict  # the job has changed since it was found; another job may have work
        if fair_share is not None and issued.open_leases > fair_share:
            raise _Conflict  # other workers found the same job at the same moment and claimed first
        if not issued.waiting and phase_issued(job, next_number=issued.next_number):
            raise _PhaseOver(job.id)
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
                raise _Conflict
        trials.set_study_system_attrs(conn, job.study_id, proposal.study_attrs)
        lease = claims.start_attempt(
            conn,
            job,
            trial_id,
            proposal.number,
            1,
            token=token,
            worker_id=self._claimant.worker_id,
            lease_s=self._claimant.lease_s,
            next_point=job.next_point + 1 if proposal.takes_point else None,
            events=_claim_events(job, proposal),
        )
        return Claim(
            lease=lease,
            job=job,
            params=fixed(job.search_space) | proposal.point,
            training_seed=seed,
        )


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


def _still_valid(proposed: _Proposed, job: Job, issued: Issued) -> Proposal:
    """The proposal that was made before the job was locked. Raises _Conflict if it is no longer valid."""
    proposal = proposed.proposal
    if proposed.phase != job.phase.position or proposal.waiting_trial_id != issued.waiting_trial_id:
        raise _Conflict
    if not issued.waiting and proposal.number != issued.next_number:
        raise _Conflict
    return proposal


def _propose_locked(conn: sa.Connection, job: Job, issued: Issued) -> Proposal:
    """The next trial of a strategy that needs no history. Raises _Conflict when the current phase's strategy needs it."""
    spec = spec_of_phase(job)
    if strategy_of(spec).needs_history:
        raise _Conflict
    waiting = None
    if issued.waiting_trial_id is not None:
        waiting = frozen_trial(trials.read_trial(conn, job.study_id, issued.waiting_trial_id), job)
    return _propose(job, spec, EMPTY, number=issued.next_number, waiting=waiting)


def _propose(job: Job, spec: JobSpec, snapshot: StudySnapshot, *, number: int, waiting: FrozenTrial | None) -> Proposal:
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
        raise _NoPoint(job, error) from error
    return replace(proposal, number=number) if waiting is None else proposal


def _claim_events(job: Job, proposal: Proposal) -> list[EventRow]:
    events: list[EventRow] = []
    if job.state is JobState.QUEUED:
        events.append((Event.JOB_STARTED, {}))
    if proposal.sampler_error is not None:
        events.append((Event.SAMPLER_FAILED, {"trial": proposal.number, "error": proposal.sampler_error}))
    events.append((Event.TRIAL_STARTED, {"trial": proposal.number}))
    return events
