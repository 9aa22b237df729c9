"""What is to be expected at the answered point, which was chosen for being lowest, and so may cost more than it seems."""

from collections.abc import Callable
from typing import Any

import numpy as np

from service.analysis.model.choice import Choice, Mask
from service.analysis.model.encoding import Array
from service.analysis.model.estimates import Estimate
from service.analysis.model.observations import Observations

ALIKE = 1.5
"""Points whose expected cost is within this many standard deviations of the chosen one's can hardly be distinguished from it."""
PERHAPS_ALIKE = 3.0
"""Points whose expected cost is within this many standard deviations of the chosen one's may be as good."""


def expected_cost(seen: Observations, choice: Choice, draws: Array, *, is_retrained: bool) -> Estimate:
    """The cost at the chosen point, from joint draws at the candidates, (draws, n). is_retrained: whether it must be one of the
    retrained points."""
    best = choice.best
    cost = Estimate.at_median(draws[:, best])
    bias, most_bias = (_selection_bias(draws, choice.may_be_best, best, alike) for alike in (ALIKE, PERHAPS_ALIKE))
    if is_retrained:
        # They are few, so that their mean may lie far below the worst of those that may be as good.
        most_bias = max(most_bias, _selection_bias(draws, choice.eligible, best, PERHAPS_ALIKE, np.max))
    best_seen = float(seen.costs[seen.complete].min())
    # That the bound itself is what to expect has a probability of its own, which no draw of the surface shows.
    low = min(cost.low, best_seen) if seen.is_saturated else cost.low
    # What is to be expected is seldom better than the luckiest run; where costs span decades, draws may all be at the bound.
    high = max(cost.high + max(bias, most_bias), best_seen)
    return Estimate(mean=cost.mean + bias / 2, low=low, high=high)


def _selection_bias(draws: Array, among: Mask, best: int, alike: float, over: Callable[[Array], Any] = np.mean) -> float:
    """By how much the posterior mean at the chosen point may be too low, because it was chosen for being lowest.

    Where the true cost is flat about its minimum, the posterior means there differ only by their errors, and the lowest has the
    luckiest error. The true cost may be as high as the mean (or another function `over`) of all points whose expected cost is
    within `alike` standard deviations of it (James and Stein 1961 shrink means towards such a common mean).
    """
    above = draws[:, among].mean(axis=0) - draws[:, best].mean()
    near = above[above <= alike * draws[:, best].std()]
    return max(0.0, float(over(near))) if len(near) else 0.0
