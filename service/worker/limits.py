"""The limits of one trial, as its job's `limits` state them (docs/decisions/0007): total time, time for each step, memory."""

import math
import time

from service.domain.request import Limits
from service.worker.retrying import RetryingDatabase
from service.worker.trainer.kept import LOOK_UP_S, KeptTrainer
from service.worker.trainer.process import TrainerDied


class LimitsOfAttempt:
    """The limits of a trial, checked while an attempt trains. Time in which the database does not answer does not count."""

    def __init__(self, limits: Limits, database: RetryingDatabase, trainer: KeptTrainer) -> None:
        self._limits = limits
        self._database = database
        self._trainer = trainer
        self._started_at = self._step_began_at = 0.0
        self._check_memory_at = -math.inf
        """When the trainer's memory is checked again."""

    def started(self, before_s: float) -> None:
        """Start the clock of a run. before_s: seconds of training before the checkpoint that it resumes from."""
        self._step_began_at = self._clock()
        self._started_at = self._step_began_at - before_s

    def step_begins(self) -> None:
        """Start the clock of the next step: what came before, such as storing the last one, does not count."""
        self._step_began_at = self._clock()

    def enforce(self) -> str | None:
        """The time limit that ends the trial, in words, if one does.

        Raises TrainerDied when the training process is stuck or uses too much memory.
        """
        limits, now = self._limits, self._clock()
        if limits.memory_mb is not None and time.monotonic() >= self._check_memory_at:
            self._check_memory_at = time.monotonic() + LOOK_UP_S
            if (held := self._trainer.memory_mb()) > limits.memory_mb:
                raise TrainerDied(
                    f"the trainer process held {held:,.0f} MB, more than limits.memory_mb, {limits.memory_mb:,}: it was killed"
                )
        if limits.step_seconds is not None and now - self._step_began_at > limits.step_seconds:
            raise TrainerDied(
                f"no step ended within limits.step_seconds, {limits.step_seconds:g} s: the trainer process was killed"
            )
        if limits.trial_seconds is None or now - self._started_at <= limits.trial_seconds:
            return None
        return f"limits.trial_seconds, {limits.trial_seconds:g} s"

    def _clock(self) -> float:
        return time.monotonic() - self._database.waited_s
