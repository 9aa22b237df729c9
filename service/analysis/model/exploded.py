"""Which complete trials count as lost: the loss exploded but stayed finite, or hardly fell beyond a rate that diverged.

For a response curve such a loss means the same as a divergence: its size says nothing about rates that learn. So these trials
count as diverged, as the upper end of the usable rates. What is stored of them does not change. Answers call them `hopeless`.
"""

import math

import numpy as np
import numpy.typing as npt

from service.analysis.model.encoding import Array

Indices = npt.NDArray[np.intp]

FACTOR = 1.0
"""A trial exploded if it is worse than guessing by more than this times the gain of the best trial over guessing."""
LITTLE, MUCH = 0.1, 0.5
"""If the gain of the best trial is less than LITTLE of a positive cost of guessing, MUCH of that cost is taken for it."""
PLATEAU_PART = 0.25
"""Part of the trials, those of the lowest rates, whose cost is taken for that of guessing where it is not declared."""
FEWEST_OF_PLATEAU = 3
"""Trials that such a plateau needs."""
LEVEL = 0.1
"""A plateau is level if its costs differ by at most this part of their distance to the best trial's cost."""
MIDWAY = 0.5
"""Beyond a rate that diverged, a trial is lost if its gain is less than this part of the best trial's."""
CLOSEST = 0.1
"""Explosions closer than this, in decades, do not determine a power law."""
LOWEST_POWER = 2.0
"""The least power of the rate with which exploding losses grow: with a smaller one it is not an explosion."""
MARGIN = 0.3
"""Possible error of the rate at which explosions begin, in decades."""
UNTRAINED = 0.9
"""Quantile of the costs at rates up to the best trial's, which is taken for the cost of an untrained network."""


def find_lost(
    at: Array, costs: Array, groups: Indices, diverged_at: Array, diverged_groups: Indices, guessing: float | None
) -> npt.NDArray[np.bool_]:
    """Which of n complete trials are lost, (n,).

    at: log10 rates, shifted by the prior means of the other parameters' shifts, (n,). groups: an integer for each trial; trials
    are compared within a group. diverged_at, diverged_groups: the same of trials that diverged, (m,). guessing: the cost of
    guessing, None where the objective does not declare it.

    Two kinds: a trial that exploded (`find_exploded`); and one whose gain is less than MIDWAY, from the lowest rate on at which a
    trial of its group was lost above the rate of the group's best trial.
    """
    best = int(costs.argmin())
    level = guessing_level(at, costs, guessing)
    is_lost = find_exploded(at, costs, guessing)
    reference = level if level is not None and level > costs[best] else float(np.quantile(costs[~is_lost], 0.8))
    bad = costs > costs[best] + MIDWAY * (reference - costs[best])
    for group in np.unique(groups):
        of_group = groups == group
        lost = np.concatenate([at[is_lost & of_group], diverged_at[diverged_groups == group]])
        if (learned := of_group & ~bad).any():
            lost = lost[lost > at[learned][costs[learned].argmin()]]  # divergence below the best trial's rate is chance
        if len(lost):
            is_lost |= of_group & bad & (at >= lost.min())
    return is_lost


def find_exploded(at: Array, costs: Array, guessing: float | None) -> npt.NDArray[np.bool_]:
    """Which of n complete trials exploded, (n,). Arguments as in `find_lost`.

    At a rate above the best trial's, the cost is worse than guessing by FACTOR times the gain of the best trial over guessing.
    """
    best = int(costs.argmin())
    level = guessing_level(at, costs, guessing)
    if level is None or level < costs[best]:
        return np.zeros(len(costs), dtype=bool)
    untrained = max(level, float(np.quantile(costs[at <= at[best]], UNTRAINED)))
    gained = untrained - float(costs[best])
    if gained < LITTLE * untrained:
        gained = MUCH * untrained
    exploded: npt.NDArray[np.bool_] = (at > at[best]) & (costs > untrained + FACTOR * gained)
    return exploded


def explosions_begin(at: Array, costs: Array, level: float | None) -> float:
    """The log10 rate at which explosions begin, less MARGIN, extrapolated from their growth; minus infinity: not known.

    at, costs: of lost trials, (n,). level: the cost of guessing (`guessing_level`). An exploding loss grows with a power of the
    rate, so a line through the logarithms leads back to the rate at which the loss equals that of guessing.
    """
    if level is None or level <= 0 or not (costs > level).any():
        return -math.inf
    above = np.flatnonzero(costs > level)
    first = above[at[above].argmin()]
    beyond = above[at[above] >= at[first] + CLOSEST]
    if not len(beyond):
        return -math.inf
    second = beyond[at[beyond].argmin()]
    excess = np.log10(costs[[first, second]] / level)
    power = float((excess[1] - excess[0]) / (at[second] - at[first]))
    return float(at[first] - excess[0] / power) - MARGIN if power >= LOWEST_POWER else -math.inf


def guessing_level(at: Array, costs: Array, declared: float | None) -> float | None:
    """The cost of guessing: as declared; else, or where no trial is better, that of the plateau at the lowest rates; None: not
    known."""
    return _plateau(at, costs) if declared is None or declared <= costs.min() else declared


def _plateau(at: Array, costs: Array) -> float | None:
    count = max(FEWEST_OF_PLATEAU, round(PLATEAU_PART * len(at)))
    if count >= len(at):
        return None
    lowest = costs[np.argsort(at, kind="stable")[:count]]
    level = float(np.median(lowest))
    return level if float(np.ptp(lowest)) <= LEVEL * (level - float(costs.min())) else None
