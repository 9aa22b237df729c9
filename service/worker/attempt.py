"""One attempt at a trial: a state machine that handles the trainer's messages and stores the results.

It never blocks: `run` yields what it waits for (worker/waiting.py), and is resumed afterwards.
"""

from collections.abc import Callable

from objectives.catalog import typed_params
from objectives.contract import Objective
from service.dispatch.attempt import Claim
from service.dispatch.checkpointing import Position
from service.dispatch.outcome import Curve, Failed, Infeasible, Result
from service.domain.measurement import Measurement
from service.domain.parts import counted, is_pruning_step
from service.domain.strategy import NoPruner
from service.domain.trial import TrialError
from service.store import checkpoint_files
from service.worker.best_models import BestModels
from service.worker.checkpointing import CheckpointSettings
from service.worker.ending import Ending
from service.worker.heartbeat import Heartbeat
from service.worker.lease import HeldLease, Pace
from service.worker.limits import LimitsOfAttempt
from service.worker.retrying import RetryingDatabase
from service.worker.trainer.kept import KeptTrainer
from service.worker.trainer.messages import (
    Checkpointed,
    Command,
    FromTrainer,
    Lost,
    Measured,
    NotCheckpointed,
    Raised,
    Resume,
    Resumed,
    Stopped,
    Train,
    Trained,
    Unusable,
)
from service.worker.trainer.process import TrainerDied
from service.worker.waiting import Waits


