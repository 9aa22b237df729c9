"""A lease that this worker holds, and all that is written under it.

Every request to the database is repeated until it answers (worker/retrying.py), so each must be safe to repeat. A statement that
matches no row means that the lease is lost: every method then raises LeaseLost.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy import Connection

from service.dispatch import checkpointing
from service.dispatch.attempt import Claim
from service.dispatch.checkpointing import Position
from service.dispatch.claim import Claimer
from service.dispatch.finish import finish
from service.dispatch.outcome import Result
from service.dispatch.renew import Answer, report, should_prune
from service.domain.checkpoint import Checkpoint
from service.domain.events import Event
from service.domain.lease import Outcome
from service.domain.measurement import Measurement
from service.errors import DatabaseUnavailable, LeaseLost
from service.store import leases, measurements
from service.worker.retrying import RetryingDatabase
from service.worker.waiting import Waits

T = TypeVar("T")

log = structlog.get_logger()

FLUSH_S = 1.0
"""Shortest pause between two stores of measurements. Where a pruner is asked, they are always stored."""

TIMED_OUT = 0.8
"""Part of the database's timeout: a transaction that failed sooner did not fail because it was too large."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a lease is renewed, how long it lasts, and where training happens."""

    heartbeat_s: float
    lease_s: float
    device: str


