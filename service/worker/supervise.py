"""One trial, from claim to result: the worker's side. It talks to the database while the trainer process trains.

When the lease turns out to be lost, the trial is dropped: it is somebody else's now.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

import structlog

from objectives.catalog import typed_params
from objectives.contract import Objective
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.outcome import Completed, Curve, Failed, Infeasible, Result, ignored
from service.dispatch.renew import Answer
from service.domain.events import Event
from service.domain.measurement import Measurement
from service.domain.parts import is_pruning_step
from service.domain.strategy import NoPruner
from service.domain.trial import TrialError
from service.errors import DatabaseUnavailable, LeaseLost
from service.store import checkpoint_files, leases
from service.store.postgres import Database
from service.worker import checkpointing
from service.worker.best_models import BestModels
from service.worker.checkpointing import CheckpointSettings, Position
from service.worker.lease import Dropped, HeldLease, Pace, ids
from service.worker.trainer.kept import LOOK_UP_S, KeptTrainer
from service.worker.trainer.messages import (
    Checkpointed,
    Command,
    FromTrainer,
    Measured,
    NoModel,
    NotCheckpointed,
    Raised,
    Renewed,
    Resume,
    Resumed,
    SaveModel,
    Stopped,
    Train,
    Trained,
    Unusable,
)
from service.worker.trainer.process import STOP_S, TrainerDied

log = structlog.get_logger()


class Unfit(Exception):
    """This worker cannot train an objective, for reasons of its own. The trial has been given back."""

    def __init__(self, objective: str, problem: str) -> None:
        super().__init__(problem)
        self.objective = objective
        self.problem = problem


class _NoTimeLeft(Exception):
    """The worker has to stop now."""


class TrialSupervisor:
    """Sees claimed trials through, one at a time.

    on_heartbeat: called about as often as the lease is renewed.
    seconds_left: for how many more seconds the step under way may go on: infinite until the worker is asked to stop.
    """

    def __init__(
        self,
        database: Database,
        claimer: Claimer,
        catalog: Mapping[str, Objective],
        trainer: KeptTrainer,
        pace: Pace,
        keep: CheckpointSettings,
        on_heartbeat: Callable[[], None],
        seconds_left: Callable[[], float],
    ) -> None:
        self._database = database
        self._claimer = claimer
        self._catalog = catalog
        self._trainer = trainer
        self._pace = pace
        self._keep = keep
        self._on_heartbeat = on_heartbeat
        self._seconds_left = seconds_left
        self._best_models = BestModels()

    def run_trial(self, claim: Claim) -> None:
        """Train the claimed trial to its result, through trainers that die, until it is stored, dropped or given back.

        Raises Unfit, when the trial has been given back since this worker cannot train its objective.
        """
        following: Claim | None = claim
        try:
            while following is not None:
                claim = following
                following = self._attempt(claim).run_trial()
        except LeaseLost:
            log.info(Event.LEASE_LOST, **ids(claim))
            self._trainer.stop()
            with suppress(DatabaseUnavailable):  # one attempt more that counts
                self._database.transact(lambda conn: leases.excuse(conn, claim.lease.token))
        except Dropped:
            self._trainer.stop()

    def find_problem(self, objective: str, meanwhile: Callable[[], None]) -> str | None:
        """What keeps this worker from training an objective at all; None when it can. meanwhile: called often, may raise."""
        return self._trainer.find_problem(objective, self._pace.device, self._keep.folder_name, meanwhile)

    def _attempt(self, claim: Claim) -> "_Attempt":
        return _Attempt(
            HeldLease(self._database, self._claimer, claim, self._pace, self._seconds_left),
            self._catalog[claim.job.spec.objective.name],
            self._trainer,
            self._pace,
            self._keep,
            self._best_models,
            self._on_heartbeat,
            self._seconds_left,
        )


class _Attempt:
    """One attempt at a trial."""

    def __init__(
        self,
        lease: HeldLease,
        objective: Objective,
        trainer: KeptTrainer,
        pace: Pace,
        keep: CheckpointSettings,
        best_models: BestModels,
        on_heartbeat: Callable[[], None],
        seconds_left: Callable[[], float],
    ) -> None:
        self._lease = lease
        self._claim = lease.claim
        self._spec = lease.claim.job.spec
        self._objective = objective
        self._trainer = trainer
        self._pace = pace
        self._keep = keep
        self._best_models = best_models
        self._on_heartbeat = on_heartbeat
        self._seconds_left = seconds_left
        self._position: Position | None = None
        self._passed_over: list[int] = []
        """Ids of checkpoints that this attempt could not go on from."""
        self._curve = self._new_curve(None)
        self._leaving: str | None = None
        """Why the trial is about to be given back: the trainer has been told to take a checkpoint and stop."""
        self._leave_by = math.inf
        self._weigh_at = -math.inf
        """When the trainer's memory is looked at again."""
        self._started_at = self._heard_at = 0.0
        """By a clock that stands still while the database does not answer."""

    def run_trial(self) -> Claim | None:
        """Train until there is a result; or until the trainer dies: then the next attempt, unless that was the last one.

        Raises LeaseLost, Dropped, Unfit.
        """
        try:
            self._start()
            while True:
                message = self._trainer.receive(self._seconds_until_due())
                result = None
                if message is not None:
                    result = self._take_in(message)
                    self._heard_at = self._clock()  # what it took to store is no part of the next step
                if result is None:
                    result = self._enforce_limits()
                if result is not None:
                    self._finish(result)
                    return None
                self._report_if_due()
                self._leave_if_asked()
        except TrainerDied as died:
            return self._after_death(str(died))

    def _start(self) -> None:
        """Have the trainer run the trial, from its newest checkpoint if it has one."""
        self._position = found = self._lease.position(self._passed_over)
        self._curve = self._new_curve(None if found is None else found.last)
        self._heard_at = self._clock()
        self._started_at = self._heard_at - (0.0 if found is None else found.seconds)
        self._trainer.train(
            Train(
                objective=self._spec.objective.name,
                params=typed_params(self._objective, self._claim.params),
                settings=self._spec.objective.settings,
                seed=self._claim.training_seed,
                device=self._pace.device,
                threads=self._spec.threads,
                parts=self._parts,
                hold_at=self._lease.runs_out_at,
                checkpoint_s=self._keep.interval_s,
                place=self._keep.place(self._claim),
                resume=None if found is None else Resume(checkpoint=found.checkpoint, before=_counted(found.last)),
            )
        )

    def _take_in(self, message: FromTrainer) -> Result | None:
        """Deal with a message; returns the trial's result when that is what it was."""
        match message:
            case Measured():
                return self._measured(message)
            case Resumed():
                return self._resumed()
            case Unusable(reason=reason, damaged=damaged):
                assert self._position is not None
                self._passed_over.append(self._position.checkpoint.id)
                self._lease.pass_over(self._position, reason, damaged=damaged)
                if self._leaving is not None:  # what the trainer was told about that, it has not heeded
                    self._give_back(self._leaving)
                self._start()  # from the one before it
            case Checkpointed(checkpoint=checkpoint):
                answer, paths = self._lease.keep_checkpoint(checkpoint)
                checkpoint_files.delete(self._keep.folder, paths)
                self._handle(answer)
            case NotCheckpointed(step=step, reason=reason):
                self._lease.checkpoint_failed(step, reason)
            case Trained():
                return self._curve.completed(message.test_metrics, message.guessing)
            case Raised():
                self._examine_worker()
                return Failed(error=TrialError(type=message.type, message=message.message, traceback=message.traceback))
            case Stopped():
                self._give_back(self._leaving or "it was stopped")
        return None

    def _measured(self, message: Measured) -> Result | None:
        item = message.measurement
        failed = self._curve.take(item)
        if failed is not None:
            self._trainer.stop()
            return failed
        self._lease.add(item)
        if not message.waits:
            return None
        ended = self._curve.ended_at(item)
        if isinstance(ended, Infeasible):
            # Before the pruner is asked, which would end it as a mere bad value.
            self._trainer.stop()
            return ended
        self._report()
        if self._leaving is not None:
            return None  # the next attempt asks
        result = self._ask_pruner(item)
        if result is None:
            self._trainer.tell(Command.GO_ON)
            self._heard_at = self._clock()
        return result

    def _resumed(self) -> Result | None:
        found = self._position
        assert found is not None
        last = found.last
        self._lease.resumed(last.step)
        self._curve.go_on_after(self._lease.measured_until(last.step))
        # The attempt before may have ended between this step and the pruner's word on it.
        if self._parts is not None and is_pruning_step(_counted(found.before), last.fraction, last.in_warmup, self._parts):
            return self._ask_pruner(last)
        return None

    def _ask_pruner(self, last: Measurement) -> Result | None:
        """The result of a trial that is to end here: pruned, or infeasible if it measured no number."""
        if not self._lease.should_prune():
            return None
        self._trainer.stop()
        return self._curve.ended_at(last)

    def _enforce_limits(self) -> Result | None:
        """Raises TrainerDied when the training process is stuck or too large; returns the result of a trial out of time."""
        if self._curve.divergence is not None:
            return None  # that is its result; the trainer is about to end
        limits, now = self._spec.limits, self._clock()
        if limits.memory_mb is not None and time.monotonic() >= self._weigh_at:
            self._weigh_at = time.monotonic() + LOOK_UP_S
            if (held := self._trainer.memory_mb()) > limits.memory_mb:
                raise TrainerDied(
                    f"the trainer process held {held:,.0f} MB, more than limits.memory_mb, {limits.memory_mb:,}: it was killed"
                )
        if limits.step_seconds is not None and now - self._heard_at > limits.step_seconds:
            raise TrainerDied(
                f"no step ended within limits.step_seconds, {limits.step_seconds:g} s: the trainer process was killed"
            )
        if limits.trial_seconds is None or now - self._started_at <= limits.trial_seconds:
            return None
        self._trainer.stop()
        stopped_by = f"limits.trial_seconds, {limits.trial_seconds:g} s"
        last = self._lease.furthest()  # an attempt before may have come further than this one
        if last is None:
            return Failed(error=TrialError(type="TimeLimit", message=f"nothing was measured within {stopped_by}"))
        return self._curve.ended_at(last, stopped_by=stopped_by)

    def _report_if_due(self) -> None:
        if time.monotonic() >= self._lease.due_at():
            self._report()
            self._lease.ask_once(self._on_heartbeat)

    def _report(self) -> None:
        self._handle(self._lease.report(self._trainer.log_tail()))

    def _handle(self, answer: Answer) -> None:
        """The lease is renewed, unless the answer is to give the trial back."""
        if answer is Answer.GIVE_BACK:
            self._leave("its job was paused", within_s=STOP_S)
        else:
            self._trainer.tell(Renewed(hold_at=self._lease.runs_out_at))

    def _finish(self, result: Result) -> None:
        if isinstance(result, Completed):
            self._keep_model(result)
        self._lease.finish(result, self._notes(result), self._trainer.log_tail())
        if isinstance(result, Completed):
            self._best_models.finished(self._claim.job, result.value)

    def _notes(self, result: Result) -> dict[str, Any]:
        """What is said of the trial beside its result: parameters that meant nothing in it, and what its curve shows."""
        names = ignored(self._objective, self._spec, self._claim.params)
        try:
            found = self._curve.diagnosis(result)
        except Exception:  # numbers may be anybody's: what they show is worth less than the trial's result
            log.exception("trial.not_diagnosed", **ids(self._claim))
            found = {}
        return ({"ignored": names} if names else {}) | ({"diagnosis": found} if found else {})

    def _keep_model(self, result: Completed) -> None:
        """Save the weights of the best trial so far. Whatever goes wrong with that, the result stands."""
        if not self._best_models.wants(self._claim.job, result.value):
            return
        assert self._curve.last is not None
        step = result.best_step or self._curve.last.step
        question = SaveModel(step=step, metadata=checkpointing.model_metadata(self._claim, result.value))
        try:
            answer = self._trainer.save_model(question, meanwhile=self._keep_alive)
        except _NoTimeLeft:
            answer = "its worker had to stop before the weights were saved"
        match answer:
            case Checkpointed(checkpoint=checkpoint):
                checkpoint_files.delete(self._keep.folder, self._lease.keep_model(checkpoint))
            case NoModel():
                self._best_models.has_none(self._claim.job)
            case NotCheckpointed(reason=reason) | str(reason):
                self._lease.checkpoint_failed(step, reason)

    def _leave(self, reason: str, *, within_s: float) -> None:
        """Have the trainer take a checkpoint at the end of the step under way, and stop: the trial is to be given back."""
        self._leave_by = min(self._leave_by, time.monotonic() + within_s)
        if self._leaving is None:
            self._leaving = reason
            self._trainer.tell(Command.SUSPEND)

    def _leave_if_asked(self) -> None:
        """Have a worker that is asked to stop give its trial back; in the middle of a step when that takes too long."""
        stopping = self._seconds_left() < math.inf
        if stopping and self._leaving is None:
            self._leave("its worker is stopping", within_s=math.inf)
        if self._leaving is None or (self._seconds_left() > 0 and time.monotonic() < self._leave_by):
            return
        if stopping:
            self._trainer.end()  # no other one is needed
        else:
            self._trainer.replace()
        self._give_back(f"{self._leaving}; the step under way was given up")

    def _give_back(self, reason: str) -> NoReturn:
        self._lease.release(reason, self._trainer.log_tail())
        raise Dropped

    def _after_death(self, reason: str) -> Claim | None:
        """A new trainer, and the trial's next attempt, unless it has used up its attempts."""
        log.warning(Event.TRAINER_DIED, reason=reason, **ids(self._claim))
        log_tail = self._trainer.log_tail()
        self._trainer.replace()
        problem = self._find_problem(reason)
        if problem is not None:
            self._set_aside(problem)
        return self._lease.next_attempt(reason, log_tail)

    def _examine_worker(self) -> None:
        """Before a trial is failed for an exception: raises Unfit, with the trial given back, when the worker is at fault."""
        if self._find_problem() is None:
            return
        # A trial may break its process, as an error on a GPU does: that is its own fault.
        self._trainer.replace()
        problem = self._find_problem()
        if problem is not None:
            self._set_aside(problem)

    def _find_problem(self, why: str = "the objective raised") -> str | None:
        """What keeps this worker from training the objective at all. A worker that has to stop now gives the trial back."""
        try:
            return self._trainer.find_problem(
                self._spec.objective.name, self._pace.device, self._keep.folder_name, meanwhile=self._keep_alive
            )
        except _NoTimeLeft:
            self._give_back(f"its worker had to stop after this: {why}")

    def _keep_alive(self) -> None:
        """While the trainer takes its time over something else than training. Raises _NoTimeLeft."""
        self._report_if_due()
        if self._seconds_left() <= 0:
            raise _NoTimeLeft

    def _set_aside(self, problem: str) -> NoReturn:
        objective = self._spec.objective.name
        self._lease.release(f"its worker cannot train {objective}: {problem}", self._trainer.log_tail())
        raise Unfit(objective, problem)

    def _clock(self) -> float:
        return time.monotonic() - self._lease.waited_s

    def _seconds_until_due(self) -> float:
        """Until the lease must be renewed or something stored; never long, so that a request to stop is noticed."""
        now = time.monotonic()
        return min(self._lease.due_at(), now + LOOK_UP_S, self._leave_by) - now

    def _new_curve(self, last: Measurement | None) -> Curve:
        return Curve(self._spec.metric, last)

    @property
    def _parts(self) -> int | None:
        return None if isinstance(self._spec.pruner, NoPruner) else self._spec.pruner.parts


def _counted(item: Measurement | None) -> float:
    """How far a run had come, as pruners count it."""
    return 0.0 if item is None or item.in_warmup else item.fraction
