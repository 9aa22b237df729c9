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
    """No trial may be claimed; running ones are released and continue at resume."""
    COMPLETED = "completed"
    """The trial budget is used up, the target is reached or the time is over."""
    FAILED = "failed"
    """Too many trials in a row failed, all of them failed, or no point could be drawn."""
    CANCELLED = "cancelled"
    """A user cancelled it."""


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
"""The states that a job may move to, by its current state."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as stored."""

    id: UUID
    name: str | None
    state: JobState
    reason: str | None
    spec: JobSpec
    """The job as submitted, with defaults filled in."""
    budget: Budget
    """The current budget, which may be changed while the job runs."""
    phases: tuple[Phase, ...]
    """The phases that have begun, in order; the last is the current one."""
    objective_sha256: bytes | None = None
    """Which version of its objective may train it, by declaration and source; None: any, as of one that is built in."""
    source: str | None = None
    """Where its first trials were imported from; None: it has trained them itself."""
    study_id: int
    study_name: str
    share: int | None = None
    """The current phase's share of the budget, in trials; None: all that the job has left."""
    has_next_phase: bool = False
    """Whether a phase follows the current one."""
    is_late: bool = False
    """Whether what is left of `budget.seconds` was only for later phases when the row was read."""
    next_point: int
    """For a grid, and for uniform draws with replicates: how many of the current phase's own trials have begun, which gives the
    next point."""
    failures_in_a_row: int
    """Failed trials since the last success."""
    deadline_at: datetime | None
    """When `budget.seconds` runs out; set while the job is running."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def phase(self) -> Phase:
        """The current phase."""
        return self.phases[-1]

    @property
    def can_run_on(self) -> bool:
        """Whether it has ended and may be extended by trials: a failed job may not, and a grid has no further points."""
        return self.state in (JobState.COMPLETED, JobState.CANCELLED) and not self.phases[0].counts_points

    @property
    def search_space(self) -> SearchSpace:
        """The search space of the current phase."""
        return self.phase.spec.search_space

    def phase_of(self, system_attrs: Mapping[str, Any]) -> Phase:
        """The phase in which a trial was claimed, by its system attributes.

        The first phase where the attribute is missing or invalid, the last where its position is too large.
        """
        position = system_attrs.get(PHASE, 0)
        if type(position) is not int or position < 0:
            return self.phases[0]
        return self.phases[min(position, len(self.phases) - 1)]

    def drawn_number(self, number: int) -> int:
        """The number by which the current phase draws the trial `number`: confirming trials are not counted.

        So a search that goes on after a confirming phase draws what it would have drawn without one.
        """
        return number - self.phase.confirming

    def agrees(self, params: Point) -> bool:
        """Whether a trial has the values that the current phase fixes; an earlier phase may have searched those parameters."""
        return len(self.phases) == 1 or all(params.get(name, value) == value for name, value in fixed(self.search_space).items())

    def as_of(self, phase: Phase) -> Self:
        """The job with `phase` as its current phase, to train a trial of that phase after a later one has begun."""
        return self if phase is self.phase else replace(self, phases=self.phases[: phase.position + 1])
