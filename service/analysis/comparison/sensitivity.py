"""How much it costs to miss the best learning rate: the mean excess cost over a decade about it."""

import numpy as np

from service.analysis.comparison.tuned import Tuned
from service.analysis.model.estimates import Estimate
from service.domain.comparison import SensitivityView

HALF_A_DECADE = 0.5
N_RATES = 41


def sensitivity(tuned: Tuned, level: float) -> SensitivityView:
    """Excess cost, averaged over log10 rates within half a decade of the best one, with the other parameters at their best.

    level: the cost of an untrained network. Costs are capped there, and rates beyond the divergence edge count with it.

    Like the learning-rate sensitivity of Wortsman et al. 2023, Small-scale proxies for large-scale Transformer training
    instabilities, section 2.2, with two differences. Their range of rates is the same for all, not about each recipe's own best;
    and their excess is over the lowest loss seen, ours over the expected cost at the best rate, which noise does not lower.
    """
    best = tuned.optimum.rate
    low, high = max(best - HALF_A_DECADE, tuned.seen.low), min(best + HALF_A_DECADE, tuned.seen.high)
    rates = low + (high - low) * (np.arange(N_RATES) + 0.5) / N_RATES  # the middles of equal parts: ends would count double
    costs = tuned.curve.costs_at(np.append(rates, best))
    costs, at_best = np.minimum(costs[:, :-1], level), np.minimum(costs[:, -1], level)
    diverging = 0.0
    edge = tuned.curve.edge_at(tuned.optimum.point)
    if edge is not None:
        bounds = edge.draw(len(costs), np.random.default_rng(0))
        beyond = rates[None, :] > bounds[:, None]
        costs, diverging = np.where(beyond, level, costs), float(beyond.mean())
    # More is worse, whatever the metric's direction.
    excess = Estimate.of(costs.mean(axis=1) - at_best).times(1)
    return SensitivityView(excess=excess, low=10**low, high=10**high, diverging=diverging)
