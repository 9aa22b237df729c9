"""The points of the search space that a job tried, each with all its training seeds, and what they cost."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.domain.job import Job
from service.domain.space import Point
from service.domain.training_seeds import stored_seed
from service.domain.trial import Trial, TrialState

LARGEST = 1e100
"""Values beyond are nonsense that a foreign script wrote: their squares are no numbers."""
SMALLEST = 1e-315
"""Values nearer to zero count as zero: they have but a few digits."""


@dataclass(frozen=True, kw_only=True)
class TriedPoint:
    """Trials that differ in their training seed and in nothing else."""

    params: Point
    trained: Mapping[int, Trial]
    """Those that have a cost, by training seed: the first of each, since the same seed shows no noise but the machine's."""
    costs: Mapping[int, float]
    """Theirs."""
    diverged: int
    """How many of the others did."""


def cost_of(job: Job, trial: Trial) -> float | None:
    """What a trial that trained to its end came to: the metric, negated where more is better. None for one that did not, or
    whose value is not finite, as a foreign script may have it."""
    if trial.state is not TrialState.COMPLETE or trial.value is None or not math.isfinite(trial.value):
        return None
    return 0.0 if abs(trial.value) < SMALLEST else job.spec.cost_sign * trial.value


def seed_of(trial: Trial) -> int:
    """The seed a trial was trained with; a number of its own, below zero, for a foreign trial that names none."""
    seed = stored_seed(trial.user_attrs)
    return -1 - trial.number if seed is None else seed


def diagnosis_of(trial: Trial) -> set[str]:
    """The verdicts on its curve; a foreign script may keep anything under that name."""
    found = trial.user_attrs.get("diagnosis")
    return set(found) if isinstance(found, dict) else set()


def learned(trial: Trial) -> bool:
    """Whether its training loss fell, by its diagnosis; where there is none, nobody says that it did not."""
    return not diagnosis_of(trial) & {"plateaued", "diverged"}


def tried_points(job: Job, trials: Sequence[Trial]) -> list[TriedPoint]:
    """In the order in which they were tried first."""
    by_point: defaultdict[tuple[tuple[str, object], ...], list[Trial]] = defaultdict(list)
    for trial in trials:
        by_point[tuple(sorted(trial.params.items()))].append(trial)
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
