"""One trial, from claim to result: the worker's side. It talks to the database while the trainer process trains.

Every write carries the lease's token. When the lease turns out to be lost, the trial is dropped: it is somebody else's now.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy import Connection

from service.dispatch.claim import Claim, Claimer
from service.dispatch.finish import Completed, Failed, Infeasible, Pruned, Result, finish
from service.dispatch.report import Order as Answer
from service.dispatch.report import report, should_prune
from service.domain.events import Event
from service.domain.lease import Outcome
from service.domain.strategy import NoPruner
from service.domain.trial import StepMeasurement, TrialError
from service.errors import DatabaseUnavailable, LeaseLost
from service.store import leases
from service.store.postgres import Database
from service.worker.messages import FromTrainer, Measured, Order, Raised, Stopped, Train, Trained
from service.worker.trainer_process import STOP_S, TrainerDied, TrainerProcess

T = TypeVar("T")

log = structlog.get_logger()

FLUSH_S = 1.0
"""Measurements are stored at most so often, but always where a pruner is asked."""
LOOK_UP_S = 0.5
"""Longest wait for the trainer before looking whether the worker is asked to stop."""

RETRY_S = 0.5
"""Pause before a database that did not answer is asked again."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a lease is renewed, how long it lasts, and where training happens."""

    heartbeat_s: float
    lease_s: float
    device: str


class _Dropped(Exception):
    """The trial is no longer ours, or was given back: nothing is left to be done for it."""


