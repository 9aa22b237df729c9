"""Which trials of a job with replicates repeat a point, with a seed that the point has not had.

Grid and random search try every point with all its seeds, one after the other. Bayesian search explores, and repeats its best
points. Everything here is a pure function of what is stored, trials under way included: it does not matter who asks.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from service.domain.job import JobSpec
from service.domain.space import Point, searched
from service.domain.strategy import Bayesian, Random
from service.domain.training_seeds import replicate_of
from service.search.sampling import distributions, propose
from service.search.snapshot import EMPTY

Repeat = tuple[Point, int]
"""A point and which of its replicates."""

STARTUP = 10
"""Trials before the first repeat: Optuna's samplers draw as many at random before they think."""

EVERY = 3
"""After them, each trial whose turn it is repeats, and the others explore."""

BEST = 4
"""So many points are worth repeating."""

POINT = "stride:point"
"""System attribute of a trial of qmc search with replicates: which of the job's own points it tries."""


def points_to_try_first(spec: JobSpec) -> list[Repeat]:
    """What is enqueued for the job's `try_first`, in its order: what each point says of the searched parameters.

    In a job with replicates what it leaves open is drawn here, so that its replicates are one point. Raises Unsampleable.
    """
    names = searched(spec.search_space).keys()
    points = [{name: value for name, value in point.items() if name in names} for point in spec.try_first]
    if spec.replicates > 1:
        at_random = spec.model_copy(update={"strategy": Random()})
        points = [propose(at_random, EMPTY, number=index).point | point for index, point in enumerate(points)]
    return [(point, replicate) for point in points for replicate in range(spec.replicates)]


def may_repeat(spec: JobSpec, number: int) -> bool:
    """Whether it is the turn of a bayesian job's trial `number` to repeat one of the best points.

    After the first ten it is every third one's. Of the last trials it is each one's, so that the best point has all its seeds at
    the end, and so has the one that overtakes it when its seeds turn out to have been lucky: twice as many as a point has
    replicates beside its first, but no more than a third of all.
    """
    trials = spec.budget.trials
    if spec.replicates == 1:
        return False
    if trials is not None and number >= trials - min(2 * (spec.replicates - 1), trials // 3):
        return True
    return number >= STARTUP and (number - STARTUP) % EVERY == EVERY - 1


def to_repeat(spec: JobSpec, trials: Sequence[FrozenTrial], number: int) -> Repeat | None:
    """What a bayesian job's trial `number` repeats; None: it explores, as when no point is worth it.

    Of the four points with the best mean value, over what is complete of their replicates, it is the best one that lacks some,
    and the first of these. A point that has diverged with any of its seeds is none of the best. Each replicate of a point is
    trained once: one under way is not begun again, and neither is one that failed or was pruned, since the same seed would most
    likely end the same.
    """
    if not may_repeat(spec, number):
        return None
    space = distributions(spec)
    tried: defaultdict[tuple[object, ...], list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        point = _point(trial, space)
        if point is not None:
            tried[tuple(point.values())].append(trial)
    means = {values: mean for values, of_point in tried.items() if (mean := _mean(of_point)) is not None}
    for values in sorted(means, key=lambda values: spec.cost_sign * means[values])[:BEST]:
        begun = {replicate_of(trial.user_attrs, spec.replicates) for trial in tried[values]}
        missing = [replicate for replicate in range(spec.replicates) if replicate not in begun]
        if missing:
            return {name: tried[values][0].params[name] for name in space}, missing[0]
    return None


def next_of_qmc(spec: JobSpec, trials: Sequence[FrozenTrial]) -> tuple[int, int, Point | None]:
    """Of a qmc job's own next trial: which of its points it tries, which replicate, and the point, once replicate 0 has it."""
    own = [trial for trial in trials if POINT in trial.system_attrs]
    index, replicate = divmod(len(own), spec.replicates)
    return index, replicate, _point(own[-1], distributions(spec)) if replicate else None


def is_repeat(spec: JobSpec, trial: FrozenTrial) -> bool:
    """Whether it repeats one of a bayesian job's best points.

    Pruners neither end nor see such a trial: that only the lucky seeds of a point come through would be no measure of its noise,
    and points that are repeated since they are good would raise the bar for those that explore.
    """
    return isinstance(spec.strategy, Bayesian) and replicate_of(trial.user_attrs, spec.replicates) > 0


def _point(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> Point | None:
    """The point of the job's space that a trial tries; None for a foreign trial with a space of its own."""
    if any(trial.distributions.get(name) != known for name, known in space.items()):
        return None
    return {name: trial.params[name] for name in space}


def _mean(trials: Sequence[FrozenTrial]) -> float | None:
    """The mean value of the complete ones; None when there are none, or one diverged: its value is the worst there is."""
    values = [trial.values[0] for trial in trials if trial.state is TrialState.COMPLETE and trial.values]
    mean = sum(values) / len(values) if values else math.inf
    return mean if math.isfinite(mean) else None
