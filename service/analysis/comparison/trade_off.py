"""Speed against stability: how soon a configuration reaches a target, and where it ends, seed by seed.

All from the stored curves, so that a target may be named after the training.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.analysis.comparison.tuned import Finished
from service.analysis.model.encoding import learning_rate
from service.analysis.model.points import TriedPoint, tried_points
from service.domain.space import Point
from service.domain.trial import Trial
from service.errors import NothingFinished

By = Literal["steps", "seconds"]
Seconds = Mapping[int, Mapping[int, float]]
"""By trial number and step: what the step took."""

NEAR = 0.1
"""Where no target is given, it is so much of the best final cost worse than that, if seeds do not spread wider."""


@dataclass(frozen=True, kw_only=True)
class Final:
    """Where a configuration's trials end, in the metric's units."""

    mean: float
    low: float
    """Of its seeds."""
    high: float
    sd: float | None
    """Over its seeds; None for a single one."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One point of the search space, with all its seeds."""

    params: Point
    learning_rate: float | None
    trials: tuple[int, ...]
    """Numbers of those that trained to their end."""
    diverged: int
    """How many of its other trials diverged."""
    final: Final
    reached: int
    """How many of its trials reached the target."""
    steps: float | None
    """To the target, mean of its trials; None unless all have reached it."""
    seconds: float | None
    """Of training; None, too, where they are no longer stored."""

    def speed(self, by: By) -> float | None:
        """None where it cannot be on the front: not every seed gets there."""
        return None if self.diverged else self.steps if by == "steps" else self.seconds


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """A job's configurations."""

    target: float
    """In the metric's units."""
    why_this_target: str
    by: By
    front: list[Configuration]
    """That no other one beats on both: fastest first, so the best final value comes last."""
    others: list[Configuration]
    """Best final value first."""


def trade_off(finished: Finished, seconds: Seconds, target: float | None = None, by: By = "steps") -> TradeOff:
    """Of the trials that trained to their end. Raises NothingFinished when there is none."""
    points = _points(finished)
    if not points:
        raise NothingFinished(f"None of the job's trials has trained to its end with a finite {finished.job.spec.metric}.")
    why = "as asked for"
    if target is None:
        target, why = default_target(finished)
    found = [_configuration(finished, seconds, target, point) for point in points]
    sign = finished.job.spec.cost_sign
    found.sort(key=lambda each: sign * each.final.mean)
    front = _front(found, by, sign)
    on_front = {each.trials for each in front}
    others = [each for each in found if each.trials not in on_front]
    return TradeOff(target=target, why_this_target=why, by=by, front=front, others=others)


def default_target(finished: Finished) -> tuple[float, str]:
    """A target close to the best final value, in the metric's units, and why. Takes at least one complete trial."""
    sign = finished.job.spec.cost_sign
    costs = [np.array(list(point.costs.values())) for point in _points(finished)]
    best = min(float(of_point.mean()) for of_point in costs)
    degrees = sum(len(of_point) - 1 for of_point in costs)
    squares = sum(float(((of_point - of_point.mean()) ** 2).sum()) for of_point in costs)
    sd = math.sqrt(squares / degrees) if degrees else 0.0
    near = NEAR * abs(best)
    margin = "a tenth of it" if near >= sd else "the standard deviation over seeds"
    return sign * (best + max(near, sd)), f"the best mean final value, {sign * best:.3g}, and {margin} worse"


def _points(finished: Finished) -> list[TriedPoint]:
    return [point for point in tried_points(finished.job, finished.trials) if point.costs]


def _configuration(finished: Finished, seconds: Seconds, target: float, point: TriedPoint) -> Configuration:
    trials = list(point.trained.values())
    values = finished.job.spec.cost_sign * np.array(list(point.costs.values()))
    steps = [_first_step(finished, trial, target) for trial in trials]
    reached = [(trial.number, step) for trial, step in zip(trials, steps, strict=True) if step is not None]
    times = [taken for number, step in reached if (taken := _seconds_until(seconds.get(number, {}), step)) is not None]
    return Configuration(
        params=point.params,
        learning_rate=learning_rate(point.params, finished.job.spec.meaning),
        trials=tuple(trial.number for trial in trials),
        diverged=point.diverged,
        final=Final(
            mean=float(values.mean()),
            low=float(values.min()),
            high=float(values.max()),
            sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        ),
        reached=len(reached),
        steps=float(np.mean([step for _, step in reached])) if len(reached) == len(trials) else None,
        seconds=float(np.mean(times)) if len(times) == len(trials) else None,
    )


def _first_step(finished: Finished, trial: Trial, target: float) -> int | None:
    sign = finished.job.spec.cost_sign
    for point in finished.curves.get(trial.number, ()):
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


def _front(found: Sequence[Configuration], by: By, sign: float) -> list[Configuration]:
    """Pareto's, fastest first; of equals all."""
    racing = [(speed, sign * each.final.mean, each) for each in found if (speed := each.speed(by)) is not None]
    front: list[tuple[float, float, Configuration]] = []
    for speed, cost, each in sorted(racing, key=lambda one: one[:2]):
        if not front or cost < front[-1][1] or (speed, cost) == front[-1][:2]:
            front.append((speed, cost, each))
    return [each for *_, each in front]
