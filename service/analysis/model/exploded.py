"""Which trials trained to their end although their loss exploded and stayed finite.

To a response curve such a loss says as little as a divergence: how large it became says nothing about rates that learn. So these
trials count as diverged: as the upper end of the usable rates. What is stored of them stays as it is.
"""

import math

import numpy as np
import numpy.typing as npt

from service.analysis.model.encoding import Array

Indices = npt.NDArray[np.intp]

FACTOR = 1.0
"""A trial exploded if it is worse than guessing by more than this times what the best trial is better than guessing."""
LITTLE, MUCH = 0.1, 0.5
"""Where the best trial is better than a positive cost of guessing by less than the first part of it, the second part is taken for
what it is better."""
PLATEAU_PART = 0.25
"""Part of the trials, those of the lowest rates, whose level is taken for that of guessing where it is not declared."""
FEWEST_OF_PLATEAU = 3
"""Trials that such a plateau takes."""
LEVEL = 0.1
"""A plateau is level if its costs differ by at most this part of what they are worse than the best trial."""
MIDWAY = 0.5
"""Beyond a rate that diverged, a trial that gained less than this part of what the best one gained counts as lost."""
CLOSEST = 0.1
"""Explosions that are closer than so many decades show no power law."""
LOWEST_POWER = 2.0
"""The least power of the rate with which exploding losses grow: a smaller one is no explosion."""
MARGIN = 0.3
"""Decades by which the rate at which explosions begin may be off."""
UNTRAINED = 0.9
"""Quantile of the costs at rates below the best one's, which is taken for the cost of an untrained network."""


def find_hopeless(
    at: Array, costs: Array, groups: Indices, lost_at: Array, lost_groups: Indices, guessing: float | None
) -> npt.NDArray[np.bool_]:
    """Which of n trials are hopeless, (n,).

    at: log10 rates, shifted by what is known of the other parameters, (n,). groups: an integer for each trial; compared are those
    of a group. lost_at, lost_groups: those of trials that diverged, (m,). guessing: the cost of guessing, None where the
    objective does not declare it.

    Two kinds: at a higher rate than the best trial's, a cost that is worse than guessing by FACTOR times what the best trial is
    better; and a cost that did not get MIDWAY, beyond the lowest rate above that of the group's best trial at which one was lost.
    """
    best = int(costs.argmin())
    level = guessing_level(at, costs, guessing)
    hopeless = find_exploded(at, costs, guessing)
    reference = level if level is not None and level > costs[best] else float(np.quantile(costs[~hopeless], 0.8))
    bad = costs > costs[best] + MIDWAY * (reference - costs[best])
    for group in np.unique(groups):
        of_group = groups == group
        lost = np.concatenate([at[hopeless & of_group], lost_at[lost_groups == group]])
        if (learned := of_group & ~bad).any():
            lost = lost[lost > at[learned][costs[learned].argmin()]]  # what diverged below its best trial did so by chance
        if len(lost):
            hopeless |= of_group & bad & (at >= lost.min())
    return hopeless


def find_exploded(at: Array, costs: Array, guessing: float | None) -> npt.NDArray[np.bool_]:
    """Which of n trials exploded, (n,): the first kind of `find_hopeless` alone."""
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
    """The log10 rate above which explosions begin, by how they grow from there, less MARGIN; minus infinity: not known.

    at, costs: of hopeless trials, (n,). level: of guessing, as `find_hopeless` has it. A loss that explodes grows with a power of
    the rate, so that a line through the logarithms leads back to where it was that of guessing.
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
    """What guessing costs: as declared, else, or where no trial is better, the plateau of the lowest rates; None: not known."""
    return _plateau(at, costs) if declared is None or declared <= costs.min() else declared


def _plateau(at: Array, costs: Array) -> float | None:
    count = max(FEWEST_OF_PLATEAU, round(PLATEAU_PART * len(at)))
    if count >= len(at):
        return None
    lowest = costs[np.argsort(at, kind="stable")[:count]]
    level = float(np.median(lowest))
    return level if float(np.ptp(lowest)) <= LEVEL * (level - float(costs.min())) else None
