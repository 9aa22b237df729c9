"""How a worker gets its next trial: it takes over an expired lease, or starts a new trial of the job whose turn it is.

A sampler that needs the study's history runs with no transaction open. One transaction then locks job and study, checks that
nothing the sampler relied on has changed, and inserts trial, lease and event together.
"""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from optuna.trial import FrozenTrial

from service.dispatch import attempt, lifecycle
from service.dispatch.attempt import Claim, Claimant
from service.dispatch.next_phase import begin_next_phase
from service.dispatch.patience import Patience
from service.dispatch.start import Conflict, NoPoint, PhaseOver, Proposed, propose, start_trial
from service.dispatch.study_cache import StudyCache
from service.domain.budget import phase_issued, spec_of_phase
from service.domain.job import Job
from service.domain.measurement import Measurement
from service.errors import JobNotFound
from service.search.snapshot import StudySnapshot
from service.store import claims, leases
from service.store.claims import FoundJob
from service.store.postgres import Database

SLOW_S = 0.02
"""Seconds. If a job's sampler took longer than this the last time, a hint keeps other workers from sampling the same trial."""

TAKEOVER_S = 0.25
"""Seconds between two queries for expired leases by a worker (decision 0004)."""

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


class Memory:
    """What the claims of one process keep: finished trials, how long samplers took, when expired leases were looked for.

    Safe under threads, as long as the claims on one job are made one after the other. look_every_s: seconds between two looks.
    """

    def __init__(self, database: Database, lease_s: float, *, look_every_s: float = TAKEOVER_S) -> None:
        self.cache = StudyCache()
        self.look_every_s = look_every_s
        self.patience = Patience(database, unrenewed_s=lease_s)
        self.sampling_s: dict[UUID, float] = {}
        """By job: how long its sampler took the last time."""
        self.looked_for_expired_at = -math.inf
        """By the monotonic clock."""


class Claimer:
    """Claims trials for one worker. memory: shared with other claimers of this process; None: its own."""

    def __init__(
        self, database: Database, worker_id: UUID, objectives: Sequence[str], lease_s: float, memory: Memory | None = None
    ) -> None:
        self._memory = memory or Memory(database, lease_s)
        self.cache = self._memory.cache
        """The finished trials of the studies that it samples from."""
        self._database = database
        self.objectives, self.sha256s = list(objectives), list[bytes]()
        self.only: UUID | None = None
        """What the worker can train, the versions of what is not built in, and the one job that it is for; they may change."""
        self._claimant = Claimant(worker_id=worker_id, lease_s=lease_s)

    def claim(self, token: UUID) -> Claim | None:
        """The next trial, leased under `token`; None when there is nothing to do.

        Raises DatabaseUnavailable. After a lost reply, `reclaim` returns the claim if the token holds a lease.
        """
        for tries in range(MAX_TRIES):
            try:
                return self._try(token, fairly=tries < FAIR_TRIES)
            except (Conflict, JobNotFound):  # the job may have been deleted while the sampler ran
                continue
            except PhaseOver as over:
                with suppress(JobNotFound):
                    begin_next_phase(self._database, over.job_id)
            except NoPoint as error:
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
            raise Conflict  # it was renewed, or its trial has failed: another one may have expired

        def claim_or_read(conn: sa.Connection) -> Claim | _History | None:
            found = claims.find_job(conn, self.objectives, self.sha256s, self.only)
            if found is None:
                return None
            if found.needs_history:
                return self._read_history(conn, found)
            fair_share = found.open_leases if fairly and found.has_rivals else None
            return start_trial(conn, self._claimant, found.job_id, token, fair_share=fair_share)

        result = self._database.transact(claim_or_read)
        return self._sample(result, token) if isinstance(result, _History) else result

    def _find_expired(self, conn: sa.Connection) -> tuple[int, UUID] | None:
        return leases.find_expired(conn, self.objectives, self.sha256s, self.only, patience_s=self._memory.patience.seconds)

    def _is_time_to_take_over(self) -> bool:
        # For trials of milliseconds this query would be the largest cost of a claim; a lease expires in tens of seconds.
        now, memory = time.monotonic(), self._memory
        if now < memory.looked_for_expired_at + memory.look_every_s or not memory.patience.has_run_out():
            return False
        memory.looked_for_expired_at = now
        return True

    def _read_history(self, conn: sa.Connection, found: FoundJob) -> _History | None:
        """The data that the job's sampler needs; None when another worker is already sampling this job's next point.

        Raises PhaseOver.
        """
        job = claims.recall(conn, found)
        snapshot = self.cache.snapshot(conn, job)
        waiting = next((trial for trial in snapshot.trials if trial.state.name == "WAITING"), None)
        if waiting is None and phase_issued(job, next_number=snapshot.next_number):
            raise PhaseOver(job.id)  # before the hint, which would keep this worker too from beginning the next phase
        expected_s = self._memory.sampling_s.get(found.job_id, 0.0)
        if expected_s > SLOW_S and not claims.hint_sampling(conn, found.job_id, 2 * expected_s):
            return None
        return _History(job=job, snapshot=snapshot, waiting=waiting)

    def _sample(self, history: _History, token: UUID) -> Claim | None:
        job, number = history.job, history.snapshot.next_number
        started = time.monotonic()
        proposal = propose(job, spec_of_phase(job), history.snapshot, number=number, waiting=history.waiting)
        if proposal.replicate == 0:  # a repeat runs no sampler, so its time does not predict that of the next trial
            self._memory.sampling_s[job.id] = time.monotonic() - started
        proposed = Proposed(proposal=proposal, phase=job.phase.position)
        return self._database.transact(lambda conn: start_trial(conn, self._claimant, job.id, token, proposed))
