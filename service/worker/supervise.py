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
from service.domain.parts import is_pruning_step
from service.domain.strategy import NoPruner
from service.domain.trial import StepMeasurement, TrialError
from service.errors import DatabaseUnavailable, LeaseLost
from service.store import leases
from service.store.postgres import Database
from service.worker import checkpointing
from service.worker.best_models import BestModels
from service.worker.checkpointing import CheckpointSettings, Position
from service.worker.messages import (
    CheckFitness,
    Checkpointed,
    Fitness,
    FromTrainer,
    Measured,
    NoModel,
    NotCheckpointed,
    Order,
    Raised,
    Renewed,
    Resume,
    Resumed,
    RunEnded,
    SaveModel,
    Stopped,
    Train,
    Trained,
    Unusable,
)
from service.worker.trainer_process import STOP_S, TrainerDied, TrainerProcess

T = TypeVar("T")

log = structlog.get_logger()

FLUSH_S = 1.0
"""Measurements are stored at most so often, but always where a pruner is asked."""
LOOK_UP_S = 0.5
"""Longest wait for the trainer before looking whether the worker is asked to stop, and what the trial takes."""

RETRY_S = 0.5
"""Pause before a database that did not answer is asked again."""

FITNESS_S = 120.0
"""How long a trainer process may take to tell whether it can train at all: it may have to import torch from a slow disk."""
SAVE_S = 600.0
"""How long it may take to save the weights of a trial that has gone through."""
HURRY_S = 2.0
"""What the database gets to take a trial back from a worker that has to exit now."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a lease is renewed, how long it lasts, and where training happens."""

    heartbeat_s: float
    lease_s: float
    device: str


class Unfit(Exception):
    """This worker cannot train an objective, for reasons of its own. The trial has been given back."""

    def __init__(self, objective: str, problem: str) -> None:
        super().__init__(problem)
        self.objective = objective
        self.problem = problem


class _Dropped(Exception):
    """The trial is no longer ours, or was given back: nothing is left to be done for it."""


