"""How an attempt ends: with its result stored, with a next attempt, or, if the worker is at fault, with the trial given back."""

from typing import NoReturn

import structlog

from objectives.contract import Objective
from service.dispatch.attempt import Claim
from service.dispatch.outcome import Completed, Curve, Result, notes
from service.domain.events import Event
from service.store import checkpoint_files
from service.worker import checkpointing
from service.worker.best_models import BestModels
from service.worker.checkpointing import CheckpointSettings
from service.worker.heartbeat import Heartbeat, NoTimeLeft
from service.worker.lease import HeldLease, ids
from service.worker.trainer.kept import KeptTrainer
from service.worker.trainer.messages import Checkpointed, NoModel, NotCheckpointed, SaveModel
from service.worker.waiting import Waits

log = structlog.get_logger()


class Unfit(Exception):
    """This worker cannot train an objective, for reasons of its own. The trial has been given back."""

    def __init__(self, objective: str, problem: str) -> None:
        super().__init__(problem)
        self.objective = objective
        self.problem = problem


class Ending:
    """The end of one attempt."""

    def __init__(
        self,
        lease: HeldLease,
        objective: Objective,
        trainer: KeptTrainer,
        heartbeat: Heartbeat,
        keep: CheckpointSettings,
        best_models: BestModels,
        device: str,
    ) -> None:
        self._lease = lease
        self._claim = lease.claim
        self._objective = objective
        self._trainer = trainer
        self._heartbeat = heartbeat
        self._keep = keep
        self._best_models = best_models
        self._device = device

    def finish(self, result: Result, curve: Curve) -> Waits[None]:
        """Store the trial's result, and the weights of the best trial so far."""
        claim = self._claim
        if isinstance(result, Completed):
            yield from self._keep_model(result, curve)
        noted = notes(result, curve, self._objective, claim.job.phase.spec, claim.lease, claim.params)
        yield from self._lease.finish(result, noted, self._trainer.log_tail())
        if isinstance(result, Completed):
            self._best_models.finished(claim, result.value)

    def after_death(self, reason: str) -> Waits[Claim | None]:
        """Replace the trainer; returns the trial's next attempt, None when no attempts are left. Raises Unfit, Dropped."""
        log.warning(Event.TRAINER_DIED, reason=reason, **ids(self._claim))
        log_tail = self._trainer.log_tail()
        self._trainer.replace()
        problem = yield from self._find_problem(reason)
        if problem is not None:
            yield from self._set_aside(problem)
        return (yield from self._lease.next_attempt(reason, log_tail))

    def examine_worker(self) -> Waits[None]:
        """Before a trial is failed for an exception: raises Unfit, with the trial given back, when the worker is at fault."""
        problem = yield from self._find_problem()
        if problem is None:
            return
        # The trial may have broken its process, as an error on a GPU does: then the worker is not at fault.
        self._trainer.replace()
        problem = yield from self._find_problem()
        if problem is not None:
            yield from self._set_aside(problem)

    def _keep_model(self, result: Completed, curve: Curve) -> Waits[None]:
        """Save the weights of the best trial so far. If that fails, the result is stored all the same."""
        if not self._best_models.wants(self._claim, result.value):
            return
        assert curve.last is not None
        step = result.best_step or curve.last.step
        question = SaveModel(step=step, metadata=checkpointing.model_metadata(self._claim, result.value))
        try:
            answer = yield from self._trainer.save_model(question, meanwhile=self._heartbeat.keep_alive)
        except NoTimeLeft:
            answer = "its worker had to stop before the weights were saved"
        match answer:
            case Checkpointed(checkpoint=checkpoint):
                paths = yield from self._lease.keep_model(checkpoint)
                checkpoint_files.delete(self._keep.folder, paths)
            case NoModel():
                self._best_models.has_none(self._claim)
            case NotCheckpointed(reason=reason) | str(reason):
                yield from self._lease.checkpoint_failed(step, reason)

    def _find_problem(self, why: str = "the objective raised") -> Waits[str | None]:
        """Why this worker cannot train the objective at all; None when it can. Gives the trial back if no time is left."""
        problem: str | None = None
        try:
            problem = yield from self._trainer.find_problem(
                self._objective.name, self._device, self._keep.folder_name, meanwhile=self._heartbeat.keep_alive
            )
        except NoTimeLeft:
            yield from self._heartbeat.give_back(f"its worker had to stop after this: {why}")
        return problem

    def _set_aside(self, problem: str) -> Waits[NoReturn]:
        objective = self._objective.name
        yield from self._lease.release(f"its worker cannot train {objective}: {problem}", self._trainer.log_tail())
        raise Unfit(objective, problem)
