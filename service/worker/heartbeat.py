"""Keeps an attempt's lease while its trainer works: reports in time, and gives the trial back when asked to."""

import math
import time
from collections.abc import Callable
from typing import NoReturn

from service.dispatch.renew import Answer
from service.worker.lease import HeldLease
from service.worker.retrying import Dropped, RetryingDatabase
from service.worker.trainer.kept import LOOK_UP_S, KeptTrainer
from service.worker.trainer.messages import Command, Renewed
from service.worker.trainer.process import STOP_S
from service.worker.waiting import Wait, Waits


class NoTimeLeft(Exception):
    """The worker has to stop now."""


class Heartbeat:
    """Reports for one attempt.

    on_heartbeat: called about as often as the lease is renewed.
    seconds_left: how many more seconds the step under way may take; infinite until the worker is asked to stop.
    """

    def __init__(
        self,
        lease: HeldLease,
        database: RetryingDatabase,
        trainer: KeptTrainer,
        on_heartbeat: Callable[[], None],
        seconds_left: Callable[[], float],
    ) -> None:
        self.leaving: str | None = None
        """Why the trial is about to be given back, once the trainer has the command to take a checkpoint and stop."""
        self._lease = lease
        self._database = database
        self._trainer = trainer
        self._on_heartbeat = on_heartbeat
        self._seconds_left = seconds_left
        self._leave_by = math.inf

    def wait(self) -> Wait:
        """Wait for the trainer until a report is due; never long, to notice a request to stop."""
        return Wait(min(self._lease.due_at(), time.monotonic() + LOOK_UP_S, self._leave_by))

    def report_if_due(self) -> Waits[None]:
        """Renew the lease, or store what was measured, when it is time."""
        if time.monotonic() >= self._lease.due_at():
            yield from self.report()
            self._database.ask_once(self._on_heartbeat)

    def report(self) -> Waits[None]:
        """Renew the lease, and store what was measured."""
        answer = yield from self._lease.report(self._trainer.log_tail())
        self.handle(answer)

    def handle(self, answer: Answer) -> None:
        """Handle the answer to a report: pass the new expiry on to the trainer, or start to give the trial back."""
        if answer is Answer.GIVE_BACK:
            self._leave("its job was paused", within_s=STOP_S)
        else:
            self._trainer.send(Renewed(hold_at=self._lease.runs_out_at))

    def leave_if_asked(self) -> Waits[None]:
        """Give the trial back when the worker is asked to stop; in the middle of a step when that takes too long.

        The same when the job was paused. Raises Dropped when the trial has been given back.
        """
        stopping = self._seconds_left() < math.inf
        if stopping and self.leaving is None:
            self._leave("its worker is stopping", within_s=math.inf)
        if self.leaving is None or (self._seconds_left() > 0 and time.monotonic() < self._leave_by):
            return
        if stopping:
            self._trainer.end()  # the worker needs no other one
        else:
            self._trainer.replace()
        yield from self.give_back(f"{self.leaving}; the step under way was given up")

    def give_back(self, reason: str) -> Waits[NoReturn]:
        """End the lease, so that another worker can take over at once. Raises Dropped."""
        yield from self._lease.release(reason, self._trainer.log_tail())
        raise Dropped

    def keep_alive(self) -> Waits[None]:
        """Keep the lease while the trainer does something other than training. Raises NoTimeLeft."""
        yield from self.report_if_due()
        if self._seconds_left() <= 0:
            raise NoTimeLeft

    def _leave(self, reason: str, *, within_s: float) -> None:
        """Have the trainer take a checkpoint at the end of the step under way, and stop: the trial is to be given back."""
        self._leave_by = min(self._leave_by, time.monotonic() + within_s)
        if self.leaving is None:
            self.leaving = reason
            self._trainer.send(Command.SUSPEND)
