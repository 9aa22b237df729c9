"""How much each searched parameter matters, and how the one that matters most beside the rate changes the best rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.analysis.model.encoding import Axis
from service.analysis.model.observations import Observations
from service.analysis.model.response_curve import MOSTLY, ResponseCurve
from service.domain.answer import ImportanceView
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import CategoricalRange, Scalar

N_VALUES = 17
"""Values of a range at which the surface is shown."""
MOST_CHOICES = 12


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """The expected metric over the rate and one more parameter, the others at the answered point."""

    parameter: str
    values: Sequence[Scalar]
    rates: Sequence[float]
    expected: Sequence[Sequence[float | None]]
    """By value and rate, in the metric's units; None where most trials diverge."""


def importance(job: Job, seen: Observations, curve: ResponseCurve, rates: Sequence[float]) -> tuple[ImportanceView, ...]:
    """Of all searched parameters, the most important first; none where the rate alone is searched, or nothing matters.

    rates: log10, at which most trials train to their end.
    """
    if not seen.axes or not len(rates):
        return ()
    found = curve.influences(max(rates))
    rate = job.spec.meaning.named(Role.LEARNING_RATE)
    if found is None or rate is None:
        return ()
    names = [rate, *(axis.name for axis in seen.axes)]
    views = (ImportanceView(parameter=name, alone=each.alone, total=each.total) for name, each in zip(names, found, strict=True))
    return tuple(sorted(views, key=lambda each: -each.total))


def interaction(job: Job, seen: Observations, curve: ResponseCurve, of: Sequence[ImportanceView]) -> Interaction | None:
    """With the most important parameter beside the rate; None where there is none. of: the importances, the largest first."""
    axes = {axis.name: axis for axis in seen.axes}
    axis = next((axes[each.parameter] for each in of if each.parameter in axes), None)
    if axis is None:
        return None
    values = _values(axis)
    rates, costs, lost = curve.costs_beside(axis.name, values)
    sign = job.spec.cost_sign
    return Interaction(
        parameter=axis.name,
        values=values,
        rates=[float(10**rate) for rate in rates],
        expected=[
            [None if is_lost else sign * float(cost) for cost, is_lost in zip(row, row_lost > MOSTLY, strict=True)]
            for row, row_lost in zip(costs, lost, strict=True)
        ],
    )


def _values(axis: Axis) -> list[Scalar]:
    """Some of a parameter's values, evenly on its scale, in order."""
    if isinstance(axis.range, CategoricalRange):
        choices = list(axis.range.choices)
        return [choices[round(at)] for at in np.linspace(0, len(choices) - 1, min(len(choices), MOST_CHOICES))]
    coordinates = axis.candidates(np.linspace(0, 1, N_VALUES))
    return list(dict.fromkeys(axis.decode(each) for each in coordinates))
