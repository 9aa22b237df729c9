"""From a point of the model to exact values of a job's search space: steps, choices and ends."""

import math

import numpy as np

from service.analysis.model.candidates import SAME
from service.analysis.model.encoding import Array, decode
from service.analysis.model.observations import MOST_CHOICES, Observations
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import CategoricalRange, FloatRange, IntRange, Point, Scalar, discrete_values
from service.domain.steps import nearest_step


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
                nearest = nearest_step(dimension.low, dimension.high, dimension.step, rate)
                if (discrete_values(dimension) or 1) > MOST_CHOICES:
                    return nearest
                known.append(nearest)
        case _:
            known = []
    return next((each for each in known if math.isclose(each, rate, rel_tol=1e-9)), rate)


def other_values(point: Array, seen: Observations) -> dict[str, Scalar]:
    """The parameters other than the rate at a point, (1 + columns,): exactly those of a trial where it is a trial's point."""
    tried = trained_at(point, seen)
    return decode(point[1:], seen.axes) if tried is None else {axis.name: tried[axis.name] for axis in seen.axes}


def trained_at(point: Array, seen: Observations) -> Point | None:
    """The parameters of a trial whose point this is, (1 + columns,); None where it is no complete trial's."""
    points = np.column_stack([seen.rates, seen.others])[seen.complete]
    same = np.flatnonzero(np.abs(points - point).max(axis=1) < SAME)
    return seen.trained_points[same[0]] if len(same) else None
