"""A job that can be run: what a request leaves out has its value."""

from pydantic import Field

from service.domain.meaning import Meaning
from service.domain.request import Budget, Direction, JobRequest, Name
from service.domain.space import SearchSpace


class JobSpec(JobRequest):
    """A job that can be run: `submission.complete` makes it of a request. Its document is a request, too."""

    search_space: SearchSpace
    budget: Budget
    metric: Name
    direction: Direction = Field(exclude=True)  # the job's study keeps it: it is no part of the document
    meaning: Meaning = Field(exclude=True)  # nor is this: the job keeps what its objective declared

    @property
    def cost_sign(self) -> float:
        """What makes a cost of the metric, and a metric of the cost: lower costs are better."""
        return 1.0 if self.direction == "minimize" else -1.0

    @property
    def threads(self) -> int:
        """With how many CPU threads a run computes: one, unless a setting says otherwise."""
        name = self.meaning.threads
        return 1 if name is None else int(self.objective.settings.get(name, 1))