class TrialSupervisor:
    """Sees claimed trials through, one at a time.

    on_heartbeat: called about as often as the lease is renewed.
    seconds_left: for how many more seconds the step under way may go on: infinite until the worker is asked to stop.
    """

    def __init__(
        self,
        database: Database,
        claimer: Claimer,
        new_trainer: Callable[[], TrainerProcess],
        trainer: TrainerProcess,
        pace: Pace,
        keep: CheckpointSettings,
        on_heartbeat: Callable[[], None],
        seconds_left: Callable[[], float],
    ) -> None:
        self.trainer = trainer
        self._database = database
        self._claimer = claimer
        self._new_trainer = new_trainer
        self._pace = pace
        self._keep = keep
        self._best_models = BestModels()
        self._on_heartbeat = on_heartbeat
        self._seconds_left = seconds_left
        self._pending: list[StepMeasurement] = []
        self._last: StepMeasurement | None = None
        self._divergence: Infeasible | None = None
        self._position: Position | None = None
        self._under_way = False
        """Whether the trainer is at a run, as far as it has told."""
        self._leaving: str | None = None
        """Why the trial is about to be given back: the trainer has been told to take a checkpoint and stop."""
        self._leave_by = math.inf
        self._trained_s = 0.0
        """Seconds of training before this attempt's checkpoint."""
        self._started_at = self._heard_at = self._renewed_at = self._flushed_at = time.monotonic()

    def see_through(self, claim: Claim) -> None:
        """Train the claimed trial to its result, through trainers that die, until it is stored, dropped or given back.

        Raises Unfit, when the trial has been given back since this worker cannot train its objective.
        """
        attempt: Claim | None = claim
        try:
            while attempt is not None:
                claim = attempt
                attempt = self._attempt(attempt)
        except LeaseLost:
            log.info(Event.LEASE_LOST, **_ids(claim))
            self._stop_trainer()
            with suppress(DatabaseUnavailable):
                self._database.transact(lambda conn: leases.excuse(conn, claim.lease.token))
        except _Dropped:
            self._stop_trainer()

    def find_problem(self, objective: str, claim: Claim | None = None) -> str | None:
        """What keeps this worker from training an objective at all; None when it can. Renews the lease of `claim` meanwhile."""
        folder = None if self._keep.folder is None else str(self._keep.folder.absolute())
        try:
            self.trainer.send(CheckFitness(objective=objective, device=self._pace.device, folder=folder))
            answer = self._await(Fitness, FITNESS_S, claim)
        except TrainerDied as died:
            problem = str(died)
        else:
            if isinstance(answer, Fitness):
                return answer.problem
            problem = f"the trainer process did not say within {FITNESS_S:g} s whether it can"
        self._replace_trainer()
        return problem

    def _attempt(self, claim: Claim) -> Claim | None:
        """Train until there is a result, or until the trainer dies: then the next attempt, unless that was the last one."""
        self._pending, self._divergence = [], None
        self._leaving, self._leave_by = None, math.inf
        self._renewed_at = self._flushed_at = time.monotonic()
        try:
            self._train(claim)
            return None
        except TrainerDied as died:
            log.warning(Event.TRAINER_DIED, reason=str(died), **_ids(claim))
            return self._after_death(claim, str(died))

    def _train(self, claim: Claim) -> None:
        self._start(claim)
        while True:
            message = self.trainer.receive(self._until_due())
            result = None if message is None else self._take_in(claim, message)
            if result is None:
                result = self._enforce_limits(claim)
            if result is not None:
                self._finish(claim, result)
                return
            if self._must_report():
                self._report(claim)
                self._insist(self._on_heartbeat)
            self._leave_if_asked(claim)

    def _start(self, claim: Claim) -> None:
        """Have the trainer run the trial, from its newest checkpoint if it has one."""
        job, found = claim.job, None
        if claim.lease.attempt > 1:
            found = self._transact(lambda conn: checkpointing.position(conn, claim))
        self._position = found
        self._last = None if found is None else found.last
        self._trained_s = 0.0 if found is None else found.seconds
        self._started_at = self._heard_at = time.monotonic()
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
                parts=_parts(claim),
                hold_at=self._renewed_at + self._pace.lease_s,
                checkpoint_s=self._keep.interval_s,
                place=self._keep.place(claim),
                resume=None if found is None else Resume(checkpoint=found.checkpoint, fraction=found.last.fraction),
            )
        )

    def _take_in(self, claim: Claim, message: FromTrainer) -> Result | None:
        """Deal with a message; returns the trial's result when that is what it was."""
        self._heard_at = time.monotonic()
        self._under_way = not isinstance(message, RunEnded)
        match message:
            case Measured():
                return self._measured(claim, message)
            case Resumed():
                return self._resumed(claim)
            case Unusable():
                self._fall_back(claim, message.reason)
            case Checkpointed():
                self._keep_checkpoint(claim, message)
            case NotCheckpointed():
                self._checkpoint_failed(claim, message)
            case Trained():
                return self._trained(claim, message)
            case Raised():
                self._examine_itself(claim)
                return Failed(error=TrialError(type=message.type, message=message.message, traceback=message.traceback))
            case Stopped():
                self._give_back(claim, self._leaving or "it was stopped")
        return None

    def _measured(self, claim: Claim, item: Measured) -> Result | None:
        metric = _metric(claim)
        if metric not in item.metrics:
            self._stop_trainer()
            known = ", ".join(sorted(item.metrics))
            return Failed(error=TrialError(type="MissingMetric", message=f"step {item.step} measured no {metric}, only {known}"))
        self._last = StepMeasurement(
            step=item.step,
            fraction=item.fraction,
            in_warmup=item.in_warmup,
            metrics=item.metrics,
            learning_rate=item.learning_rate,
            seconds=item.seconds,
        )
        self._pending.append(self._last)
        if item.divergence is not None:
            self._divergence = Infeasible(step=item.step, fraction=item.divergence.fraction, evidence=item.divergence.reason)
        if not item.waits:
            return None
        if not math.isfinite(item.metrics[metric]):
            # Before the pruner is asked, which would end it as a mere bad value.
            self._stop_trainer()
            return _not_finite(claim, self._last)
        self._report(claim)
        if self._leaving is not None:
            return None  # the next attempt asks
        result = self._ask_pruner(claim, self._last)
        if result is None:
            self.trainer.send(Order.GO_ON)
            self._heard_at = time.monotonic()
        return result

    def _ask_pruner(self, claim: Claim, last: StepMeasurement) -> Result | None:
        if not self._insist(lambda: should_prune(self._database, self._claimer.cache, claim.job, claim.lease)):
            return None
        self._stop_trainer()
        return Pruned(value=last.metrics[_metric(claim)], step=last.step)

    def _resumed(self, claim: Claim) -> Result | None:
        found, parts = self._position, _parts(claim)
        assert found is not None
        last = found.last
        self._transact(lambda conn: checkpointing.note_resumed(conn, claim, last.step))
        log.info(Event.TRIAL_RESUMED, step=last.step, **_ids(claim))
        # The attempt before may have ended between this step and the pruner's word on it.
        before = 0.0 if found.before is None else found.before.fraction
        if parts is not None and is_pruning_step(before, last.fraction, last.in_warmup, parts):
            return self._ask_pruner(claim, last)
        return None

    def _fall_back(self, claim: Claim, reason: str) -> None:
        """The checkpoint cannot be used: go on from the one before it."""
        assert self._position is not None
        damaged = self._position.checkpoint
        log.warning(Event.CHECKPOINT_DAMAGED, reason=reason, step=damaged.step, **_ids(claim))
        self._transact(lambda conn: checkpointing.discard(conn, claim, damaged, reason))
        self._start(claim)

    def _keep_checkpoint(self, claim: Claim, message: Checkpointed) -> None:
        """Store a checkpoint's row, and with it what was measured up to it."""
        batch = list(self._pending)

        def store(conn: Connection) -> tuple[float, Answer, list[str]]:
            asked_at = time.monotonic()
            return asked_at, *checkpointing.save(conn, claim, message.checkpoint, batch, lease_s=self._pace.lease_s)

        asked_at, answer, paths = self._transact(store)
        checkpointing.delete_files(self._keep.folder, paths)
        self._stored(len(batch), answer, asked_at)

    def _checkpoint_failed(self, claim: Claim, message: NotCheckpointed) -> None:
        log.warning(Event.CHECKPOINT_FAILED, reason=message.reason, step=message.step, **_ids(claim))
        self._transact(lambda conn: checkpointing.note_failed(conn, claim, message.step, message.reason))

    def _trained(self, claim: Claim, message: Trained) -> Result:
        if self._divergence is not None:
            return self._divergence
        last = self._last
        if last is None:
            return Failed(error=TrialError(type="NothingMeasured", message="the objective ended without a single measurement"))
        value = last.metrics[_metric(claim)]
        if not math.isfinite(value):
            return _not_finite(claim, last)
        # JSON knows no nan: a test metric without a number is left out.
        test_metrics = {name: metric for name, metric in message.test_metrics.items() if math.isfinite(metric)}
        return Completed(value=value, user_attrs=test_metrics)

    def _enforce_limits(self, claim: Claim) -> Result | None:
        """Raises TrainerDied when the training process is stuck or too large; returns the result of a trial out of time."""
        limits, now = claim.job.spec.limits, time.monotonic()
        if limits.memory_mb is not None and (held := self.trainer.memory_mb()) > limits.memory_mb:
            raise TrainerDied(
                f"the trainer process was killed: it held {held:,.0f} MB, and limits.memory_mb is {limits.memory_mb:,}"
            )
        if limits.step_seconds is not None and now - self._heard_at > limits.step_seconds:
            raise TrainerDied(
                f"the trainer process was killed: no step ended within limits.step_seconds, {limits.step_seconds:g} s"
            )
        if limits.trial_seconds is None or self._trained_s + now - self._started_at <= limits.trial_seconds:
            return None
        self._stop_trainer()
        stopped_by = f"limits.trial_seconds, {limits.trial_seconds:g} s"
        if self._last is None:
            return Failed(error=TrialError(type="TimeLimit", message=f"nothing was measured within {stopped_by}"))
        return Pruned(value=self._last.metrics[_metric(claim)], step=self._last.step, stopped_by=stopped_by)

    def _report(self, claim: Claim) -> None:
        """Renew the lease, and store what is pending."""
        batch, log_tail = list(self._pending), self.trainer.log_tail()

        def store(conn: Connection) -> tuple[float, Answer]:
            asked_at = time.monotonic()
            return asked_at, report(conn, claim.job, claim.lease, batch, lease_s=self._pace.lease_s, log_tail=log_tail)

        asked_at, answer = self._transact(store)
        self._stored(len(batch), answer, asked_at)

    def _stored(self, count: int, answer: Answer, asked_at: float) -> None:
        """So many measurements are stored, and the lease is renewed, unless the answer is to give the trial back."""
        del self._pending[:count]
        self._renewed_at, self._flushed_at = asked_at, time.monotonic()
        if answer is Answer.GIVE_BACK:
            self._leave("its job was paused", within_s=STOP_S)
        else:
            self._order(Renewed(hold_at=asked_at + self._pace.lease_s))

    def _finish(self, claim: Claim, result: Result) -> None:
        if isinstance(result, Completed):
            self._keep_model(claim, result.value)
        log_tail = self.trainer.log_tail()

        def store(conn: Connection) -> None:
            finish(conn, claim.lease, result, measurements=self._pending, lease_s=self._pace.lease_s, log_tail=log_tail)

        try:
            self._transact(store)
        except LeaseLost:
            # After a lost reply the lease has ended because the finish took place.
            found = self._transact(lambda conn: leases.by_token(conn, claim.lease.token))
            if found is None or found[1] is not Outcome.FINISHED:
                raise
        if isinstance(result, Completed):
            self._best_models.finished(claim.job, result.value)
        log.info("trial.finished", result=type(result).__name__.lower(), **_ids(claim))

    def _keep_model(self, claim: Claim, value: float) -> None:
        """Save the weights of the best trial so far. Whatever goes wrong with that, the result stands."""
        if not self._best_models.wants(claim.job, value):
            return
        try:
            self.trainer.send(SaveModel(metadata=checkpointing.model_metadata(claim, value)))
            answer = self._await((Checkpointed, NotCheckpointed, NoModel), SAVE_S, claim)
        except TrainerDied as died:
            self._replace_trainer()
            answer = NotCheckpointed(step=self._last.step if self._last else 0, reason=str(died))
        match answer:
            case Checkpointed(checkpoint=checkpoint):
                paths = self._transact(lambda conn: checkpointing.save_model(conn, claim, checkpoint))
                checkpointing.delete_files(self._keep.folder, paths)
            case NotCheckpointed():
                self._checkpoint_failed(claim, answer)
            case NoModel():
                self._best_models.has_none(claim.job)
            case _:
                self._replace_trainer()

    def _leave(self, reason: str, *, within_s: float) -> None:
        """Have the trainer take a checkpoint at the end of the step under way, and stop: the trial is to be given back."""
        self._leave_by = min(self._leave_by, time.monotonic() + within_s)
        if self._leaving is None:
            self._leaving = reason
            self._order(Order.SUSPEND)

    def _leave_if_asked(self, claim: Claim) -> None:
        """Have a worker that is asked to stop give its trial back; in the middle of a step when that takes too long."""
        if self._leaving is None and self._seconds_left() < math.inf:
            self._leave("its worker is stopping", within_s=math.inf)
        if self._leaving is None or (self._seconds_left() > 0 and time.monotonic() < self._leave_by):
            return
        if self._seconds_left() < math.inf:
            self._under_way = False
            self.trainer.end()  # no other one is needed
        else:
            self._replace_trainer()
        self._give_back(claim, f"{self._leaving}; the step under way was given up")

    def _give_back(self, claim: Claim, reason: str) -> NoReturn:
        self._release(claim, reason)
        raise _Dropped

    def _release(self, claim: Claim, reason: str) -> None:
        """Store what was measured, and let the next worker go on at once."""
        log_tail = self.trainer.log_tail()

        def release(conn: Connection) -> None:
            if self._pending:
                report(conn, claim.job, claim.lease, self._pending, lease_s=self._pace.lease_s)
            leases.release(conn, claim.lease, reason, log_tail=log_tail)

        self._transact(release, timeout_s=HURRY_S if self._seconds_left() <= 0 else None)
        log.info(Event.LEASE_RELEASED, reason=reason, **_ids(claim))

    def _after_death(self, claim: Claim, reason: str) -> Claim | None:
        """A new trainer, and the trial's next attempt, unless it has used up its attempts."""
        token, log_tail = uuid4(), self.trainer.log_tail()
        self._replace_trainer()
        problem = self.find_problem(claim.job.spec.objective.name, claim)
        if problem is not None:
            self._set_aside(claim, problem)
        try:
            return self._insist(lambda: self._claimer.retry(claim, token, reason, log_tail))
        except LeaseLost:
            # Lost to another worker, or to a lost reply: then the token tells.
            return self._insist(lambda: self._claimer.reclaim(token))

    def _examine_itself(self, claim: Claim) -> None:
        """Before a trial is failed for an exception: raises Unfit, with the trial given back, when it may be the worker's own."""
        objective = claim.job.spec.objective.name
        if self.find_problem(objective, claim) is None:
            return
        # A trial may break its process, as an error on a GPU does: that is its own fault.
        self._replace_trainer()
        problem = self.find_problem(objective, claim)
        if problem is not None:
            self._set_aside(claim, problem)

    def _set_aside(self, claim: Claim, problem: str) -> NoReturn:
        objective = claim.job.spec.objective.name
        self._release(claim, f"its worker cannot train {objective}: {problem}")
        raise Unfit(objective, problem)

    def _transact(self, work: Callable[[Connection], T], *, timeout_s: float | None = None) -> T:
        return self._insist(lambda: self._database.transact(work, timeout_s=timeout_s))

    def _insist(self, ask: Callable[[], T]) -> T:
        """Ask until the database answers. The run goes on meanwhile until the lease runs out, by the trainer's own clock.

        A worker that has to stop drops the trial instead: its lease expires.
        Nobody knows whether what was asked took place when its reply was lost; so `ask` is something that may be asked twice.
        """
        while True:
            asked_at = time.monotonic()
            try:
                return ask()
            except DatabaseUnavailable as error:
                log.warning("database.unavailable", error=str(error))
                if self._seconds_left() <= 0:
                    raise _Dropped from error
                time.sleep(RETRY_S)
                # Held up by us and not by itself: this is no time of its own.
                self._heard_at = time.monotonic()
                self._started_at += self._heard_at - asked_at

    def _await(
        self, kinds: type[FromTrainer] | tuple[type[FromTrainer], ...], within_s: float, claim: Claim | None
    ) -> FromTrainer | None:
        """The trainer's answer of such a kind, or None when it takes too long. Raises TrainerDied."""
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            message = self.trainer.receive(min(left, LOOK_UP_S))
            if isinstance(message, kinds):
                return message
            if claim is not None and self._must_report():
                self._report(claim)
        return None

    def _order(self, order: Order | Renewed) -> None:
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
                if isinstance(self.trainer.receive(left), RunEnded):
                    return
        except TrainerDied:
            pass
        self._replace_trainer()

    def _replace_trainer(self) -> None:
        self._under_way = False
        self.trainer.end()
        self.trainer = self._new_trainer()

    def _until_due(self) -> float:
        """Seconds until the lease must be renewed or something stored; never long, so that a request to stop is noticed."""
        now = time.monotonic()
        due = [self._renewed_at + self._pace.heartbeat_s, now + LOOK_UP_S, self._leave_by]
        if self._pending:
            due.append(self._flushed_at + FLUSH_S)
        return min(due) - now

    def _must_report(self) -> bool:
        now = time.monotonic()
        return now >= self._renewed_at + self._pace.heartbeat_s or (bool(self._pending) and now >= self._flushed_at + FLUSH_S)


def _metric(claim: Claim) -> str:
    assert claim.job.spec.metric is not None
    return claim.job.spec.metric


def _parts(claim: Claim) -> int | None:
    pruner = claim.job.spec.pruner
    return None if isinstance(pruner, NoPruner) else pruner.parts


def _not_finite(claim: Claim, item: StepMeasurement) -> Infeasible:
    """The result of a run that measured no number, and did not say itself that it had diverged."""
    metric = _metric(claim)
    return Infeasible(step=item.step, fraction=item.fraction, evidence=f"{metric} was {item.metrics[metric]} at step {item.step}")


def _ids(claim: Claim) -> dict[str, object]:
    return {"job": str(claim.job.id), "trial": claim.lease.number, "attempt": claim.lease.attempt}
