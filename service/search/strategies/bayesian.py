"""Bayesian search: points chosen from what earlier trials showed, by tree-structured Parzen estimators or a Gaussian process.

It explores and, in a job with replicates, repeats its best points, each time with a seed that the point has not had.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from service.domain.request import JobRequest
from service.domain.space import Point, SearchSpace, discrete_values, searched
from service.domain.spec import JobSpec
from service.domain.strategy import NoPruner
from service.domain.training_seeds import replicate_of
from service.errors import Invalid, pointer
from service.search.samplers import trial_seed
from service.search.sampling import Proposal, at_point, distributions, point_of
from service.search.snapshot import StudySnapshot
from service.search.strategies.sampled import Sampled

STARTUP = 10
"""Trials before the first repeat: Optuna's samplers draw as many at random before they think."""

EVERY = 3
"""After them, each trial whose turn it is repeats, and the others explore."""

BEST = 4
"""So many points are worth repeating."""

MAX_GP_VALUES = 100_000
"""Optuna's GPSampler holds every value of a stepped range in memory, and weighs each."""


class _Bayesian(Sampled):
    needs_history = True

    def propose(self, spec: JobSpec, snapshot: StudySnapshot, *, number: int, next_point: int, first_number: int = 0) -> Proposal:
        repeat = to_repeat(spec, snapshot.trials, number)
        if repeat is not None:
            return at_point(spec, number, *repeat)
        return super().propose(spec, snapshot, number=number, next_point=next_point, first_number=first_number)

    def may_repeat(self, spec: JobSpec, number: int) -> bool:
        return may_repeat(spec, number)

    def is_repeat(self, spec: JobSpec, trial: FrozenTrial) -> bool:
        return replicate_of(trial.user_attrs, spec.replicates) > 0


class Tpe(_Bayesian):
    """By tree-structured Parzen estimators."""

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        return TPESampler(seed=trial_seed(job_seed, number))


class Gp(_Bayesian):
    """By a Gaussian process."""

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        return GPSampler(seed=trial_seed(job_seed, number))

    def check(self, request: JobRequest, space: SearchSpace) -> Iterator[Invalid]:
        yield from super().check(request, space)
        if not isinstance(request.pruner, NoPruner):
            yield Invalid("/pruner", "the gp sampler does not see pruned trials: give tpe a pruner, or gp none")
        for name, dimension in searched(space).items():
            values = discrete_values(dimension)
            if values is not None and values > MAX_GP_VALUES:
                detail = f"the gp sampler lists all {values} values of a range: take at most {MAX_GP_VALUES}, or tpe"
                yield Invalid(pointer("search_space", name), detail)


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


def to_repeat(spec: JobSpec, trials: Sequence[FrozenTrial], number: int) -> tuple[Point, int] | None:
    """The point that a bayesian job's trial `number` repeats, and which replicate; None: it explores, as when none is worth it.

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
        point = point_of(trial, space)
        if point is not None:
            tried[tuple(point.values())].append(trial)
    means = {values: mean for values, of_point in tried.items() if (mean := _mean(of_point)) is not None}
    for values in sorted(means, key=lambda values: spec.cost_sign * means[values])[:BEST]:
        begun = {replicate_of(trial.user_attrs, spec.replicates) for trial in tried[values]}
        missing = [replicate for replicate in range(spec.replicates) if replicate not in begun]
        if missing:
            return {name: tried[values][0].params[name] for name in space}, missing[0]
    return None


def _mean(trials: Sequence[FrozenTrial]) -> float | None:
    """The mean value of the complete ones; None when there are none, or one diverged: its value is the worst there is."""
    values = [trial.values[0] for trial in trials if trial.state is TrialState.COMPLETE and trial.values]
    mean = sum(values) / len(values) if values else math.inf
    return mean if math.isfinite(mean) else None
