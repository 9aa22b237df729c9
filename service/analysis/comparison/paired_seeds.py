"""The difference of two recipes on the same training seeds: the effect of the seed that both share cancels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from service.analysis.model.estimates import Estimate
from service.analysis.model.points import tried_points
from service.domain.answer import LEVEL
from service.domain.comparison import PairedView
from service.domain.job import Job
from service.domain.space import Point
from service.domain.trial import Trial

FEWEST_PAIRS = 2


@dataclass(frozen=True, kw_only=True)
class BestPoint:
    """A job's best configuration, and what it cost with each training seed."""

    params: Point
    costs: Mapping[int, float]
    """By seed; the metric, negated where more is better."""


def best_point(job: Job, trials: Sequence[Trial]) -> BestPoint | None:
    """The configuration with the best mean, among those trained to the end with as many seeds as the job has replicates, or with
    the most seeds where none has so many; None where none was trained to the end.

    One that diverged with any seed is left out. The best of many means is biased by luck, in each of the jobs compared.
    """
    points = [
        BestPoint(params=point.params, costs=point.costs)
        for point in tried_points(job, trials)
        if point.costs and not point.diverged
    ]
    enough = min(job.spec.replicates, max((len(point.costs) for point in points), default=0))
    tried = [point for point in points if len(point.costs) >= enough]
    return min(tried, key=lambda point: float(np.mean(list(point.costs.values()))), default=None)


def paired_difference(point: BestPoint | None, reference: BestPoint | None, sign: float) -> PairedView | None:
    """Student's t interval of the mean difference (Student 1908); None with fewer than two seeds in common.

    sign: 1 where a lower metric is better, else -1.
    """
    if point is None or reference is None:
        return None
    # Negative numbers are no seeds: they stand for those of foreign trials without a stored one.
    seeds = sorted(seed for seed in point.costs.keys() & reference.costs.keys() if seed >= 0)
    if len(seeds) < FEWEST_PAIRS:
        return None
    differences = np.array([point.costs[seed] - reference.costs[seed] for seed in seeds])
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(seeds))
    margin = float(stdtrit(len(seeds) - 1, (1 + LEVEL) / 2)) * error
    costs = Estimate(mean=mean, low=mean - margin, high=mean + margin)
    return PairedView(pairs=len(seeds), difference=costs.times(sign))
