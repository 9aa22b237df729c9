"""What the next trial of a job is: an enqueued one, the next point of a grid, a replicate, or what a sampler thinks of."""

from dataclasses import replace

from optuna.trial import FrozenTrial

from service.domain.job import JobSpec
from service.domain.space import Point
from service.domain.strategy import Bayesian, Grid, Random
from service.domain.training_seeds import replicate_of
from service.search import grid
from service.search.replicates import POINT, next_of_qmc, to_repeat
from service.search.sampling import Proposal, propose, stored_params
from service.search.snapshot import EMPTY, StudySnapshot


def propose_next(
    spec: JobSpec, snapshot: StudySnapshot, *, number: int, next_point: int, waiting: FrozenTrial | None = None
) -> Proposal:
    """The trial `number`, or the enqueued trial `waiting`, from what is stored alone: it does not matter who asks.

    snapshot: of the study; empty where the sampler needs no history. next_point: of the job's row, which the caller has locked
    unless the sampler needs history: to such a one it means nothing. Raises Unsampleable.
    """
    if waiting is not None:
        replicate = replicate_of(waiting.user_attrs, spec.replicates)
        return replace(propose(spec, snapshot, number=number, waiting=waiting), replicate=replicate)
    match spec.strategy:
        case Grid():
            index, replicate = divmod(next_point, spec.replicates)
            point = grid.point(spec.search_space, spec.seed, index)
            return replace(_at(spec, number, point, replicate), takes_point=True, grid_point=index)
        case Random(sampler="uniform") if spec.replicates > 1:
            return _uniform(spec, number, next_point)
        case Random(sampler="qmc") if spec.replicates > 1:
            return _qmc(spec, snapshot, number)
        case Bayesian() if (repeat := to_repeat(spec, snapshot.trials, number)) is not None:
            return _at(spec, number, *repeat)
    return propose(spec, snapshot, number=number)


def _uniform(spec: JobSpec, number: int, next_point: int) -> Proposal:
    """A point is drawn by its place among the job's own, anew for each replicate; so the points are those of a job without."""
    index, replicate = divmod(next_point, spec.replicates)
    drawn = propose(spec, EMPTY, number=len(spec.try_first) + index)
    return replace(drawn, number=number, replicate=replicate, takes_point=True)


def _qmc(spec: JobSpec, snapshot: StudySnapshot, number: int) -> Proposal:
    """The sequence has one place for a point and all its replicates: the others take the point of the first."""
    index, replicate, point = next_of_qmc(spec, snapshot.trials)
    proposal = propose(spec, snapshot, number=number) if point is None else _at(spec, number, point, replicate)
    return replace(proposal, replicate=replicate, trial_attrs={**proposal.trial_attrs, POINT: index})


def _at(spec: JobSpec, number: int, point: Point, replicate: int) -> Proposal:
    return Proposal(number=number, params=stored_params(spec, point), point=point, replicate=replicate)
