"""A job as stored, and the states it goes through."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from service.domain.spec import JobSpec


class JobState(StrEnum):
    """The states of a job."""

    QUEUED = "queued"
    """Submitted; no trial has been claimed yet."""
    RUNNING = "running"
    """Workers may claim trials."""
    PAUSED = "paused"
    """No trial may be claimed; running ones are released and go on at resume."""
    COMPLETED = "completed"
    """The budget is used up, the target reached or the time over."""
    FAILED = "failed"
    """Too many trials in a row failed."""
    CANCELLED = "cancelled"
    """Somebody cancelled it."""


FINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
OPEN = frozenset(JobState) - FINAL

MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.PAUSED, JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}),
    JobState.PAUSED: frozenset({JobState.RUNNING, JobState.QUEUED, JobState.CANCELLED}),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
"""From each state, the states it may move to."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as stored."""

    id: UUID
    name: str | None
    state: JobState
    reason: str | None
    spec: JobSpec
    study_id: int
    study_name: str
    next_point: int
    """Own trials begun so far, of a grid and of uniform draws with replicates: it tells which point is the next."""
    counts_points: bool
    """Whether `budget.trials` counts the points begun, and not the trial numbers."""
    failures_in_a_row: int
    """Failed trials since the last success."""
    deadline_at: datetime | None
    """When `budget.seconds` runs out, while running."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