class HeldLease:
    """The right to one attempt at a trial."""

    def __init__(self, database: RetryingDatabase, claimer: Claimer, claim: Claim, pace: Pace) -> None:
        self.claim = claim
        self._database = database
        self._claimer = claimer
        self._pace = pace
        self._pending: list[Measurement] = []
        self._renewed_at = self._flushed_at = time.monotonic()

    @property
    def runs_out_at(self) -> float:
        """When it expires unless it is renewed, by the monotonic clock."""
        return self._renewed_at + self._pace.lease_s

    def due_at(self) -> float:
        """When it must be renewed, or measurements stored, by the monotonic clock."""
        renewal = self._renewed_at + self._pace.heartbeat_s
        return min(renewal, self._flushed_at + FLUSH_S) if self._pending else renewal

    def add(self, measurement: Measurement) -> None:
        """Keep a measurement, to be stored with the next report."""
        self._pending.append(measurement)

    def report(self, log_tail: str | None = None) -> Waits[Answer]:
        """Renew the lease, and store what was measured."""
        batch = list(self._pending)

        def store(conn: Connection) -> tuple[float, Answer]:
            asked_at = time.monotonic()
            answer = report(conn, self.claim.job, self.claim.lease, batch, lease_s=self._pace.lease_s, log_tail=log_tail)
            return asked_at, answer

        asked_at, answer = yield from self._database.transact(store)
        return self._stored(len(batch), asked_at, answer)

    def keep_checkpoint(self, checkpoint: Checkpoint) -> Waits[tuple[Answer, list[str]]]:
        """Store a checkpoint's row and what was measured up to it; also returns the paths of files that may be deleted.

        Gives up when the database cannot store it within its timeout.
        """
        batch = list(self._pending)

        def store(conn: Connection) -> tuple[float, Answer, list[str]]:
            asked_at = time.monotonic()
            return asked_at, *checkpointing.save(conn, self.claim, checkpoint, batch, lease_s=self._pace.lease_s)

        stored = yield from self._transact_if_it_fits(store, checkpoint)
        if stored is None:
            return (yield from self.report()), []
        asked_at, answer, paths = stored
        # A report in between may have stored them already.
        return self._stored(min(len(batch), len(self._pending)), asked_at, answer), paths

    def keep_model(self, checkpoint: Checkpoint) -> Waits[list[str]]:
        """Store the weights of a trial that is about to finish; returns the paths of files that may be deleted.

        Gives up when the database cannot store them within its timeout.
        """
        paths = yield from self._transact_if_it_fits(
            lambda conn: checkpointing.save_model(conn, self.claim, checkpoint), checkpoint
        )
        return paths or []

    def checkpoint_failed(self, step: int, reason: str) -> Waits[None]:
        """Record that a checkpoint could not be taken: an event, not a failure."""
        log.warning(Event.CHECKPOINT_FAILED, reason=reason, step=step, **ids(self.claim))
        yield from self._database.transact(lambda conn: checkpointing.note_failed(conn, self.claim, step, reason))

    def position(self, without: Sequence[int]) -> Waits[Position | None]:
        """Where the trial resumes; None: it starts from the beginning. without: ids of checkpoints that must not be used."""
        if self.claim.lease.attempt == 1:
            return None
        return (yield from self._database.transact(lambda conn: checkpointing.position(conn, self.claim, without)))

    def furthest(self) -> Waits[Measurement | None]:
        """The last measurement of any attempt at the trial; None when there is none."""
        stored = yield from self._database.transact(lambda conn: measurements.newest(conn, self.claim.lease.trial_id))
        return max(filter(None, [stored, *self._pending]), key=lambda item: item.step, default=None)

    def measured_until(self, step: int) -> Waits[list[Measurement]]:
        """What earlier attempts at the trial have measured, up to the step from which this one resumes."""
        stored = yield from self._database.transact(lambda conn: measurements.of_trial(conn, self.claim.lease.trial_id))
        return [item for item in stored if item.step <= step]

    def resumed(self, step: int) -> Waits[None]:
        """Record that the attempt has resumed after this step."""
        log.info(Event.TRIAL_RESUMED, step=step, **ids(self.claim))
        yield from self._database.transact(lambda conn: checkpointing.note_resumed(conn, self.claim, step))

    def pass_over(self, position: Position, reason: str, *, damaged: bool) -> Waits[None]:
        """Record that the trial cannot resume from a checkpoint, and delete it if it is damaged."""
        event = Event.CHECKPOINT_DAMAGED if damaged else Event.CHECKPOINT_PASSED_OVER
        log.warning(event, reason=reason, step=position.checkpoint.step, **ids(self.claim))
        yield from self._database.transact(
            lambda conn: checkpointing.pass_over(conn, self.claim, position.checkpoint, event, reason)
        )

    def should_prune(self) -> Waits[bool]:
        """Ask the job's pruner. All measurements must have been stored before."""
        claim = self.claim
        return (
            yield from self._database.ask(lambda: should_prune(self._database.plain, self._claimer.cache, claim.job, claim.lease))
        )

    def finish(self, result: Result, notes: Mapping[str, Any], log_tail: str) -> Waits[None]:
        """Store the trial's result, notes as its user attributes, and what was measured since the last report."""
        claim, lease_s = self.claim, self._pace.lease_s

        def store(conn: Connection) -> None:
            finish(conn, claim.lease, result, lease_s=lease_s, measurements=self._pending, notes=notes, log_tail=log_tail)

        try:
            yield from self._database.transact(store)
        except LeaseLost:
            # After a lost reply the lease has ended because the finish took place.
            stored = yield from self._database.transact(lambda conn: leases.by_token(conn, claim.lease.token))
            if stored is None or stored[1] is not Outcome.FINISHED:
                raise
        log.info("trial.finished", result=type(result).__name__.lower(), **ids(claim))

    def release(self, reason: str, log_tail: str) -> Waits[None]:
        """Store what was measured, and end the lease, so that another worker can take over at once."""

        def release(conn: Connection) -> None:
            if self._pending:
                report(conn, self.claim.job, self.claim.lease, self._pending, lease_s=self._pace.lease_s)
            leases.release(conn, self.claim.lease, reason, log_tail=log_tail)

        yield from self._database.transact(release, in_a_hurry=True)
        log.info(Event.LEASE_RELEASED, reason=reason, **ids(self.claim))

    def next_attempt(self, reason: str, log_tail: str) -> Waits[Claim | None]:
        """After the trainer's death: the next attempt at the trial; None when no attempts are left, or it is given back."""
        token = uuid4()
        try:
            return (
                yield from self._database.ask(lambda: self._claimer.retry(self.claim, token, reason, log_tail, self._pending))
            )
        except LeaseLost:
            # Another worker has it; or we do, and the reply was lost: then the token is found.
            return (yield from self._database.ask(lambda: self._claimer.reclaim(token)))

    def _stored(self, count: int, asked_at: float, answer: Answer) -> Answer:
        del self._pending[:count]
        self._renewed_at, self._flushed_at = asked_at, time.monotonic()
        return answer

    def _transact_if_it_fits(self, work: Callable[[Connection], T], checkpoint: Checkpoint) -> Waits[T | None]:
        """Repeat until the database answers, but give up after two timeouts: then None, and an event.

        Without that, a checkpoint that takes longer than the timeout, over a slow network, would be sent for ever. The first
        timeout may be the database's own.
        """
        patience = 2.0
        while patience > 0:
            asked_at = time.monotonic()
            try:
                return self._database.transact_once(work)
            except DatabaseUnavailable as error:
                problem = str(error)
            patience -= 1.0 if time.monotonic() - asked_at > TIMED_OUT * self._database.timeout_s else 0.1
            yield from self.report()  # until the database answers
        yield from self.checkpoint_failed(
            checkpoint.step,
            f"the database did not take its {checkpoint.size:,} bytes in {self._database.timeout_s:g} s: {problem}",
        )
        return None


def ids(claim: Claim) -> dict[str, object]:
    """The fields that identify an attempt in the log."""
    return {"job": str(claim.job.id), "trial": claim.lease.number, "attempt": claim.lease.attempt}
