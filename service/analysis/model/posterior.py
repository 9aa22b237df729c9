"""The posterior of the expected cost, within the bounds of the metric, and of the rates at which trials are lost."""

import numpy as np

from service.analysis.model.divergence_edge import find_edge, lost_from
from service.analysis.model.encoding import Array
from service.analysis.model.observations import Observations
from service.analysis.model.surface import Surface

MOST_DIVERGE = 0.25
"""A rate at which more than this part of trials are lost is never the best one: nobody would train at it."""
N_DRAWS = 480
"""Joint draws of the expected cost: they give the ends of a 90% interval to about 1.4% of probability."""
FEWEST_DRAWS = 48
"""Fewest draws that are kept where most of them lie below the metric's bound."""


class Posterior:
    """The posterior of the expected cost, within the bounds of the metric, and of the rates at which trials are lost."""

    def __init__(self, seen: Observations, random: np.random.Generator) -> None:
        """`seen` must hold at least four costs."""
        self.surface = Surface(seen, random)
        trained = self.surface.shifted(np.column_stack([seen.rates, seen.others])[seen.complete])
        lost = self.surface.shifted(np.column_stack([seen.lost_rates, seen.lost_others]))
        self.edge = find_edge(trained, lost, seen.explosions_begin)
        """In shifted rates; None where no trial was lost, or not because of its rate."""
        self.ceiling = lost_from(trained, lost)
        """The answer's shifted rate is not above it."""
        self._seen = seen
        self._random = random

    def loses(self, points: Array) -> Array:
        """The probability of being lost at points, (n, 1 + columns)."""
        return np.zeros(len(points)) if self.edge is None else self.edge.probability(self.surface.shifted(points))

    def bounds(self, n: int) -> Array | None:
        """Draws of the highest shifted rate that may be the best, (n,)."""
        if self.edge is None:
            return None
        bounds: Array = np.minimum(self.edge.draw(n, self._random, MOST_DIVERGE), self.ceiling)
        return bounds

    def draw(self, points: Array) -> tuple[Array, Array]:
        """Joint draws of the expected cost, (draws, n), and its mean, (n,), given that it is nowhere below its bound."""
        draws, mean = self.surface.draw(points, N_DRAWS)
        # Warped costs have no upper bound: where trials say little, their mean would be extremely large.
        least, most = self.surface.least(points), self._seen.most
        draws, mean = np.clip(draws, least, most), np.clip(mean, least, most)
        if self._seen.bound is None:
            return draws, mean
        lowest = draws.min(axis=1)
        possible = lowest >= self._seen.bound
        if possible.all():
            return draws, mean
        if possible.sum() < FEWEST_DRAWS:
            possible = lowest >= np.sort(lowest)[-FEWEST_DRAWS]
        draws = np.maximum(draws[possible], self._seen.bound)
        return draws, draws.mean(axis=0)

    def expected(self, points: Array) -> Array:
        """The expected cost at points, (n,), with the surface's hyperparameters at their mode."""
        cost: Array = np.clip(self.surface.expected(points), self.surface.least(points), self._seen.most)
        return self.bounded(cost)

    def bounded(self, draws: Array) -> Array:
        """Draws of the expected cost, none of them below its bound."""
        return draws if self._seen.bound is None else np.maximum(draws, self._seen.bound)
