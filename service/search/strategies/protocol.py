"""What a strategy answers."""

from collections.abc import Iterator
from typing import Protocol

from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from service.domain.request import JobRequest
from service.domain.space import Range, Scalar, SearchSpace
from service.domain.spec import JobSpec
from service.errors import Invalid
from service.search.sampling import Proposal
from service.search.snapshot import StudySnapshot


class Strategy(Protocol):
    """How a job chooses its points. It keeps no state: what it answers follows from what it is given, whoever asks."""

    needs_history: bool
    """Whether the next point depends on the study: then it is thought of with no transaction open."""
    counts_points: bool = False
    """Whether its share of the budget counts the points that the job's row counts, and not the trial numbers."""
    keeps_attrs: bool = False
    """Whether the sampler keeps anything in the study's system attributes."""

    def check(self, request: JobRequest, space: SearchSpace) -> Iterator[Invalid]:
        """What keeps the request from being run so. space: its search space, defaults filled."""

    def n_points(self, space: SearchSpace) -> int | None:
        """How many points there are to try; None: as many as one likes."""

    def axis(self, name: str, dimension: Range) -> list[Scalar] | None:
        """The values that one parameter takes, each as often as the others; None: any that lies in its range."""

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        """What draws a trial's point, or what is left open of it when it was enqueued."""

    def propose(self, spec: JobSpec, snapshot: StudySnapshot, *, number: int, next_point: int, first_number: int = 0) -> Proposal:
        """The trial `number`. Raises Unsampleable.

        spec: trials end before the number that its budget names. snapshot: of the study; empty where no history is needed.
        next_point: of the job's row, which the caller has locked unless history is needed: then it means nothing. first_number:
        the number that was next when the strategy began; those before it are other strategies'.
        """

    def may_repeat(self, spec: JobSpec, number: int) -> bool:
        """Whether the trial `number` may repeat a point for its results, which nobody can tell beforehand."""
        return False

    def is_repeat(self, spec: JobSpec, trial: FrozenTrial) -> bool:
        """Whether a trial repeats a point for its results.

        Pruners neither end nor see such a trial: that only the lucky seeds of a point come through would be no measure of its
        noise, and points that are repeated since they are good would raise the bar for those that explore.
        """
        return False
