"""Speed against stability: how soon a configuration reaches a target, and its final value, seed by seed.

Computed from the stored curves, so that a target may be chosen after the training.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.analysis.comparison.tuned import Finished
from service.analysis.model.encoding import learning_rate
from service.analysis.model.points import TriedPoint, tried_points
from service.analysis.words import comparison as words
from service.domain.comparison import ConfigurationView, FinalView, TradeOffView
from service.errors import NothingFinished

By = Literal["steps", "seconds"]

NEAR = 0.1
"""The default target is worse than the best final cost by this part of it, or by the standard deviation over seeds if larger."""
MOST_OTHERS = 200
"""Most configurations that are shown beside the front."""


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A point that was tried, in numbers: there may be thousands, of which some are shown."""

    point: TriedPoint
    cost: float
    """The mean final cost of its trials."""
    reached: int
    """How many of them reached the target."""
    steps: float | None
    """Steps to the target, mean of its trials; None unless all have reached it."""
    seconds: float | None
    """Seconds of training to the target; also None where they are no longer stored."""

    def speed(self, by: By) -> float | None:
        """Time to the target; None where it cannot be on the front, as not every seed reaches the target."""
        return None if self.point.diverged else self.steps if by == "steps" else self.seconds


def trade_off(finished: Finished, target: float | None = None, by: By = "steps") -> TradeOffView:
    """A job's configurations, from the trials that trained to their end. Raises NothingFinished when there is none.

    target: in the metric's units; None: `default_target`. by: what counts as speed.
    """
    points = _points(finished)
    if not points:
        raise NothingFinished(words.none_trained(finished.job.spec.metric))
    why = words.target_asked_for()
    if target is None:
        target, why = default_target(finished)
    every = sorted((_measured(finished, target, point) for point in points), key=lambda each: each.cost)
    front = _front(every, by)
    on_front = {id(each) for each in front}
    others = [each for each in every if id(each) not in on_front]
    return TradeOffView(
        job=finished.job.id,
        metric=finished.job.spec.metric,
        target=target,
        why_this_target=why,
        by=by,
        front=tuple(_configuration(finished, each) for each in front),
        others=tuple(_configuration(finished, each) for each in others[:MOST_OTHERS]),
        left_out=max(0, len(others) - MOST_OTHERS),
    )


def default_target(finished: Finished) -> tuple[float, str]:
    """A target close to the best final value, in the metric's units, and why. Needs at least one complete trial."""
    sign = finished.job.spec.cost_sign
    costs = [np.array(list(point.costs.values())) for point in _points(finished)]
    best = min(float(of_point.mean()) for of_point in costs)
    degrees = sum(len(of_point) - 1 for of_point in costs)
    squares = sum(float(((of_point - of_point.mean()) ** 2).sum()) for of_point in costs)
    sd = math.sqrt(squares / degrees) if degrees else 0.0
    near = NEAR * abs(best)
    why = words.target_near_the_best(sign * best, a_tenth=near >= sd)
    return sign * (best + max(near, sd)), why


def _points(finished: Finished) -> list[TriedPoint]:
    return [point for point in tried_points(finished.job, finished.trials) if point.costs]


def _measured(finished: Finished, target: float, point: TriedPoint) -> _Measured:
    steps = [(number, _first_step(finished, number, target)) for number in (trial.number for trial in point.trained.values())]
    reached = [(number, step) for number, step in steps if step is not None]
    seconds = [_seconds_until(finished.seconds.get(number, {}), step) for number, step in reached]
    times = [taken for taken in seconds if taken is not None]
    return _Measured(
        point=point,
        cost=float(np.mean(list(point.costs.values()))),
        reached=len(reached),
        steps=float(np.mean([step for _, step in reached])) if len(reached) == len(steps) else None,
        seconds=float(np.mean(times)) if len(times) == len(steps) else None,
    )


def _configuration(finished: Finished, measured: _Measured) -> ConfigurationView:
    point, sign = measured.point, finished.job.spec.cost_sign
    values = sign * np.array(list(point.costs.values()))
    return ConfigurationView(
        learning_rate=learning_rate(point.params, finished.job.spec.meaning),
        params=point.params,
        trials=tuple(trial.number for trial in point.trained.values()),
        diverged=point.diverged,
        final=FinalView(
            mean=sign * measured.cost,
            low=float(values.min()),
            high=float(values.max()),
            sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        ),
        reached=measured.reached,
        steps=measured.steps,
        seconds=measured.seconds,
    )


def _first_step(finished: Finished, number: int, target: float) -> int | None:
    sign = finished.job.spec.cost_sign
    for point in finished.curves.get(number, ()):
        if sign * point.value <= sign * target:
            return point.step
    return None


def _seconds_until(taken: Mapping[int, float], step: int) -> float | None:
    """None where a step's seconds are missing: deleted by retention, or a foreign trial, whose steps may be any numbers."""
    if not 1 <= step <= len(taken):
        return None
    wanted = [taken.get(one) for one in range(1, step + 1)]
    known = [one for one in wanted if one is not None]
    return sum(known) if len(known) == len(wanted) else None


def _front(every: Sequence[_Measured], by: By) -> list[_Measured]:
    """The Pareto front, fastest first; equal configurations are all on it."""
    comparable = [(speed, each.cost, each) for each in every if (speed := each.speed(by)) is not None]
    front: list[tuple[float, float, _Measured]] = []
    for speed, cost, each in sorted(comparable, key=lambda one: one[:2]):
        if not front or cost < front[-1][1] or (speed, cost) == front[-1][:2]:
            front.append((speed, cost, each))
    return [each for *_, each in front]
