"""The answer for groups of a job's trials: for each batch size, and the divergence edge by batch size and by optimizer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from service.analysis.answer.batch_scaling import BatchScaling, fit_power
from service.analysis.model.divergence_edge import DivergenceEdge, find_edge
from service.analysis.model.encoding import Array, decode
from service.analysis.model.estimates import TAILS, Interval
from service.analysis.model.observations import Observations
from service.analysis.model.response_curve import ResponseCurve
from service.domain.answer import BatchSizeView, EdgeView, GroupEdgeView
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import Scalar

MOST_BATCH_SIZES = 8
GROUPS = (Role.BATCH_SIZE, Role.OPTIMIZER)
"""Roles of the parameters by which divergence edges are given."""
FEWEST_OF_GROUP = 3
"""Trials on each side of a group's edge."""


def by_batch_size(
    job: Job, seen: Observations, curve: ResponseCurve, at_params: Interval
) -> tuple[tuple[BatchSizeView, ...], BatchScaling | None]:
    """The answer for each batch size, and how the best rate scales with them.

    at_params: the interval of the answer, log10; at the answered batch size the answer itself is given. No sizes where the batch
    size is not searched, or has no order; at most MOST_BATCH_SIZES, evenly picked from those tried. No scaling where too few
    sizes have their best rate within the range.
    """
    name = next((axis.name for axis in seen.axes if axis.known.role is Role.BATCH_SIZE and axis.is_ordered), None)
    if name is None:
        return (), None
    tried: dict[int, int] = {}
    for point in seen.trained_points:
        size = point[name]
        if isinstance(size, int) and not isinstance(size, bool) and size > 0:
            tried[size] = tried.get(size, 0) + 1
    sizes = sorted(tried)
    if len(sizes) > MOST_BATCH_SIZES:
        sizes = [sizes[round(at)] for at in np.linspace(0, len(sizes) - 1, MOST_BATCH_SIZES)]
    if not sizes:
        return (), None
    optima, draws = curve.optima_of(name, sizes)
    answered = decode(curve.optimum.point[1:], seen.axes)[name]
    for at, size in enumerate(sizes):
        if size == answered:
            held = at_params if len(seen.axes) == 1 else optima[at].interval.holding(curve.optimum.rate)
            optima[at] = replace(optima[at], rate=curve.optimum.rate, cost=curve.optimum.cost, interval=held)
    answers = tuple(
        BatchSizeView(
            batch_size=size,
            trials=tried[size],
            learning_rate=10**optimum.rate,
            interval=optimum.interval.of_rates(),
            expected=optimum.cost.times(job.spec.cost_sign),
        )
        for size, optimum in zip(sizes, optima, strict=True)
    )
    # Where the best rate lies at an end of the range, a better one may lie beyond.
    inside = [at for at, optimum in enumerate(optima) if optimum.at_low_edge < 0.5 and optimum.at_high_edge < 0.5]
    scaling = fit_power(
        [sizes[at] for at in inside],
        [optima[at].rate for at in inside],
        draws[:, inside],
        steps_are_epochs=job.spec.meaning.steps_are_epochs,
    )
    return answers, scaling


def edge_in_rates(edge: DivergenceEdge) -> EdgeView:
    """From log10 rates to rates."""
    at, low, high = _in_rates(edge)
    return EdgeView(at=at, low=low, high=high)


def divergence_edges(seen: Observations) -> tuple[GroupEdgeView, ...]:
    """By batch size and by optimizer, where enough trials of a group trained and enough were lost."""
    edges = []
    for name in (axis.name for axis in seen.axes if axis.known.role in GROUPS):
        values = {point[name] for point in seen.lost_points}
        for value in sorted(
            (value for value in values if isinstance(value, int | float | str)), key=lambda value: (str(type(value)), value)
        ):
            trained, lost = _trained_and_lost(seen, name, value)
            edge = find_edge(trained, lost) if min(len(trained), len(lost)) >= FEWEST_OF_GROUP else None
            if edge is not None:
                at, low, high = _in_rates(edge)
                edges.append(GroupEdgeView(at=at, low=low, high=high, group={name: value}))
    return tuple(edges)


def _in_rates(edge: DivergenceEdge) -> tuple[float, float, float]:
    """The median, and the ends of the interval."""
    return 10 ** edge.quantile(0.5), 10 ** edge.quantile(TAILS[0]), 10 ** edge.quantile(TAILS[1])


def _trained_and_lost(seen: Observations, name: str, value: Scalar) -> tuple[Array, Array]:
    """The rates of a group's trials that trained, and of those that were lost.

    A trial may be lost only because another one was lost at a lower rate. If that one is in another group, this one trained.
    """
    trained, lost = _of(seen.trained_points, name, value), _of(seen.lost_points, name, value)
    surely = seen.lost_rates[lost & seen.lost_by_themselves]
    are_lost = lost & (seen.lost_rates >= surely.min(initial=math.inf))
    return np.concatenate([seen.trained_rates[trained], seen.lost_rates[lost & ~are_lost]]), seen.lost_rates[are_lost]


def _of(points: Sequence[Mapping[str, object]], name: str, value: Scalar) -> npt.NDArray[np.bool_]:
    return np.array([point[name] == value for point in points], dtype=bool)
