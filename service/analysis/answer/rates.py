"""Learning rates as values of a job's range: steps, choices and ends."""

import math

from service.analysis.model.estimates import Interval
from service.analysis.model.observations import MOST_CHOICES
from service.analysis.model.optimum import EDGE
from service.domain.answer import IntervalView
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import CategoricalRange, Dimension, FloatRange, IntRange, discrete_values


def in_rates(job: Job, interval: Interval) -> IntervalView:
    """From log10 rates to rates."""
    return IntervalView(low=exactly(job, 10**interval.low), high=exactly(job, 10**interval.high))


def exactly(job: Job, rate: float) -> float:
    """The exact choice, step or end of the range that `rate` equals up to rounding; with many steps, the nearest one.

    With few steps, a rate between two of them can only come from a foreign script, and stays.
    """
    match job.spec.meaning.value(Role.LEARNING_RATE, job.search_space):
        case CategoricalRange() as dimension:
            known = [float(choice) for choice in dimension.choices if not isinstance(choice, str | bool)]
        case FloatRange() | IntRange() as dimension:
            known = [float(dimension.low), float(dimension.high)]
            if dimension.step is not None:
                count = discrete_values(dimension) or 1
                steps = min(max(round((rate - dimension.low) / dimension.step), 0), count - 1)
                nearest = float(f"{dimension.low + steps * dimension.step:.12g}")
                if count > MOST_CHOICES:
                    return nearest
                known.append(nearest)
        case _:
            known = []
    return next((each for each in known if math.isclose(each, rate, rel_tol=1e-9)), rate)


def edge_of(dimension: Dimension, rate: float) -> str | None:
    """The end of the range searched at which `rate` lies, if it lies at one."""
    match dimension:
        case FloatRange() | IntRange():
            low, high, at = dimension.low, dimension.high, rate
            if at <= low or at >= high:  # a foreign script may go beyond, even below zero
                return "low" if at <= low else "high"
            if low > 0:  # as in the response curve
                low, high, at = math.log(low), math.log(high), math.log(rate)
            margin = EDGE * (high - low)
            return "low" if at <= low + margin else "high" if at >= high - margin else None
        case CategoricalRange():
            choices = [float(choice) for choice in dimension.choices if not isinstance(choice, str)]
            if len(choices) < 2:
                return None
            return "low" if rate <= min(choices) else "high" if rate >= max(choices) else None
        case _:
            return None  # a fixed rate has no range
