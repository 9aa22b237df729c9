"""A lease: one attempt at a trial, and the only right to write it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Outcome(StrEnum):
    """How a lease ended."""

    FINISHED = "finished"
    """Its worker stored the trial's result."""
    STOPPED = "stopped"
    """The job became final and ended the trial."""
    TRAINER_DIED = "trainer_died"
    """The training process was killed or exited."""
    VANISHED = "vanished"
    """It expired, and another worker took the trial over."""
    RELEASED = "released"
    """Its worker gave the trial back, because it was draining or unfit or the job was paused."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A lease as the API shows it."""

    attempt: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: Outcome | None
    reason: str | None
    from_step: int | None
    """The step of the checkpoint from which it continued; None: it started from the beginning."""


INTERRUPTED = "interrupted"
"""What attempts have come to that ended without a result: another one has gone on, from a checkpoint or from the beginning."""


@dataclass(frozen=True, kw_only=True)
class TimeSpent:
    """Time that workers have spent on a job."""

    on: str
    """The state of the trials, or INTERRUPTED."""
    attempts: int
    seconds: float
    """From claim to end, loading included; of attempts that have not ended, up to now."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to write one trial, held by whoever knows the token."""

    id: int
    token: UUID
    job_id: UUID
    trial_id: int
    number: int
    """The trial's number in its job."""
    attempt: int
    """Counts from 1; larger than 1 after a takeover."""