class Attempt:
    """All state that a worker keeps of one attempt at a trial."""

    def __init__(
        self,
        database: RetryingDatabase,
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
        self._spec = lease.claim.job.phase.spec
        self._objective = objective
        self._trainer = trainer
        self._pace = pace
        self._keep = keep
        self._heartbeat = Heartbeat(lease, database, trainer, on_heartbeat, seconds_left)
        self._limits = LimitsOfAttempt(self._spec.limits, database, trainer)
        self._ending = Ending(lease, objective, trainer, self._heartbeat, keep, best_models, pace.device)
        self._position: Position | None = None
        self._skipped: dict[int, str] = {}
        """Checkpoints that this attempt could not resume from, by id, and why, for the trial's log."""
        self._curve = self._new_curve(None)

    def run(self) -> Waits[Claim | None]:
        """Train until the result is stored; returns None then.

        When the trainer dies, returns the next attempt at the trial; None when no attempts are left. Raises LeaseLost, Dropped,
        Unfit.
        """
        try:
            yield from self._start()
            while True:
                yield self._heartbeat.wait()
                message = self._trainer.receive()
                result = None
                if message is not None:
                    result = yield from self._handle(message)
                    self._limits.step_begins()
                if result is None:
                    result = yield from self._enforce_limits()
                if result is not None:
                    yield from self._ending.finish(result, self._curve)
                    return None
                yield from self._heartbeat.report_if_due()
                yield from self._heartbeat.leave_if_asked()
        except TrainerDied as died:
            reason = str(died)
        return (yield from self._ending.after_death(reason))

    def _start(self) -> Waits[None]:
        """Have the trainer run the trial, from its newest checkpoint if it has one."""
        self._position = position = yield from self._lease.position(list(self._skipped))
        self._curve = self._new_curve(None if position is None else position.last)
        self._limits.started(0.0 if position is None else position.seconds)
        self._trainer.train(
            Train(
                objective=self._spec.objective.name,
                number=self._claim.lease.number,
                params=typed_params(self._objective, self._claim.params),
                settings=self._spec.objective.settings,
                seed=self._claim.training_seed,
                device=self._pace.device,
                threads=self._spec.threads,
                parts=self._parts,
                hold_at=self._lease.runs_out_at,
                checkpoint_s=self._keep.interval_s,
                place=self._keep.place(self._claim),
                resume=None if position is None else Resume(checkpoint=position.checkpoint, before=counted(position.last)),
                notes=list(self._skipped.values()),
            )
        )

    def _handle(self, message: FromTrainer) -> Waits[Result | None]:
        """Handle a message; returns the trial's result when the message ends it."""
        match message:
            case Measured():
                return (yield from self._measured(message))
            case Resumed():
                return (yield from self._resumed())
            case Unusable(reason=reason, damaged=damaged):
                assert self._position is not None
                unusable = self._position.checkpoint
                self._skipped[unusable.id] = f"The checkpoint at step {unusable.step} cannot be used: {reason}"
                yield from self._lease.pass_over(self._position, reason, damaged=damaged)
                if self._heartbeat.leaving is not None:  # the run ended before it read the command to suspend
                    yield from self._heartbeat.give_back(self._heartbeat.leaving)
                yield from self._start()  # from the checkpoint before it
            case Checkpointed(checkpoint=checkpoint):
                answer, paths = yield from self._lease.keep_checkpoint(checkpoint)
                checkpoint_files.delete(self._keep.folder, paths)
                self._heartbeat.handle(answer)
            case NotCheckpointed(step=step, reason=reason):
                yield from self._lease.checkpoint_failed(step, reason)
            case Trained():
                return self._curve.completed(
                    message.test_metrics,
                    message.guessing,
                    value=message.value,
                    user_attrs=message.user_attrs,
                    pruned=message.pruned,
                )
            case Raised():
                yield from self._ending.examine_worker()
                error = TrialError(type=message.type, message=message.message, traceback=message.traceback)
                return Failed(error=error, for_every_trial=message.for_every_trial)
            case Lost(reason=reason):
                raise TrainerDied(reason)
            case Stopped():
                yield from self._heartbeat.give_back(self._heartbeat.leaving or "it was stopped")
        return None

    def _measured(self, message: Measured) -> Waits[Result | None]:
        item = message.measurement
        failed = self._curve.take(item)
        if failed is not None:
            yield from self._trainer.stop()
            return failed
        self._lease.add(item)
        if self._curve.divergence is not None and item.divergence is None:
            yield from self._trainer.stop()  # the run itself has not noticed
            return self._curve.divergence
        if not message.waits:
            return None
        ended = self._curve.ended_at(item)
        if isinstance(ended, Infeasible):
            # Before the pruner is asked: it would end the trial as one with an ordinary bad value.
            yield from self._trainer.stop()
            return ended
        yield from self._heartbeat.report()
        if self._heartbeat.leaving is not None:
            return None  # the next attempt asks the pruner
        result = yield from self._ask_pruner(item)
        if result is None:
            self._trainer.send(Command.GO_ON)
        return result

    def _resumed(self) -> Waits[Result | None]:
        position = self._position
        assert position is not None
        last = position.last
        yield from self._lease.resumed(last.step)
        self._curve.go_on_after((yield from self._lease.measured_until(last.step)))
        # The previous attempt may have ended after this step and before the pruner's decision on it.
        if self._parts is not None and is_pruning_step(counted(position.before), last.fraction, last.in_warmup, self._parts):
            return (yield from self._ask_pruner(last))
        return None

    def _ask_pruner(self, last: Measurement) -> Waits[Result | None]:
        """The result if the pruner ends the trial here: pruned, or infeasible if its value is not a number. None: it goes on."""
        prune = yield from self._lease.should_prune()
        if not prune:
            return None
        noted = yield from self._trainer.stop()
        return self._curve.ended_at(last, user_attrs=noted)

    def _enforce_limits(self) -> Waits[Result | None]:
        """The result of a trial that is out of time, else None. Raises TrainerDied, as `LimitsOfAttempt.enforce` does."""
        if self._curve.divergence is not None:
            return None  # the divergence is its result; the run is about to end
        stopped_by = self._limits.enforce()
        if stopped_by is None:
            return None
        noted = yield from self._trainer.stop()
        last = yield from self._lease.furthest()  # an earlier attempt may have come further than this one
        if last is None:
            return Failed(error=TrialError(type="TimeLimit", message=f"nothing was measured within {stopped_by}"))
        return self._curve.ended_at(last, stopped_by=stopped_by, user_attrs=noted)

    def _new_curve(self, last: Measurement | None) -> Curve:
        return Curve(self._spec.metric, last, is_minimized=self._spec.direction == "minimize")

    @property
    def _parts(self) -> int | None:
        return None if isinstance(self._spec.pruner, NoPruner) else self._spec.pruner.parts
