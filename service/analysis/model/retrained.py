"""The points that a job's confirming phases trained again, and what came of it."""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from service.analysis.model.candidates import Allowed, FreshRuns
from service.analysis.model.encoding import Array, Axis, encode, has_rate, learning_rate
from service.analysis.model.points import LARGEST, cost_of
from service.domain.job import Job
from service.domain.phase import CONFIRM
from service.domain.space import Point, searched
from service.domain.trial import PHASE_NAME, Trial, TrialState


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """A point with its fresh runs: those of confirming phases, whose seeds no trial of the search had."""

    params: Point
    """The searched parameters."""
    rate: float
    """The learning rate, searched or not."""
    costs: tuple[float, ...]
    """Of the runs that trained to their end."""
    diverged: int
    """How many diverged, or count as lost."""

    @property
    def cost(self) -> float | None:
        """The mean of its fresh runs."""
        return fmean(self.costs) if self.costs else None

    @property
    def lost(self) -> float:
        """The part of its fresh runs that diverged."""
        return self.diverged / (self.diverged + len(self.costs))


def retrained(job: Job, trials: Sequence[Trial], lost: Set[int] = frozenset()) -> list[Retrained]:
    """The points of all confirming phases that have a fresh run, in the order in which they were first retrained.

    lost: numbers of complete trials that count as diverged.
    """
    names = list(searched(job.search_space))
    by_point: dict[tuple[object, ...], tuple[Point, list[Trial]]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        point = {name: trial.params[name] for name in names if name in trial.params}
        if trial.user_attrs.get(PHASE_NAME) == CONFIRM and len(point) == len(names) and has_rate(trial.params, job.spec.meaning):
            by_point.setdefault(tuple(point.values()), (point, []))[1].append(trial)
    found = [_retrained(job, point, runs, lost) for point, runs in by_point.values()]
    return [each for each in found if each.costs or each.diverged]


def _retrained(job: Job, point: Point, runs: Sequence[Trial], lost: Set[int]) -> Retrained:
    costs, diverged = [], 0
    for trial in runs:
        cost = cost_of(job, trial)
        if trial.state is TrialState.INFEASIBLE or trial.number in lost or (cost is not None and abs(cost) > LARGEST):
            diverged += 1
        elif cost is not None:
            costs.append(cost)
    rate = learning_rate(runs[0].params, job.spec.meaning)
    assert rate is not None
    return Retrained(params=point, rate=rate, costs=tuple(costs), diverged=diverged)


def answerable(among: Sequence[Retrained]) -> list[Retrained]:
    """The points of which the fresh runs diverged least, of those with a run that trained to its end."""
    trained = [each for each in among if each.costs]
    least = min((each.lost for each in trained), default=0.0)
    return [each for each in trained if each.lost == least]


def best_by_runs(among: Sequence[Retrained]) -> Retrained | None:
    """The one with the best mean over its fresh runs, of the points that may be answered; None where all diverged."""
    return min(answerable(among), key=lambda each: fmean(each.costs), default=None)


def allowed(among: Sequence[Retrained], axes: list[Axis]) -> Allowed:
    """What retraining says of the points that may be answered: one of them; or, where all diverged, none of them."""
    chosen = answerable(among)
    places = [(each, at) for each in chosen or among if (at := coordinates(each, axes)) is not None]
    points = np.array([at for _, at in places]).reshape(len(places), 1 + sum(axis.width for axis in axes))
    if not chosen or not places:
        return Allowed(only=None, never=points)
    fresh = FreshRuns(
        points=points,
        costs=np.array([fmean(each.costs) for each, _ in places]),
        runs=np.array([float(len(each.costs)) for each, _ in places]),
    )
    return Allowed(only=fresh, never=points[:0])


def coordinates(of: Retrained, axes: list[Axis]) -> Array | None:
    """Those of a point in the model, (1 + columns,); None where it lies outside of the search space."""
    others = encode(of.params, axes)
    return None if others is None else np.array([math.log10(of.rate), *others])
