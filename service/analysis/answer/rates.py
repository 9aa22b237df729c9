"""Learning rates as values of a job's range: steps, choices and ends; and the response curve at them."""

import math

from service.analysis.model.curve_line import Line
from service.analysis.model.estimates import Estimate, Interval
from service.analysis.model.exact_values import exactly
from service.analysis.model.optimum import EDGE
from service.analysis.model.response_curve import MOSTLY
from service.domain.answer import CurveView, IntervalView
from service.domain.job import Job
from service.domain.space import CategoricalRange, Dimension, FloatRange, IntRange


def in_rates(job: Job, interval: Interval) -> IntervalView:
    """From log10 rates to rates."""
    return IntervalView(low=exactly(job, 10**interval.low), high=exactly(job, 10**interval.high))


def curve_in_rates(job: Job, line: Line) -> tuple[CurveView, ...]:
    """The curve at the rates at which most trials train to their end."""
    sign = job.spec.cost_sign
    places: dict[float, CurveView] = {}  # at the low end of a range with many steps, several rates round to one step
    trains = line.lost <= MOSTLY
    for rate, cost in zip(line.rates[trains], Estimate.at_medians(line.draws[:, trains]), strict=True):
        exact, expected = exactly(job, 10**rate), cost.times(sign)
        place = CurveView(learning_rate=exact, mean=expected.mean, low=expected.low, high=expected.high)
        places.setdefault(exact, place)
    return tuple(places.values())


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
