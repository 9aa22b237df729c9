"""Steps that were trained again although their measurements were stored, because an attempt resumed from a checkpoint."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.history import JobHistory, Trial

NOTHING_S = 1e-6
"""For rounding in sums of seconds."""


@dataclass(frozen=True, kw_only=True)
class SetBack:
    """An attempt that began before the last stored step of its trial."""

    number: int
    """Number of the trial."""
    attempt: int
    from_step: int
    highest_step: int
    """Stored before."""
    trained_again: int
    """How many of those steps it stored again: it may have ended before it reached them all."""
    seconds: tuple[float, ...]
    """The shortest training time of each of those steps, in seconds."""
    intervals: int
    """Checkpoint intervals that it may lose: one, and one for each checkpoint that was damaged or could not be written."""

    def excess_s(self, interval_s: float) -> float:
        """Seconds of training that it lost beyond what is allowed.

        A checkpoint is taken at the first end of a step that comes an interval after the one before: so an interval, and the
        step under way.
        """
        allowed_s = self.intervals * (interval_s + max(self.seconds, default=0.0))
        return sum(self.seconds) - allowed_s - NOTHING_S


def set_backs(job: JobHistory, trial: Trial) -> Iterator[SetBack]:
    """Each attempt at the trial that began before the end of what was stored."""
    highest = 0
    for lease in trial.leases:
        start = lease.from_step or 0
        # One that stored nothing may have ended before it recorded the step it resumed from.
        if lease.last_step is not None and start < highest:
            before = [written for written in trial.written if written.at < lease.started_at]
            seconds = tuple(
                min((written.seconds for written in before if written.step == step), default=0.0)
                for step in range(start + 1, highest + 1)
            )
            troubles = [
                event
                for event in job.events_of(trial)
                if event.type in ("checkpoint.damaged", "checkpoint.failed")
                and event.payload["step"] >= start
                and event.at < (lease.ended_at or event.at + 1)
            ]
            yield SetBack(
                number=trial.number,
                attempt=lease.attempt,
                from_step=start,
                highest_step=highest,
                trained_again=min(lease.last_step, highest) - start,
                seconds=seconds,
                intervals=1 + len(troubles),
            )
        highest = max(highest, lease.last_step or 0)
