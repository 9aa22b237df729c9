"""The common base of strategies that use an Optuna sampler."""

from collections.abc import Iterator

from service.domain.meaning import Meaning
from service.domain.request import JobRequest
from service.domain.space import CategoricalRange, Range, Scalar, SearchSpace, searched
from service.domain.spec import JobSpec
from service.errors import Invalid
from service.search.sampling import Proposal, propose
from service.search.snapshot import StudySnapshot
from service.search.strategies.protocol import Strategy


class Sampled(Strategy):
    """Every point is drawn by an Optuna sampler until the budget is used up."""

    def check(self, request: JobRequest, space: SearchSpace, meaning: Meaning) -> Iterator[Invalid]:
        if not searched(space):
            yield Invalid("/search_space", "nothing is left to search: give at least one parameter a range")
        if request.budget and request.budget.trials is None and request.budget.seconds is None and request.budget.target is None:
            yield Invalid("/budget", "the job would never end: give trials, seconds or a target")

    def n_points(self, space: SearchSpace) -> int | None:
        return None

    def axis(self, name: str, dimension: Range) -> list[Scalar] | None:
        return list(dimension.choices) if isinstance(dimension, CategoricalRange) else None

    def propose(self, spec: JobSpec, snapshot: StudySnapshot, *, number: int, next_point: int, first_number: int = 0) -> Proposal:
        return propose(spec, snapshot, self.sampler, number=number)
