"""Bayesian search: points chosen from the results of earlier trials, by tree-structured Parzen estimators or a Gaussian process.

In a job with replicates, some trials repeat the best points, each time with a seed that the point has not had; others explore.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from service.domain.meaning import Meaning
from service.domain.request import JobRequest
from service.domain.space import Point, SearchSpace, discrete_values, key_of, searched
from service.domain.spec import JobSpec
from service.domain.strategy import NoPruner
from service.domain.training_seeds import replicate_of
from service.errors import Invalid, pointer
from service.search.samplers import trial_seed
from service.search.sampling import Proposal, at_point, distributions, point_of
from service.search.snapshot import StudySnapshot
from service.search.strategies.sampled import Sampled

STARTUP = 10
"""Number of trials before the first repeat. Optuna's TPE and GP samplers draw as many at random before they use a model."""

EVERY = 3
"""After the start-up, one trial in this many is a repeat, and the others explore."""

BEST = 4
"""Number of best points that are repeated."""

MAX_GP_VALUES = 100_000
"""Largest number of values of a discrete range. Optuna's GPSampler holds all of them in memory and evaluates each."""


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
    """Bayesian search by tree-structured Parzen estimators."""

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        return TPESampler(seed=trial_seed(job_seed, number))


class Gp(_Bayesian):
    """Bayesian search by a Gaussian process."""

    needs_torch = True

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        return GPSampler(seed=trial_seed(job_seed, number))

    def check(self, request: JobRequest, space: SearchSpace, meaning: Meaning) -> Iterator[Invalid]:
        yield from super().check(request, space, meaning)
        if not isinstance(request.pruner, NoPruner):
            yield Invalid("/pruner", "the gp sampler does not see pruned trials: give tpe a pruner, or gp none")
        for name, dimension in searched(space).items():
            values = discrete_values(dimension)
            if values is not None and values > MAX_GP_VALUES:
                detail = f"the gp sampler lists all {values} values of a range: take at most {MAX_GP_VALUES}, or tpe"
                yield Invalid(pointer("search_space", name), detail)


def may_repeat(spec: JobSpec, number: int) -> bool:
    """Whether the trial `number` of a bayesian job may repeat one of the best points.

    After the first ten trials, every third one may. The last trials all may, so that at the end the best point has been trained
    with all its seeds, and so has the point that overtakes it if its first seeds were lucky. These last trials are twice as many
    as the replicates after a point's first one, but at most a third of the budget.
    """
    trials = spec.budget.trials
    if spec.replicates == 1:
        return False
    if trials is not None and number >= trials - min(2 * (spec.replicates - 1), trials // 3):
        return True
    return number >= STARTUP and (number - STARTUP) % EVERY == EVERY - 1


def to_repeat(spec: JobSpec, trials: Sequence[FrozenTrial], number: int) -> tuple[Point, int] | None:
    """The point that the trial `number` of a bayesian job repeats, and the replicate index; None: the trial explores.

    It takes the BEST points by their mean value over complete replicates. The best of them that lacks a replicate is repeated,
    with its first missing replicate. A point that diverged with any seed is not among the best. Each replicate of a point is
    begun once: a running one is not begun again, and neither is one that failed or was pruned, since the same seed would most
    likely have the same outcome.
    """
    if not may_repeat(spec, number):
        return None
    space, ranges = distributions(spec), searched(spec.search_space)
    tried = defaultdict[tuple[object, ...], list[FrozenTrial]](list)
    for trial in trials:
        point = point_of(trial, space)
        if point is not None:
            tried[key_of(ranges, point)].append(trial)
    means = {values: mean for values, of_point in tried.items() if (mean := _mean(of_point)) is not None}
    for values in sorted(means, key=lambda values: spec.cost_sign * means[values])[:BEST]:
        begun = {replicate_of(trial.user_attrs, spec.replicates) for trial in tried[values]}
        missing = [replicate for replicate in range(spec.replicates) if replicate not in begun]
        if missing:
            return {name: tried[values][0].params[name] for name in space}, missing[0]
    return None


def _mean(trials: Sequence[FrozenTrial]) -> float | None:
    """The mean value of the complete trials; None where there is none, or where one diverged: its value is infinite."""
    values = [trial.values[0] for trial in trials if trial.state is TrialState.COMPLETE and trial.values]
    mean = sum(values) / len(values) if values else math.inf
    return mean if math.isfinite(mean) else None
