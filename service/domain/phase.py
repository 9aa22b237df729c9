"""A part of a job with a search space and a strategy of its own, and a share of the job's budget of trials."""

from dataclasses import dataclass

from service.domain.spec import JobSpec

PHASE = "stride:phase"
"""System attribute of a trial: the position of the phase in which it was claimed. Absent: the first."""

SEARCH = "search"
"""The name of a plain job's only phase."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase that has begun. Nothing of this changes any more, so it may be kept in memory; its share of the budget may."""

    position: int = 0
    name: str = SEARCH
    spec: JobSpec
    """The job with the phase's space and strategy: what search and answers take."""
    counts_points: bool = False
    """Whether its share counts the points begun, and not the trial numbers."""
    first_number: int = 0
    """The trial number that was next when it began."""