class TrialSupervisor:
    """Sees claimed trials through, one at a time.

    on_heartbeat: called about as often as the lease is renewed.
    seconds_left: for how many more seconds a trial may go on: infinite until the worker is asked to stop.
    """

    def __init__(
        self,
        database: Database,
        claimer: Claimer,
        new_trainer: Callable[[], TrainerProcess],
        trainer: TrainerProcess,
        pace: Pace,
        on_heartbeat: Callable[[], None],
        seconds_left: Callable[[], float],
    ) -> None:
        self.trainer = trainer
        self._database = database
        self._claimer = claimer
        self._new_trainer = new_trainer
        self._pace = pace
        self._on_heartbeat = on_heartbeat
        self._seconds_left = seconds_left
        self._pending: list[StepMeasurement] = []
        self._last: Measured | None = None
        self._under_way = False
        """Whether the trainer is at a run, as far as it has told."""
        self._renewed_at = self._flushed_at = time.monotonic()

    def see_through(self, claim: Claim) -> None:
        """Train the claimed trial to its result, through trainers that die, until it is stored, dropped or given back."""
        attempt: Claim | None = claim
        try:
            while attempt is not None:
                attempt = self._attempt(attempt)
        except LeaseLost:
            log.info(Event.LEASE_LOST, **_ids(claim))
            self._stop_trainer()
        except _Dropped:
            self._stop_trainer()

    def _attempt(self, claim: Claim) -> Claim | None:
        """Train until there is a result, or until the trainer dies: then the next attempt, unless that was the last one."""
        self._pending, self._last = [], None
        self._renewed_at = self._flushed_at = time.monotonic()
        try:
            self._train(claim)
            return None
        except TrainerDied as died:
            log.warning(Event.TRAINER_DIED, reason=str(died), **_ids(claim))
            return self._after_death(claim, str(died))

    def _train(self, claim: Claim) -> None:
        job = claim.job
        self.trainer.start_log()
        self._under_way = True
        self.trainer.send(
            Train(
                objective=job.spec.objective.name,
                params=claim.params,
                settings=job.spec.objective.settings,
                seed=job.spec.seed,
                device=self._pace.device,
                threads=int(job.spec.objective.settings.get("threads", 1)),
                parts=None if isinstance(job.spec.pruner, NoPruner) else job.spec.pruner.parts,
            )
        )
        while True:
            message = self.trainer.receive(self._until_due())
            if message is not None:
                result = self._take_in(claim, message)
                if result is not None:
                    self._finish(claim, result)
                    return
            if self._must_report():
                self._report(claim)
                self._insist(self._on_heartbeat)
            if self._seconds_left() <= 0:
                self._give_back(claim, "its worker is stopping")

    def _take_in(self, claim: Claim, message: FromTrainer) -> Result | None:
        """Deal with a message; returns the trial's result when that is what it was."""
        self._under_way = isinstance(message, Measured)
        match message:
            case Measured():
                return self._measured(claim, message)
            case Trained():
                return self._trained(claim, message)
            case Raised():
                return Failed(error=TrialError(type=message.type, message=message.message, traceback=message.traceback))
            case Stopped():
                raise _Dropped

    def _measured(self, claim: Claim, item: Measured) -> Result | None:
        metric = claim.job.spec.metric
        assert metric is not None
        if metric not in item.metrics:
            self._stop_trainer()
            known = ", ".join(sorted(item.metrics))
            return Failed(error=TrialError(type="MissingMetric", message=f"step {item.step} measured no {metric}, only {known}"))
        self._last = item
        self._pending.append(
            StepMeasurement(
                step=item.step,
                fraction=item.fraction,
                in_warmup=item.in_warmup,
                metrics=item.metrics,
                learning_rate=item.learning_rate,
                seconds=item.seconds,
            )
        )
        if not item.waits:
            return None
        if not math.isfinite(item.metrics[metric]):
            # Before the pruner is asked, which would end it as a mere bad value.
            self._stop_trainer()
            return _not_finite(claim, item)
        self._report(claim)
        if self._insist(lambda: should_prune(self._database, self._claimer.cache, claim.job, claim.lease)):
            self._stop_trainer()
            return Pruned(value=item.metrics[metric], step=item.step)
        self.trainer.send(Order.GO_ON)
        return None

    def _trained(self, claim: Claim, message: Trained) -> Result:
        last = self._last
        if last is None:
            return Failed(error=TrialError(type="NothingMeasured", message="the objective ended without a single measurement"))
        assert claim.job.spec.metric is not None
        value = last.metrics[claim.job.spec.metric]
        if last.divergence is not None:
            return Infeasible(step=last.step, fraction=last.divergence.fraction, evidence=last.divergence.reason)
        if not math.isfinite(value):
            return _not_finite(claim, last)
        # JSON knows no nan: a test metric without a number is left out.
        test_metrics = {name: metric for name, metric in message.test_metrics.items() if math.isfinite(metric)}
        return Completed(value=value, user_attrs=test_metrics)

    def _report(self, claim: Claim) -> None:
        """Renew the lease, and store what is pending."""
        batch, log_tail = list(self._pending), self.trainer.log_tail()

        def store(conn: Connection) -> Answer:
            return report(conn, claim.job, claim.lease, batch, lease_s=self._pace.lease_s, log_tail=log_tail)

        answer = self._insist(lambda: self._database.transact(store))
        del self._pending[: len(batch)]
        self._renewed_at = self._flushed_at = time.monotonic()
        if answer is Answer.GIVE_BACK:
            self._give_back(claim, "its job was paused")

    def _finish(self, claim: Claim, result: Result) -> None:
        log_tail = self.trainer.log_tail()

        def store(conn: Connection) -> None:
            finish(conn, claim.lease, result, measurements=self._pending, lease_s=self._pace.lease_s, log_tail=log_tail)

        try:
            self._insist(lambda: self._database.transact(store))
        except LeaseLost:
            # After a lost reply the lease has ended because the finish took place.
            found = self._insist(lambda: self._database.transact(lambda conn: leases.by_token(conn, claim.lease.token)))
            if found is None or found[1] is not Outcome.FINISHED:
                raise
        log.info("trial.finished", result=type(result).__name__.lower(), **_ids(claim))

    def _give_back(self, claim: Claim, reason: str) -> NoReturn:
        self._stop_trainer()
        log_tail = self.trainer.log_tail()
        self._insist(lambda: self._database.transact(lambda conn: leases.release(conn, claim.lease, reason, log_tail=log_tail)))
        log.info(Event.LEASE_RELEASED, reason=reason, **_ids(claim))
        raise _Dropped

    def _after_death(self, claim: Claim, reason: str) -> Claim | None:
        """A new trainer, and the trial's next attempt, unless it has used up its attempts."""
        token, log_tail = uuid4(), self.trainer.log_tail()
        self._under_way = False
        self.trainer.end()
        self.trainer = self._new_trainer()
        try:
            return self._insist(lambda: self._claimer.retry(claim, token, reason, log_tail))
        except LeaseLost:
            # Lost to another worker, or to a lost reply: then the token tells.
            return self._insist(lambda: self._claimer.reclaim(token))

    def _insist(self, ask: Callable[[], T]) -> T:
        """Ask until the database answers. Past the lease, the run is asked for no further item until then.

        A worker that has to stop drops the trial instead: its lease expires.
        Nobody knows whether what was asked took place when its reply was lost; so `ask` is something that may be asked twice.
        """
        held = False
        while True:
            try:
                answer = ask()
            except DatabaseUnavailable as error:
                log.warning("database.unavailable", error=str(error))
                if self._seconds_left() <= 0:
                    raise _Dropped from error
                if not held and time.monotonic() - self._renewed_at > self._pace.lease_s:
                    self._order(Order.HOLD)
                    held = True
                time.sleep(RETRY_S)
                continue
            if held:
                self._order(Order.GO_ON)
            return answer

    def _order(self, order: Order) -> None:
        with suppress(TrainerDied):  # noticed when it is next listened to
            self.trainer.send(order)

    def _stop_trainer(self) -> None:
        """End the run under way, if there is one: by an order if the item under way ends soon, else with the process."""
        if not self._under_way:
            return
        self._under_way = False
        self._order(Order.STOP)
        deadline = time.monotonic() + STOP_S
        try:
            while (left := deadline - time.monotonic()) > 0:
                if isinstance(self.trainer.receive(left), Stopped | Trained | Raised):
                    return
        except TrainerDied:
            pass
        self.trainer.end()
        self.trainer = self._new_trainer()

    def _until_due(self) -> float:
        """Seconds until the lease must be renewed or something stored; never long, so that a request to stop is noticed."""
        now = time.monotonic()
        due = [self._renewed_at + self._pace.heartbeat_s, now + LOOK_UP_S]
        if self._pending:
            due.append(self._flushed_at + FLUSH_S)
        return min(due) - now

    def _must_report(self) -> bool:
        now = time.monotonic()
        return now >= self._renewed_at + self._pace.heartbeat_s or (bool(self._pending) and now >= self._flushed_at + FLUSH_S)


def _not_finite(claim: Claim, item: Measured) -> Infeasible:
    """The result of a run that measured no number, and did not say itself that it had diverged."""
    assert claim.job.spec.metric is not None
    evidence = f"{claim.job.spec.metric} was {item.metrics[claim.job.spec.metric]} at step {item.step}"
    return Infeasible(step=item.step, fraction=item.fraction, evidence=evidence)


def _ids(claim: Claim) -> dict[str, object]:
    return {"job": str(claim.job.id), "trial": claim.lease.number, "attempt": claim.lease.attempt}
