"""How clients get the trials of a job that declares its objective itself: by the claims of workers, under tokens of their own."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from uuid import UUID, uuid5

import sqlalchemy as sa
from cachetools import LRUCache
from sqlalchemy.exc import IntegrityError

from service.dispatch import attempt, checkpointing
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer, Memory
from service.domain.job import FINAL, Job, JobState
from service.domain.lease import Outcome
from service.domain.objective import EXTERNAL, ExternalObjective
from service.domain.spec import JobSpec
from service.errors import LeaseLost, NotExternal, TokenInUse
from service.store import jobs, tokens, trial_reader, workers
from service.store.postgres import Database
from service.store.tokens import TokenHolder
from service.version import VERSION

_NAMES = UUID("9b0f4b86-5d0c-4a34-9b39-6d1c8d5f2a10")
"""The namespace in which a client's name gives its id: the same from whichever process it asks."""
KEPT = 10_000
"""Of claims, and of clients. What is not kept is read, or written, again."""
CLAIMING = 6
"""Into so many parts a lease is divided; one of them may pass while a request claims."""


ENDED: Mapping[Outcome, str] = {
    Outcome.FINISHED: "it is finished",
    Outcome.STOPPED: "its job is over",
    Outcome.VANISHED: "it expired, and the trial was taken over",
    Outcome.RELEASED: "it was given back, and the trial was taken over",
    Outcome.TRAINER_DIED: "its attempt has ended",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """Which trial, by whose token."""

    job_id: UUID
    number: int
    token: UUID


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A trial for a client."""

    token: UUID
    claim: Claim
    resume_step: int | None
    """The step of the checkpoint that it may go on from; None: there is none."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The answer to a claim."""

    state: JobState
    """Of the job, as it was read last."""
    trials: Sequence[Offered]


class Clients:
    """The clients that ask one process. Safe under threads, as long as the claims on one job are made one after the other.

    lease_s: how long a lease lasts without a report. seen_s: seconds between two notes that a client is there.
    """

    def __init__(self, database: Database, *, lease_s: float, seen_s: float) -> None:
        self.database = database
        self.lease_s = lease_s
        # A request costs more than that look, and a trial that was given back comes before a new one.
        self.memory = Memory(database, lease_s, look_every_s=0.0)
        self._seen_s = seen_s
        self._seen_at: LRUCache[UUID, float] = LRUCache(KEPT)
        self._claims: LRUCache[UUID, Claim] = LRUCache(KEPT)
        self._keeping = Lock()

    def claim(self, job_id: UUID, name: str, asked: Sequence[UUID], *, has_turn: bool = True) -> Answered:
        """Trials of a job for the client with this name, at most one for each token. Safe to repeat.

        A token that holds a lease is answered with its trial again, one whose lease has ended with none. New trials are claimed
        for as long as the first lease has most of its time left. has_turn: whether no other claim on the job is being made;
        else no new trial is claimed. Raises JobNotFound, NotExternal, TokenInUse, DatabaseUnavailable.
        """
        until = time.monotonic() + self.lease_s / CLAIMING
        client_id = uuid5(_NAMES, name)
        self._register(client_id, name)
        job, held = self.database.transact(lambda conn: (jobs.get(conn, job_id), tokens.holders(conn, asked)))
        _check(job, client_id, held.values())
        claimer = Claimer(self.database, client_id, [EXTERNAL], self.lease_s, self.memory)
        claimer.only = job_id
        claims, is_dry = [], not has_turn or job.state not in (JobState.QUEUED, JobState.RUNNING)
        for token in asked:
            if token in held:
                claim = self._again(held[token])
            else:
                claim = None if is_dry else self._next(claimer, client_id, token)
                # Nothing for the next one, either, or a slow sampler.
                is_dry = is_dry or claim is None or time.monotonic() > until
            if claim is not None:
                claims.append(claim)
        offered = [self._offered(claim) for claim in claims]
        if len(offered) < len(asked) and job.state not in FINAL:  # it may have ended meanwhile
            job = self.database.transact(lambda conn: jobs.get(conn, job_id))
        return Answered(state=JobState.RUNNING if offered and job.state is JobState.QUEUED else job.state, trials=offered)

    def claim_of(self, conn: sa.Connection, holder: TokenHolder) -> Claim:
        """The claim of a lease. Its job may have changed since it was read; its spec and phase do not. Raises NotExternal."""
        with self._keeping:
            known = self._claims.get(holder.lease.token)
        if known is None:
            known = attempt.claim_of(conn, jobs.get(conn, holder.lease.job_id), holder.lease)
            _check_objective(known.job)
            self._keep(known)
        return known

    def spec_of(self, run: Run) -> JobSpec:
        """The job of a run, as it was submitted. Raises JobNotFound, NotExternal, DatabaseUnavailable."""
        with self._keeping:
            known = self._claims.get(run.token)
        if known is not None and known.job.id == run.job_id:
            return known.job.spec
        job = self.database.transact(lambda conn: jobs.get(conn, run.job_id))
        _check_objective(job)
        return job.spec

    def seen(self, client_id: UUID) -> None:
        """Note from time to time that a client is there. Raises DatabaseUnavailable."""
        if self._is_due(client_id):
            self.database.transact(lambda conn: workers.still_there(conn, client_id))
            self._note(client_id)

    def _register(self, client_id: UUID, name: str) -> None:
        if self._is_due(client_id):
            self.database.transact(
                lambda conn: workers.client_seen(conn, client_id, name=name, version=VERSION, lost_after_s=self.lease_s)
            )
            self._note(client_id)

    def _is_due(self, client_id: UUID) -> bool:
        with self._keeping:
            return time.monotonic() >= self._seen_at.get(client_id, -math.inf) + self._seen_s

    def _note(self, client_id: UUID) -> None:
        with self._keeping:
            self._seen_at[client_id] = time.monotonic()

    def _again(self, holder: TokenHolder) -> Claim | None:
        """The trial of a token that was answered before; None when its lease has ended, or the trial was given back."""
        if holder.outcome is not None or holder.is_released:
            return None
        return self.database.transact(lambda conn: attempt.reclaim(conn, holder.lease.token, lease_s=self.lease_s))

    def _next(self, claimer: Claimer, client_id: UUID, token: UUID) -> Claim | None:
        try:
            return claimer.claim(token)
        except IntegrityError:
            # The same request, sent a second time, has been faster at another process.
            holder = self.database.transact(lambda conn: tokens.holders(conn, [token])).get(token)
            if holder is None:
                raise
            if (holder.worker_id, holder.lease.job_id) != (client_id, claimer.only):
                raise TokenInUse(token) from None
            return self._again(holder)

    def _offered(self, claim: Claim) -> Offered:
        self._keep(claim)
        resume_step = None
        if claim.lease.attempt > 1:
            newest = self.database.transact(lambda conn: checkpointing.newest(conn, claim.lease.trial_id))
            resume_step = None if newest is None else newest.step
        return Offered(token=claim.lease.token, claim=claim, resume_step=resume_step)

    def _keep(self, claim: Claim) -> None:
        with self._keeping:
            self._claims[claim.lease.token] = claim


def held(conn: sa.Connection, run: Run, *, or_ended: Sequence[Outcome] = ()) -> TokenHolder:
    """The open lease of a token, on this trial; or one that has ended in one of these ways.

    Raises JobNotFound, TrialNotFound, LeaseLost.
    """
    holder = tokens.holders(conn, [run.token]).get(run.token)
    if holder is None or (holder.lease.job_id, holder.lease.number) != (run.job_id, run.number):
        trial_reader.trial_id(conn, jobs.get(conn, run.job_id), run.number)
        raise LeaseLost(f"The token holds no lease on trial {run.number} of job {run.job_id}: nothing was written.")
    if holder.outcome is not None and holder.outcome not in or_ended:
        raise LeaseLost(f"The lease on trial {run.number} has ended, so nothing was written: {ENDED[holder.outcome]}.")
    return holder


def _check(job: Job, client_id: UUID, holders: Iterable[TokenHolder]) -> None:
    """Raises NotExternal, TokenInUse."""
    _check_objective(job)
    for holder in holders:
        if (holder.worker_id, holder.lease.job_id) != (client_id, job.id):
            raise TokenInUse(holder.lease.token)


def _check_objective(job: Job) -> None:
    if not isinstance(job.spec.objective, ExternalObjective):
        raise NotExternal(job.id, job.spec.objective.name)
