"""A part of a job with a search space and a strategy of its own, and a share of the job's budget of trials."""

from dataclasses import dataclass

from service.domain.spec import JobSpec

PHASE = "stride:phase"
"""System attribute of a trial: the position of the phase in which it was claimed. Absent: the first phase."""

CONFIRMS = "stride:candidate"
"""System attribute of a trial that trains a point again to confirm it: the index among its phase's candidates. Samplers and
pruners do not see such a trial."""

SEARCH = "search"
"""The name of a phase that searches."""

CONFIRM = "confirm"
"""The name of a phase that trains what the search has found again, with fresh seeds."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase that has begun. These fields no longer change and may be cached; the phase's share of the budget may change."""

    position: int = 0
    name: str = SEARCH
    spec: JobSpec
    """The job's spec with the phase's search space and strategy, for search and answers."""
    counts_points: bool = False
    """Whether its share of the budget counts the points begun instead of trial numbers."""
    first_number: int = 0
    """The next trial number at the time the phase began."""
    confirming: int = 0
    """How many trial numbers below `first_number` confirming phases took."""

    @property
    def is_confirming(self) -> bool:
        """Whether it trains again what the search has found."""
        return self.name == CONFIRM
