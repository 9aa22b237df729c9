"""What one trial may take, by its job's `limits` (docs/decisions/0007): its time, that of a step, memory."""

import math
import time

from service.domain.request import Limits
from service.worker.retrying import RetryingDatabase
from service.worker.trainer.kept import LOOK_UP_S, KeptTrainer
from service.worker.trainer.process import TrainerDied


class LimitsOfAttempt:
    """The limits of a trial, looked at while an attempt trains. Its clock stands still while the database does not answer."""

    def __init__(self, limits: Limits, database: RetryingDatabase, trainer: KeptTrainer) -> None:
        self._limits = limits
        self._database = database
        self._trainer = trainer
        self._started_at = self._heard_at = 0.0
        self._weigh_at = -math.inf
        """When the trainer's memory is looked at again."""

    def started(self, before_s: float) -> None:
        """A run begins. before_s: what the trial was trained for up to the checkpoint that it goes on from."""
        self._heard_at = self._clock()
        self._started_at = self._heard_at - before_s

    def step_begins(self) -> None:
        """What came before, as to store a step, is no part of the next one."""
        self._heard_at = self._clock()

    def enforce(self) -> str | None:
        """What the trial has run out of, if it is time. Raises TrainerDied when the training process is stuck or too large."""
        limits, now = self._limits, self._clock()
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
        return f"limits.trial_seconds, {limits.trial_seconds:g} s"

    def _clock(self) -> float:
        return time.monotonic() - self._database.waited_s
