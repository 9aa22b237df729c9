"""The next trial of a job: an enqueued one, or one that the job's strategy proposes."""

from dataclasses import replace

from optuna.trial import FrozenTrial

from service.domain.space import Point, searched
from service.domain.spec import JobSpec
from service.domain.training_seeds import replicate_of
from service.search.samplers import at_random
from service.search.sampling import Proposal, propose
from service.search.snapshot import EMPTY, StudySnapshot
from service.search.strategies import strategy_of


def propose_next(
    spec: JobSpec,
    snapshot: StudySnapshot,
    *,
    number: int,
    next_point: int,
    first_number: int = 0,
    waiting: FrozenTrial | None = None,
) -> Proposal:
    """The proposal for the trial `number` or, if given, for the enqueued trial `waiting`. Raises Unsampleable.

    It depends on stored data only, not on the process that asks. snapshot, next_point, first_number: as in `Strategy.propose`.
    """
    strategy = strategy_of(spec)
    if waiting is None:
        return strategy.propose(spec, snapshot, number=number, next_point=next_point, first_number=first_number)
    replicate = replicate_of(waiting.user_attrs, spec.replicates)
    return replace(propose(spec, snapshot, strategy.sampler, number=number, waiting=waiting), replicate=replicate)


def points_to_try_first(spec: JobSpec) -> list[tuple[Point, int]]:
    """The trials to enqueue for the job's `try_first`, in its order: the point's searched parameters and the replicate index.

    In a job with replicates, the parameters that a point leaves open are drawn here, so that its replicates share one point.
    Raises Unsampleable.
    """
    names = searched(spec.search_space).keys()
    points = [{name: value for name, value in point.items() if name in names} for point in spec.try_first]
    if spec.replicates > 1:
        points = [propose(spec, EMPTY, at_random, number=index).point | point for index, point in enumerate(points)]
    return [(point, replicate) for point in points for replicate in range(spec.replicates)]
