"""A trial that this process has claimed: `with trial:` trains it."""

import contextlib
import logging
import traceback
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Self, TypeGuard

from stride import generators
from stride.client.leased import LEASE_LOST, STOP, Leased
from stride.errors import Refused, ServiceFailed, Unreachable
from stride.optuna_trial import is_pruned
from stride.reporting import Reports, Stopped
from stride.running import current
from stride.trial import Trial

TRACEBACK_LINES = 40

log = logging.getLogger("stride")


class ClaimedTrial(Trial):
    """One trial of a job, held by this process while the block `with trial:` runs.

    The block's end finishes it. An exception makes it a failed trial and goes no further, since the next trial may do better;
    KeyboardInterrupt and SystemExit give the trial back, to be gone on with, and leave. Where the block was told to stop, a
    further report ends it.
    """

    def __init__(
        self,
        leased: Leased,
        metric: str,
        declared: Collection[str],
        params: Mapping[str, Any],
        seed: int,
        device: str,
        trial_number: int,
        attempt: int,
    ) -> None:
        super().__init__(Reports(leased), metric, params, seed, device, trial_number)
        self.declared = frozenset(declared)
        self.attempt = attempt
        """Counted from 1; a later one takes over where an earlier one was lost or given back."""
        self.result: str | None = None
        """What has become of it: completed, infeasible (it diverged), pruned or failed; None: it has not ended here."""
        self.value: float | None = None
        """Of the job's metric, where it has ended with one."""
        self.was_entered, self.was_given_back = False, False
        self._leased = leased
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self.was_entered:
            raise RuntimeError(f"trial {self.number} was trained already: a trial has one block")
        if self.was_given_back:
            raise RuntimeError(f"trial {self.number} was given back: train it within the loop over job.trials()")
        self.was_entered = True
        self._leased.begin()
        generators.seed(self.seed)
        self._running.enter_context(current(self))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        self._running.close()
        if error is None:
            try:
                self.end(None)
            except BaseException as raised:
                error, trace = raised, None
        ended_early = isinstance(error, Stopped) or (error is not None and self._reports.stopping and is_pruned(error))
        failure = None if ended_early else error
        try:
            if failure is None or _is_of_the_trial(failure):
                self._finish(failure)
                return True
            self._leased.release(f"the client left: {type(failure).__name__}", is_whole=False)
        finally:
            self._reports.end()
        if trace is None:
            raise failure
        return False

    def _finish(self, failure: Exception | None) -> None:
        """End the trial, or give it back where the job is paused or stopped. Raises StrideError."""
        failure = failure or self._leased.failure
        if failure is not None:
            log.error("Trial %d failed: %s", self.number, _document(failure)["traceback"])
        elif self._leased.answer == STOP:
            self._leased.release("the client was told to stop", is_whole=True)
            return
        try:
            ended = self._leased.finish(self._reports.attributes, None if failure is None else _document(failure))
        except Refused as refused:
            if refused.kind == LEASE_LOST:
                self._warn_of_loss()
            elif failure is None:  # what was left to send was no good
                self._finish(refused)
            else:
                raise
        else:
            self.result, self.value = ended["result"], ended["value"]

    def _warn_of_loss(self) -> None:
        log.warning(
            "The lease of trial %d was lost, so what this process measured of it since then does not count: the service could not"
            " be reached in time, or the job was cancelled. Another process may go on with it.",
            self.number,
        )


def _is_of_the_trial(error: BaseException) -> TypeGuard[Exception]:
    """Whether an error is the trial's own, and not a reason to leave."""
    return isinstance(error, Exception) and not isinstance(error, Unreachable | ServiceFailed)


def _document(error: Exception) -> dict[str, str]:
    text = str(error) if isinstance(error, Refused) else "".join(traceback.format_exception(error))
    lines = text.strip().splitlines()
    return {"type": type(error).__name__, "message": str(error), "traceback": "\n".join(lines[-TRACEBACK_LINES:])}
