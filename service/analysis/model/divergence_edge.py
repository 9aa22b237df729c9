"""Where learning rates begin to diverge: a logistic regression of diverged on log10(rate), with its uncertainty.

    probability of diverging = chance + (1 - chance) * logistic((log10(rate) - edge) / sharpness)

A run may diverge by chance at any rate. Without a probability of that, one such run would move the edge by decades ("lapse rate":
Wichmann and Hill 2001, The psychometric function I).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaln, expit, log_expit, logit, logsumexp

from service.analysis.model.encoding import Array

SHARPNESS = np.geomspace(0.01, 0.5, 12)
"""Decades over which the odds of diverging change by a factor of e; all equally likely before."""
CHANCE = np.array([0.0, 0.01, 0.03, 0.1])
"""Of diverging at any rate; all equally likely before."""
BEYOND = 0.5
"""Decades beyond the rates tried at which the edge may lie."""
N_PLACES = 400
"""Places of the edge that are compared, evenly spread in log10(rate)."""
MOST_RATES = 512
"""More trials than this are counted at the middles of so many bins."""
TINY = 1e-300
"""Keeps the logarithm of a probability finite."""
NEGLIGIBLE = 1e-8
"""A weight below this part of their sum is left out: all of them together are less than a ten-thousandth."""


@dataclass(frozen=True, kw_only=True)
class DivergenceEdge:
    """The posterior of the rate at which half of all trials diverge."""

    places: Array
    """log10 rates."""
    weights: Array
    """(places, SHARPNESS), of sum 1."""
    chance: Array
    """The expected chance of diverging at any rate, (places, SHARPNESS)."""

    def quantile(self, part: float) -> float:
        """log10 rate."""
        return float(self.places[min(int(np.searchsorted(self._of_places.cumsum(), part)), len(self.places) - 1)])

    def draw(self, n: int, random: np.random.Generator, part: float = 0.5) -> Array:
        """Draws of the log10 rate at which a part of all trials diverges, not counting those that do so by chance, (n,)"""
        places, sharpness = np.divmod(random.choice(self.weights.size, size=n, p=self.weights.ravel()), len(SHARPNESS))
        drawn: Array = self.places[places] + SHARPNESS[sharpness] * logit(part)
        return drawn

    def probability(self, rates: Array) -> Array:
        """Of diverging at log10 rates."""
        places, sharpness = np.nonzero(self.weights > NEGLIGIBLE)
        by_rate = expit((rates[:, None] - self.places[places]) / SHARPNESS[sharpness])
        weights, chance = self.weights[places, sharpness], self.chance[places, sharpness]
        expected: Array = by_rate @ (weights * (1 - chance)) + float(weights @ chance)
        return expected

    def moved(self, by: float) -> "DivergenceEdge":
        """The same, so many decades higher."""
        return replace(self, places=self.places + by)

    @property
    def _of_places(self) -> Array:
        total: Array = self.weights.sum(axis=1)
        normalized: Array = total / total.sum()
        return normalized


def lost_from(trained: Array, lost: Array) -> float:
    """The lowest log10 rate at which a trial was lost and from which on, up to any higher rate, at least half of all were.
    Infinite where there is none.

    So that one run that diverges by chance, among others that train, does not end the rates that can be used, however many are
    lost far above it.
    """
    trained, lost = np.sort(trained), np.sort(lost)
    for n_below, rate in enumerate(lost):
        above = trained[np.searchsorted(trained, rate) :]
        lost_up_to = np.searchsorted(lost, above, side="right") - n_below
        if (lost_up_to >= np.arange(1, len(above) + 1)).all():
            return float(rate)
    return math.inf


def find_edge(trained: Array, diverged: Array, at_least: float = -math.inf) -> DivergenceEdge | None:
    """From the log10 rates at which trials trained through and at which they diverged; None where none did the one or the other.

    at_least: no lower edge is possible.

    Three parameters, so the posterior is computed on a grid: uniform priors over where the edge is, the logarithm of how sharp it
    is, and CHANCE. That keeps trials that part perfectly, on which maximum likelihood has no answer (Albert and Anderson 1984).
    None, too, where one probability of diverging at every rate makes the trials likelier than an edge does (Bayes factor): then
    it is not the rate that makes them diverge.
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
    """Rates, and how many trials stand at each."""
    if len(rates) <= MOST_RATES:
        return rates, np.ones(len(rates))
    counts, ends = np.histogram(rates, bins=MOST_RATES)
    held = counts > 0
    return ((ends[:-1] + ends[1:]) / 2)[held], counts[held].astype(float)
