"""Where learning rates begin to diverge: a logistic regression of diverged on log10(rate), with its uncertainty."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, expit, log_expit, logit, logsumexp

from service.report.encoding import Array

SHARPNESS = np.geomspace(0.01, 0.5, 12)
"""Decades over which the odds of diverging change by a factor of e; all equally likely before."""
BEYOND = 0.5
"""The edge may lie so many decades beyond the rates tried."""
N_PLACES = 400
NEGLIGIBLE = 1e-8
"""Of the weights' sum: all that are less are no part in ten thousand of it."""


@dataclass(frozen=True, kw_only=True)
class DivergenceEdge:
    """The posterior of the rate at which half of all trials diverge."""

    places: Array
    """log10 rates."""
    weights: Array
    """(places, SHARPNESS), of sum 1."""

    def quantile(self, part: float) -> float:
        """log10 rate."""
        return float(self.places[min(int(np.searchsorted(self._of_places.cumsum(), part)), len(self.places) - 1)])

    def draw(self, n: int, random: np.random.Generator, part: float = 0.5) -> Array:
        """Draws of the log10 rate at which a part of all trials diverges, (n,)"""
        places, sharpness = np.divmod(random.choice(self.weights.size, size=n, p=self.weights.ravel()), len(SHARPNESS))
        drawn: Array = self.places[places] + SHARPNESS[sharpness] * logit(part)
        return drawn

    def probability(self, rates: Array) -> Array:
        """Of diverging at log10 rates."""
        places, sharpness = np.nonzero(self.weights > NEGLIGIBLE)
        odds = expit((rates[:, None] - self.places[places]) / SHARPNESS[sharpness])
        expected: Array = odds @ self.weights[places, sharpness]
        return expected

    @property
    def _of_places(self) -> Array:
        total: Array = self.weights.sum(axis=1)
        normalized: Array = total / total.sum()
        return normalized


def find_edge(trained: Array, diverged: Array) -> DivergenceEdge | None:
    """From the log10 rates at which trials trained through and at which they diverged; None where none did the one or the other.

    Two parameters, so the posterior is computed on a grid: uniform priors over where the edge is and over the logarithm of how
    sharp it is. That keeps trials that part perfectly, on which maximum likelihood has no answer (Albert and Anderson 1984).
    None, too, where one probability of diverging at every rate makes the trials likelier than an edge does (Bayes factor): then
    it is not the rate that makes them diverge.
    """
    if not len(trained) or not len(diverged):
        return None
    rates = np.concatenate([trained, diverged])
    places = np.linspace(rates.min() - BEYOND, rates.max() + BEYOND, N_PLACES)
    log_likelihood = np.empty((len(places), len(SHARPNESS)))
    for column, sharpness in enumerate(SHARPNESS):
        log_likelihood[:, column] = log_expit((diverged - places[:, None]) / sharpness).sum(axis=1) + log_expit(
            (places[:, None] - trained) / sharpness
        ).sum(axis=1)
    if logsumexp(log_likelihood) - math.log(log_likelihood.size) < betaln(len(diverged) + 1, len(trained) + 1):
        return None
    weights = np.exp(log_likelihood - log_likelihood.max())
    return DivergenceEdge(places=places, weights=weights / weights.sum())
