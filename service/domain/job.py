"""A job as stored, and the states it goes through."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from service.domain.phase import PHASE, Phase
from service.domain.request import Budget
from service.domain.space import Point, SearchSpace, fixed
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
    """As submitted, defaults filled."""
    budget: Budget
    """As it stands: it may be changed while the job runs."""
    phases: tuple[Phase, ...]
    """Those that have begun, in order; the last is the current one."""
    study_id: int
    study_name: str
    next_point: int
    """The current phase's own trials begun so far, of a grid and of uniform draws with replicates: it tells which point is the
    next."""
    failures_in_a_row: int
    """Failed trials since the last success."""
    deadline_at: datetime | None
    """When `budget.seconds` runs out, while running."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def phase(self) -> Phase:
        """The current one."""
        return self.phases[-1]

    @property
    def search_space(self) -> SearchSpace:
        """The current phase's."""
        return self.phase.spec.search_space

    def phase_of(self, system_attrs: Mapping[str, Any]) -> Phase:
        """The phase in which a trial was claimed; the first where it names none, or something that no phase has."""
        position = system_attrs.get(PHASE, 0)
        if type(position) is not int or position < 0:
            return self.phases[0]
        return self.phases[min(position, len(self.phases) - 1)]

    def agrees(self, params: Point) -> bool:
        """Whether a trial has what the current phase fixes, where an earlier one may have searched it."""
        return len(self.phases) == 1 or all(params.get(name, value) == value for name, value in fixed(self.search_space).items())

    def as_of(self, phase: Phase) -> Self:
        """The job as whoever trains a trial of that phase must see it, also when others have begun since."""
        return self if phase is self.phase else replace(self, phases=self.phases[: phase.position + 1])
