"""The rate at which training begins to diverge: a logistic regression of divergence on log10(rate), with its uncertainty.

    probability of diverging = chance + (1 - chance) * logistic((log10(rate) - edge) / sharpness)

A run may diverge by chance at any rate. Without a probability for that, one such run would move the edge by decades ("lapse
rate": Wichmann and Hill 2001, The psychometric function I).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaln, expit, log_expit, logit, logsumexp

from service.analysis.model.encoding import Array

SHARPNESS = np.geomspace(0.01, 0.5, 12)
"""Decades over which the odds of diverging change by a factor of e; uniform prior."""
CHANCE = np.array([0.0, 0.01, 0.03, 0.1])
"""Probabilities of diverging by chance at any rate; uniform prior."""
BEYOND = 0.5
"""Decades beyond the rates tried at which the edge may lie."""
N_PLACES = 400
"""Grid points for the edge, evenly spread in log10(rate)."""
MOST_RATES = 512
"""More trials than this are counted in as many bins, at their middles."""
TINY = 1e-300
"""Keeps the logarithm of a probability finite."""
NEGLIGIBLE = 1e-8
"""Weights below this part of their sum are left out: together they are less than a ten-thousandth."""


@dataclass(frozen=True, kw_only=True)
class DivergenceEdge:
    """The posterior of the rate at which half of all trials diverge."""

    places: Array
    """log10 rates."""
    weights: Array
    """Posterior probabilities, (places, SHARPNESS); their sum is 1."""
    chance: Array
    """The expected chance of diverging at any rate, (places, SHARPNESS)."""

    def quantile(self, part: float) -> float:
        """A quantile of the edge, log10 rate."""
        return float(self.places[min(int(np.searchsorted(self._of_places.cumsum(), part)), len(self.places) - 1)])

    def draw(self, n: int, random: np.random.Generator, part: float = 0.5) -> Array:
        """Draws of the log10 rate at which this part of trials diverges, not counting divergence by chance, (n,)."""
        places, sharpness = np.divmod(random.choice(self.weights.size, size=n, p=self.weights.ravel()), len(SHARPNESS))
        drawn: Array = self.places[places] + SHARPNESS[sharpness] * logit(part)
        return drawn

    def probability(self, rates: Array) -> Array:
        """The probability of diverging at log10 rates, (n,)."""
        places, sharpness = np.nonzero(self.weights > NEGLIGIBLE)
        by_rate = expit((rates[:, None] - self.places[places]) / SHARPNESS[sharpness])
        weights, chance = self.weights[places, sharpness], self.chance[places, sharpness]
        expected: Array = by_rate @ (weights * (1 - chance)) + float(weights @ chance)
        return expected

    def moved(self, by: float) -> "DivergenceEdge":
        """The same edge, moved up by this many decades."""
        return replace(self, places=self.places + by)

    @property
    def _of_places(self) -> Array:
        total: Array = self.weights.sum(axis=1)
        normalized: Array = total / total.sum()
        return normalized


def lost_from(trained: Array, lost: Array) -> float:
    """The lowest log10 rate of a lost trial such that between it and any higher rate at least half of the trials were lost.
    Infinite where there is none.

    So a run that diverges by chance, among others that train, does not bound the usable rates, however many are lost far above.
    """
    trained, lost = np.sort(trained), np.sort(lost)
    for n_below, rate in enumerate(lost):
        above = trained[np.searchsorted(trained, rate) :]
        lost_up_to = np.searchsorted(lost, above, side="right") - n_below
        if (lost_up_to >= np.arange(1, len(above) + 1)).all():
            return float(rate)
    return math.inf


def find_edge(trained: Array, diverged: Array, at_least: float = -math.inf) -> DivergenceEdge | None:
    """The edge, from the log10 rates of trials that trained to their end and of trials that diverged; None where one is empty.

    at_least: the lowest possible edge.

    There are three parameters, so the posterior is computed on a grid, with uniform priors on the edge, on the logarithm of its
    sharpness, and on CHANCE. It also handles trials that are perfectly separated, for which maximum likelihood has no solution
    (Albert and Anderson 1984). Also None where one probability of diverging at all rates explains the trials better than an edge
    (Bayes factor): then they do not diverge because of the rate.
    """
    if not len(trained) or not len(diverged):
        return None
    rates = np.concatenate([trained, diverged])
    places = np.linspace(rates.min() - BEYOND, rates.max() + BEYOND, N_PLACES)
    (at_diverged, n_diverged), (at_trained, n_trained) = _counted(diverged), _counted(trained)
    log_likelihood = np.empty((len(places), len(SHARPNESS), len(CHANCE)))
    for column, sharpness in enumerate(SHARPNESS):
        by_rate = expit((at_diverged - places[:, None]) / sharpness)
        trains = log_expit((places[:, None] - at_trained) / sharpness) @ n_trained
        for layer, chance in enumerate(CHANCE):
            diverges = np.log(np.maximum(chance + (1 - chance) * by_rate, TINY)) @ n_diverged
            log_likelihood[:, column, layer] = diverges + trains + len(trained) * math.log1p(-chance)
    if logsumexp(log_likelihood) - math.log(log_likelihood.size) < betaln(len(diverged) + 1, len(trained) + 1):
        return None
    allowed = places >= min(at_least, places[-1])
    log_likelihood = np.where(allowed[:, None, None], log_likelihood, -math.inf)
    weights = np.exp(log_likelihood - log_likelihood.max())
    weights /= weights.sum()
    by_edge = weights.sum(axis=2)
    return DivergenceEdge(places=places, weights=by_edge, chance=weights @ CHANCE / np.maximum(by_edge, TINY))


def _counted(rates: Array) -> tuple[Array, Array]:
    """Rates, and the number of trials at each."""
    if len(rates) <= MOST_RATES:
        return rates, np.ones(len(rates))
    counts, ends = np.histogram(rates, bins=MOST_RATES)
    held = counts > 0
    return ((ends[:-1] + ends[1:]) / 2)[held], counts[held].astype(float)
