"""Confirmation: the points that the search found best are trained again, in turn, each time with another training seed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from service.domain.job import Job
from service.domain.meaning import Meaning
from service.domain.request import JobRequest
from service.domain.space import Range, Scalar, SearchSpace, searched
from service.domain.spec import JobSpec
from service.domain.strategy import Confirm, PhaseStrategies
from service.domain.trial import Trial
from service.errors import Invalid
from service.search.samplers import at_random
from service.search.sampling import Proposal, Unsampleable, at_point
from service.search.snapshot import StudySnapshot
from service.search.strategies.protocol import Curves, Strategy


class Confirmation(Strategy):
    """Each trial takes the candidate that has been begun least often. Its points are counted, so foreign trials take none."""

    needs_history = False
    counts_points = True
    needs_results = True

    def check(self, request: JobRequest, space: SearchSpace, meaning: Meaning) -> Iterator[Invalid]:
        yield Invalid("/strategy", "confirm is no strategy of a job: give budget.confirm")

    def n_points(self, space: SearchSpace) -> int | None:
        return None

    def axis(self, name: str, dimension: Range) -> list[Scalar] | None:
        return None

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        return at_random(job_seed, number)

    def begin(
        self, job: Job, trials: Sequence[Trial], curves: Curves, *, n_trials: int | None, more_to_come: bool
    ) -> PhaseStrategies | None:
        """The candidates: the answered point, and points of the best trials. None where there is nothing to choose from."""
        # Imported here, since it imports numerics that the start of a worker need not wait for.
        from service.analysis.model.retraining import candidates

        names = searched(job.search_space)
        points = [{name: point[name] for name in names} for point in candidates(job, trials, curves, trials_left=n_trials)]
        return Confirm(candidates=points) if len(points) > more_to_come else None

    def propose(self, spec: JobSpec, snapshot: StudySnapshot, *, number: int, next_point: int, first_number: int = 0) -> Proposal:
        assert isinstance(spec.strategy, Confirm)
        if not spec.strategy.candidates:
            raise Unsampleable("the phase has no candidates")
        candidate = next_point % len(spec.strategy.candidates)
        proposal = at_point(spec, number, spec.strategy.candidates[candidate], 0)
        return replace(proposal, candidate=candidate, takes_point=True)

    def is_repeat(self, spec: JobSpec, trial: FrozenTrial) -> bool:
        return True
