"""The points of the search space that a job tried, each with its trials of all training seeds, and their costs."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from statistics import median

from service.analysis.model.encoding import finite
from service.domain.job import Job
from service.domain.space import Point, key_of, searched
from service.domain.training_seeds import stored_seed
from service.domain.trial import GUESSING, Trial, TrialState

LARGEST = 1e100
"""Larger values are nonsense that a foreign script wrote: their squares overflow."""
SMALLEST = 1e-315
"""Values nearer to zero count as zero: they are denormal, with few digits."""

ROUNDING = 1e-6
"""The part of it by which a metric may differ from that of guessing by rounding only, in single precision."""


@dataclass(frozen=True, kw_only=True)
class TriedPoint:
    """Trials that differ only in their training seed."""

    params: Point
    trained: Mapping[int, Trial]
    """The trials with a cost, by training seed: the first of each, since a repeated seed shows the machine's noise only."""
    costs: Mapping[int, float]
    """Their costs, by training seed."""
    diverged: int
    """How many trials diverged."""


def cost_of(job: Job, trial: Trial) -> float | None:
    """The cost of a complete trial: the metric, negated where higher is better. None for another trial, or where the value is
    not finite, as a foreign script may store it."""
    if trial.state is not TrialState.COMPLETE or trial.value is None or not math.isfinite(trial.value):
        return None
    return 0.0 if abs(trial.value) < SMALLEST else job.spec.cost_sign * trial.value


def seed_of(trial: Trial) -> int:
    """The seed a trial was trained with; for a foreign trial without a stored one, a negative number of its own."""
    seed = stored_seed(trial.user_attrs)
    return -1 - trial.number if seed is None else seed


def number_of_seeds(job: Job, seeds: Set[int]) -> int | None:
    """How many training seeds a job's trials have. seeds: as `seed_of` gives them. None: some were imported without theirs."""
    return None if job.source is not None and min(seeds, default=0) < 0 else len(seeds)


def diagnosis_of(trial: Trial) -> set[str]:
    """The verdicts on its curve; empty where a foreign script stored something else under that name."""
    verdicts = trial.user_attrs.get("diagnosis")
    return set(verdicts) if isinstance(verdicts, dict) else set()


def learned(trial: Trial) -> bool:
    """Whether its training loss fell, by its diagnosis; true where there is none."""
    return not diagnosis_of(trial) & {"plateaued", "diverged"}


def guessing_of(job: Job, trials: Sequence[Trial]) -> float | None:
    """The cost of guessing, as the objective declares it in its trials; None where it does not."""
    declared = [trial.user_attrs.get(GUESSING) for trial in trials]
    levels = [level for each in declared if isinstance(each, dict) and (level := finite(each.get(job.spec.metric))) is not None]
    return job.spec.cost_sign * median(levels) if levels else None


def no_better_than_guessing(job: Job, trials: Sequence[Trial]) -> bool:
    """Whether no complete trial is better than guessing, and most are just as good: then how others differ teaches nothing. Where
    most are worse, such as those that overfit, they have learned."""
    guessing, costs = guessing_of(job, trials), [cost for trial in trials if (cost := cost_of(job, trial)) is not None]
    if guessing is None or not costs:
        return False
    rounding = ROUNDING * abs(guessing)
    n_same = sum(abs(cost - guessing) <= rounding for cost in costs)
    return min(costs) >= guessing - rounding and n_same > len(costs) / 2


def tried_points(job: Job, trials: Sequence[Trial]) -> list[TriedPoint]:
    """The points, in the order in which they were first tried."""
    by_point, ranges = defaultdict[object, list[Trial]](list), searched(job.search_space)
    for trial in trials:
        by_point[key_of(ranges, trial.params)].append(trial)
    return [_tried(job, of_point) for of_point in by_point.values()]


def _tried(job: Job, trials: Sequence[Trial]) -> TriedPoint:
    trained: dict[int, Trial] = {}
    costs: dict[int, float] = {}
    for trial in trials:
        seed, cost = seed_of(trial), cost_of(job, trial)
        if cost is not None and abs(cost) <= LARGEST and seed not in trained:
            trained[seed], costs[seed] = trial, cost
    diverged = sum(trial.state is TrialState.INFEASIBLE for trial in trials)
    return TriedPoint(params=trials[0].params, trained=trained, costs=costs, diverged=diverged)
