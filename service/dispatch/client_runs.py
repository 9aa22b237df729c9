"""What clients report of the trials that they train, and what becomes of these: judged as a worker's are, from what is stored.

A worker keeps a run's curve in memory; here each request reads what it needs of it. Every request may be sent twice: steps are
overwritten with the same, and of what has ended the answer is read again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.dispatch.attempt import Claim
from service.dispatch.checkpointing import newest, note_resumed, pass_over
from service.dispatch.client_curve import Step, curve_of, measured
from service.dispatch.client_finish import End, Ended, Trained, became_of, judge, read_trained, store_end
from service.dispatch.clients import Clients, Run, held
from service.dispatch.renew import PRUNE, should_prune
from service.domain.checkpoint import Checkpoint, Kind
from service.domain.events import Event
from service.domain.job import JobState
from service.domain.lease import Outcome
from service.domain.measurement import Measurement
from service.domain.parts import counted, is_pruning_step
from service.domain.strategy import NoPruner
from service.errors import Invalid, InvalidQuestion, LeaseLost, NoCheckpoint
from service.store import checkpoints, jobs, leases, measurements, trials
from service.store.checkpoints import StoredCheckpoint
from service.store.tokens import TokenHolder

PRUNED = "the pruner ended the trial"


class ToDo(StrEnum):
    """What a client is to do."""

    GO_ON = "go_on"
    PRUNE = "prune"
    """The trial is over: finish it."""
    STOP = "stop"
    """The job is paused, or is stopping: store a checkpoint, and give the trial back."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """The answer to a report."""

    answer: ToDo
    reason: str | None = None
    state: JobState
    """Of the job."""


class ClientRuns:
    """The runs of the clients that ask one process."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._database = clients.database
        self._lease_s = clients.lease_s

    def report(self, run: Run, steps: Sequence[Step]) -> Told:
        """Store what was measured, and renew the lease; steps are in order. Nothing is stored beyond the step that ends a trial.

        Raises JobNotFound, TrialNotFound, NotExternal, LeaseLost, DatabaseUnavailable.
        """
        rest, is_first = steps, True
        while True:
            stored = self._under_lease(run, partial(self._store, run=run, steps=rest, is_first=is_first))
            cache, claim = self._clients.memory.cache, stored.claim
            if stored.asks and should_prune(self._database, cache, claim.job, claim.lease):
                return Told(answer=ToDo.PRUNE, reason=PRUNED, state=stored.told.state)
            if not stored.rest:
                return stored.told
            rest, is_first = stored.rest, False

    def heartbeat(self, run: Run, log_tail: str | None = None) -> Told:
        """Renew the lease. Raises as `report`."""
        return self._under_lease(run, partial(self._renew, run=run, log_tail=log_tail)).told

    def release(self, run: Run, reason: str) -> JobState:
        """Give a trial back, so that the job's next claim gets it; returns the state of the job. Raises as `report`."""

        def release(conn: sa.Connection) -> JobState:
            holder = held(conn, run, or_ended=(Outcome.RELEASED,))
            claim = self._clients.claim_of(conn, holder)
            if holder.outcome is None:
                leases.release(conn, claim.lease, reason)
            return jobs.get(conn, run.job_id).state

        return self._database.transact(release)

    def keep(self, run: Run, step: int, content: bytes) -> tuple[Told, list[str]]:
        """Store a checkpoint; also returns the paths of files that may be deleted. Raises as `report`, and InvalidQuestion."""
        checkpoint = Checkpoint(
            kind=Kind.STATE, step=step, size=len(content), sha256=sha256(content).digest(), content=content, path=None
        )
        paths = list[str]()

        def store(conn: sa.Connection) -> _Stored:
            stored = self._renew(conn, run, None)
            if not measurements.is_measured(conn, stored.claim.lease.trial_id, step):
                detail = f"step {step} of trial {run.number} was not measured: report it before its checkpoint"
                raise InvalidQuestion([Invalid("/step", detail)])
            paths[:] = checkpoints.insert(conn, stored.claim.lease, checkpoint)
            return stored

        return self._under_lease(run, store).told, paths

    def resume(self, run: Run) -> tuple[int, bytes]:
        """The step and the content of the checkpoint that the trial goes on from. Raises as `report`, and NoCheckpoint."""
        while True:
            holder, claim, found, content = self._database.transact(partial(self._newest, run=run))
            if sha256(content).digest() == found.sha256:
                break
            reason = f"its {len(content):,} bytes have another sha256 than those that were stored"
            self._database.transact(
                partial(pass_over, claim=claim, unusable=found, event=Event.CHECKPOINT_DAMAGED, reason=reason)
            )
        if holder.last_step is None and holder.from_step != found.step:
            self._database.transact(partial(note_resumed, claim=claim, step=found.step))
        return found.step, content

    def _newest(self, conn: sa.Connection, run: Run) -> tuple[TokenHolder, Claim, StoredCheckpoint, bytes]:
        holder = held(conn, run)
        claim = self._clients.claim_of(conn, holder)
        found = newest(conn, claim.lease.trial_id)
        if found is None:
            raise NoCheckpoint(f"Trial {run.number} has no checkpoint: it begins at its first step.")
        return holder, claim, found, checkpoints.content(conn, found.id) or b""

    def _under_lease(self, run: Run, work: "Callable[[sa.Connection], _Stored]") -> "_Stored":
        try:
            stored = self._database.transact(work)
        except LeaseLost:
            # If the trial was taken over, its client is there all the same: the trial did not kill it.
            self._database.transact(lambda conn: leases.excuse(conn, run.token))
            raise
        self._clients.seen(stored.client_id)
        return stored

    def finish(self, run: Run, end: End, steps: Sequence[Step] = ()) -> Ended:
        """Judge a trial, and store its result. Raises as `report`."""
        try:
            if steps:
                self.report(run, steps)
            trained = self._database.transact(lambda conn: self._trained(conn, run))
            judged = judge(trained, end)
            return self._database.transact(lambda conn: store_end(conn, judged, lease_s=self._lease_s))
        except LeaseLost:
            # The same request was sent before, and may have ended the trial.
            if self._database.transact(lambda conn: held(conn, run, or_ended=(Outcome.FINISHED,))).outcome is None:
                raise
        return self._database.transact(lambda conn: became_of(conn, run))

    def _trained(self, conn: sa.Connection, run: Run) -> Trained:
        holder = held(conn, run)
        return read_trained(conn, holder, self._clients.claim_of(conn, holder))

    def _store(self, conn: sa.Connection, run: Run, steps: Sequence[Step], is_first: bool) -> "_Stored":
        """Store steps up to the next one at which the pruner is asked, or which ends the trial."""
        holder = held(conn, run)
        claim = self._clients.claim_of(conn, holder)
        lease, spec = claim.lease, claim.job.phase.spec
        if (mark := trials.system_attr(conn, lease.trial_id, PRUNE)) is not None:
            return self._renewed(conn, holder, claim, over=_reason(mark))
        first, before = measurements.first_and_before(conn, lease.trial_id, steps[0].step)
        last = before[-1] if before else None
        curve = curve_of(claim, [first, last] if first and last and first.step < last.step else before[-1:])
        if curve.divergence is not None:  # and the answer was lost, or not followed
            return self._renewed(conn, holder, claim, over=curve.divergence.evidence)
        parts = None if isinstance(spec.pruner, NoPruner) else spec.pruner.parts
        if parts and last and is_first and holder.last_step is None:
            # The attempt before may have ended after this step and before the pruner's decision on it.
            if is_pruning_step(counted(before[0] if len(before) > 1 else None), last.fraction, last.in_warmup, parts):
                return self._renewed(conn, holder, claim, rest=steps, asks=True)
        items = list[Measurement]()
        for step in steps:
            item = measured(claim, step)
            failed = curve.take(item)
            assert failed is None, f"the request was not checked: {failed}"
            items.append(item)
            if curve.divergence is not None:
                return self._renewed(conn, holder, claim, items, over=curve.divergence.evidence)
            if parts and is_pruning_step(counted(last), item.fraction, item.in_warmup, parts):
                return self._renewed(conn, holder, claim, items, rest=steps[len(items) :], asks=True)
            last = item
        return self._renewed(conn, holder, claim, items)

    def _renew(self, conn: sa.Connection, run: Run, log_tail: str | None) -> "_Stored":
        holder = held(conn, run)
        claim = self._clients.claim_of(conn, holder)
        mark = trials.system_attr(conn, claim.lease.trial_id, PRUNE)
        over = None if mark is None else _reason(mark)
        return self._renewed(conn, holder, claim, over=over, log_tail=log_tail)

    def _renewed(
        self,
        conn: sa.Connection,
        holder: TokenHolder,
        claim: Claim,
        items: Sequence[Measurement] = (),
        *,
        over: str | None = None,
        rest: Sequence[Step] = (),
        asks: bool = False,
        log_tail: str | None = None,
    ) -> "_Stored":
        """Store the items under the lease. over: why the trial is over. asks: the pruner is asked next, before the rest."""
        metric, lease = claim.job.spec.metric, claim.lease
        renewal = leases.report(conn, lease, items, metric, lease_s=self._lease_s, log_tail=log_tail)
        goes_on = renewal.job_state is JobState.RUNNING and not renewal.released
        if over is None and goes_on:
            over = _out_of_time(conn, holder, claim)
        if over is not None:
            told = Told(answer=ToDo.PRUNE, reason=over, state=renewal.job_state)
        elif not goes_on:
            if rest:  # the next attempt asks the pruner; what was measured is not lost
                leases.report(conn, lease, [measured(claim, step) for step in rest], metric, lease_s=self._lease_s)
            why = "the trial was given back" if renewal.released else f"the job is {renewal.job_state}"
            told = Told(answer=ToDo.STOP, reason=why, state=renewal.job_state)
        else:
            told = Told(answer=ToDo.GO_ON, state=renewal.job_state)
            return _Stored(claim=claim, client_id=holder.worker_id, told=told, asks=asks, rest=rest)
        return _Stored(claim=claim, client_id=holder.worker_id, told=told)


@dataclass(frozen=True, kw_only=True)
class _Stored:
    claim: Claim
    client_id: UUID
    told: Told
    asks: bool = False
    """Whether the pruner is to be asked first."""
    rest: Sequence[Step] = ()
    """What is to be stored then."""


def _out_of_time(conn: sa.Connection, holder: TokenHolder, claim: Claim) -> str | None:
    """The limit of time that the trial has exceeded, in words, which is noted. The caller holds the lease."""
    limit = claim.job.spec.limits.trial_seconds
    if limit is None:
        return None
    before_s = 0.0 if holder.from_step is None else measurements.seconds_until(conn, claim.lease.trial_id, holder.from_step)
    if before_s + holder.held_s <= limit:
        return None
    text = f"limits.trial_seconds, {limit:g} s"
    trials.set_system_attrs(conn, claim.lease.trial_id, {PRUNE: text})
    return text


def _reason(mark: Any) -> str:
    return mark if isinstance(mark, str) else PRUNED
