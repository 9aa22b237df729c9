"""A job that can be run: a request with all defaults filled in."""

from pydantic import Field

from service.domain.meaning import Meaning
from service.domain.objective import Direction, Name
from service.domain.request import Budget, JobRequest
from service.domain.space import SearchSpace


class JobSpec(JobRequest):
    """A job that can be run. `submission.complete` makes it from a request; its JSON document is a valid request."""

    search_space: SearchSpace
    budget: Budget
    metric: Name
    direction: Direction = Field(exclude=True)  # stored with the Optuna study, so not in the document
    meaning: Meaning = Field(exclude=True)  # stored in a column of the job, so not in the document

    @property
    def cost_sign(self) -> float:
        """The factor that converts the metric to a cost, and back. Lower costs are better."""
        return 1.0 if self.direction == "minimize" else -1.0

    @property
    def threads(self) -> int:
        """The number of CPU threads of a training run: 1 unless a setting says otherwise."""
        threads = self.objective.settings.get(self.meaning.threads) if self.meaning.threads else None
        return 1 if threads is None else int(threads)
