"""Which of the candidates is answered, and which of them may be the best point."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.analysis.model.candidates import Candidates
from service.analysis.model.encoding import Array
from service.analysis.model.observations import Observations
from service.analysis.model.posterior import MOST_DIVERGE, Posterior

Mask = npt.NDArray[np.bool_]

CAUTION = 0.5
"""The answered point minimizes the mean cost plus this many standard deviations: uncertain points are not recommended. Where
only choices of rates are searched, the mean alone counts: each choice was tried, or lies between two that were. So it does for
points that were retrained."""
SATURATED = 0.01
"""Where a metric is saturated, points within so large a part of the 80th percentile of regret are alike, and one in their middle
is answered: the lowest of their costs says nothing more, and may stand beside the end of what trains well."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The answered candidate, and those that it was chosen among."""

    best: int
    may_be_best: Mask
    """(n,), whether the best point may be this one, whether or not it may be answered."""
    eligible: Mask
    """(n,), those of them that may be answered."""


def choose(seen: Observations, posterior: Posterior, among: Candidates, draws: Array, mean: Array, only_tried: bool) -> Choice:
    """From joint draws of the expected cost at the candidates, (draws, n), and its mean, (n,).

    only_tried: choose a point that was tried, if one is allowed.
    """
    may_be_best = _where_it_trains(posterior, among)
    eligible = _also(among.answerable, may_be_best)
    if only_tried:
        eligible = _also(eligible, among.tried)
    score = np.where(eligible, _scores(seen, posterior, among, draws, mean), math.inf)
    best = _middle(score, among.points[:, 0], SATURATED * seen.spread) if seen.is_saturated else int(score.argmin())
    return Choice(best=best, may_be_best=may_be_best, eligible=eligible)


def _where_it_trains(posterior: Posterior, among: Candidates) -> Mask:
    """The promising candidates, without those at which too many trials are lost."""
    if posterior.edge is None:
        return among.promising
    below = posterior.surface.shifted(among.points) <= posterior.ceiling
    trains = (posterior.loses(among.points) <= MOST_DIVERGE) & below
    return _also(trains, among.promising) if trains.any() else among.promising


def _scores(seen: Observations, posterior: Posterior, among: Candidates, draws: Array, mean: Array) -> Array:
    """What is minimized, (n,): the mean cost, and some of its uncertainty."""
    only_choices = seen.choices is not None and not seen.axes
    score = mean if only_choices or among.fresh is not None else mean + CAUTION * draws.std(axis=0)
    scores: Array = score + posterior.loses(among.points) * seen.spread  # a run that diverges costs as much as a bad one
    return scores


def _also(wanted: Mask, others: Mask) -> Mask:
    """The candidates wanted that are among others too; all that are wanted where none is."""
    both = wanted & others
    return both if both.any() else wanted


def _middle(scores: Array, rates: Array, within: float) -> int:
    """Of the points whose scores are lowest, but for a difference, the one whose rate is the median; both (n,)."""
    alike = np.flatnonzero(scores <= scores.min() + within)
    return int(alike[rates[alike].argsort(kind="stable")[len(alike) // 2]])
