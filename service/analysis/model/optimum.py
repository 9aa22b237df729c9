"""Where the expected cost is lowest: the best point, by joint posterior draws at candidates."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.analysis.model.candidates import Candidates, Search
from service.analysis.model.choice import choose
from service.analysis.model.encoding import Array
from service.analysis.model.estimates import Estimate, Interval, any_lowest
from service.analysis.model.expected_cost import expected_cost
from service.analysis.model.fresh_runs import towards_fresh_runs
from service.analysis.model.observations import Observations
from service.analysis.model.posterior import Posterior
from service.domain.answer import LEVEL

EDGE = 0.05
"""Part of the range, in decades, that counts as its edge, at either end: the best points should not lie there (Deep Learning
Tuning Playbook, 2023)."""


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """Where the expected cost is lowest. Rates are log10, costs in the metric's units, lower is better."""

    rate: float
    point: Array = field(compare=False, repr=False)
    """The rate, and the coordinates of the other parameters, (1 + columns,)."""
    interval: Interval
    cost: Estimate
    at_low_edge: float
    """The probability that the best rate lies within EDGE of the low end of the range."""
    at_high_edge: float
    """The same of the high end."""
    regret: float
    """Upper bound, with a probability of LEVEL, on the expected cost at `point` above that of the optimum."""
    draws: Array = field(compare=False, repr=False)
    """Draws of the expected cost at `point`, (draws,)."""


def find_optima(
    seen: Observations, posterior: Posterior, search: Search, fixings: Sequence[Callable[[Array], Array] | None]
) -> tuple[list[Optimum], Array]:
    """The best point for each of `fixings`, and joint draws of the best log10 rates, (draws, fixings).

    fixings: each sets some columns of points to values; None: sets nothing.
    """
    edge = posterior.edge
    highest = math.inf if edge is None else min(edge.quantile(0.99), posterior.ceiling)
    groups = [search.candidates(fixing, len(fixings), highest) for fixing in fixings]
    every, mean = posterior.draw(np.concatenate([group.points for group in groups]))
    ends = np.cumsum([len(group.points) for group in groups])[:-1]
    bounds = posterior.bounds(len(every))
    only_tried = search.are_few
    optima = [
        _optimum(seen, posterior, group, draws, its_mean, bounds, only_tried)
        for group, draws, its_mean in zip(groups, np.split(every, ends, axis=1), np.split(mean, ends), strict=True)
    ]
    return [optimum for optimum, _ in optima], np.stack([rates for _, rates in optima], axis=1)


def _optimum(
    seen: Observations,
    posterior: Posterior,
    among: Candidates,
    surface: Array,
    mean: Array,
    bounds: Array | None,
    only_tried: bool,
) -> tuple[Optimum, Array]:
    """The best point, and draws of the best log10 rate, (draws,), from joint draws of the surface at the candidates, (draws, n).

    bounds: draws of the highest shifted rate that may be the best. only_tried: choose a point that was tried, if one is allowed.
    """
    rates = among.points[:, 0]
    # Where the best rate lies is asked of the surface alone: retrained points that moved away from it, while those beside them
    # stay, would be the best ones of nearly all draws, or of none.
    allowed = surface
    if bounds is not None:
        at = posterior.surface.shifted(among.points)
        allowed = np.where(at > np.maximum(bounds, at.min())[:, None], math.inf, surface)
    draws = surface
    if among.fresh is not None:
        draws, mean = towards_fresh_runs(posterior, among.fresh, surface, mean)
    choice = choose(seen, posterior, among, draws, mean, only_tried)
    best = choice.best
    optima: Array = rates[any_lowest(allowed)]
    margin = EDGE * (seen.high - seen.low)
    optimum = Optimum(
        rate=float(rates[best]),
        point=among.points[best],
        interval=Interval.among(optima, rates, is_choice=seen.choices is not None).holding(float(rates[best])),
        cost=expected_cost(seen, choice, draws, is_retrained=among.fresh is not None),
        draws=draws[:, best],
        at_low_edge=float((optima <= seen.low + margin).mean()),
        at_high_edge=float((optima >= seen.high - margin).mean()),
        regret=max(0.0, float(np.quantile(np.maximum(draws, surface)[:, best] - allowed.min(axis=1), LEVEL))),
    )
    return optimum, optima
