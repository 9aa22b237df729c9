"""What the next trial of a job is: an enqueued one, or what the job's strategy proposes."""

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
    """The trial `number`, or the enqueued trial `waiting`, from what is stored alone: it does not matter who asks.

    snapshot, next_point and first_number: as a strategy's `propose` takes them. Raises Unsampleable.
    """
    strategy = strategy_of(spec)
    if waiting is None:
        return strategy.propose(spec, snapshot, number=number, next_point=next_point, first_number=first_number)
    replicate = replicate_of(waiting.user_attrs, spec.replicates)
    return replace(propose(spec, snapshot, strategy.sampler, number=number, waiting=waiting), replicate=replicate)


def points_to_try_first(spec: JobSpec) -> list[tuple[Point, int]]:
    """What is enqueued for the job's `try_first`, in its order: what each point says of the searched parameters, and which of its
    replicates.

    In a job with replicates what it leaves open is drawn here, so that its replicates are one point. Raises Unsampleable.
    """
    names = searched(spec.search_space).keys()
    points = [{name: value for name, value in point.items() if name in names} for point in spec.try_first]
    if spec.replicates > 1:
        points = [propose(spec, EMPTY, at_random, number=index).point | point for index, point in enumerate(points)]
    return [(point, replicate) for point in points for replicate in range(spec.replicates)]
