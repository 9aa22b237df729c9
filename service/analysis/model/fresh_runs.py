"""The expected cost of points that were retrained, between what the surface says and the mean of their fresh runs."""

import numpy as np

from service.analysis.model.candidates import FreshRuns
from service.analysis.model.encoding import Array
from service.analysis.model.posterior import Posterior

DOUBT = 2.0
"""Factor on the variance of a mean over fresh runs, where it is weighed against the surface, which has used them already."""


def towards_fresh_runs(posterior: Posterior, fresh: FreshRuns, draws: Array, mean: Array) -> tuple[Array, Array]:
    """Joint draws, (draws, n), and means, (n,): those of the last m, the retrained points, move towards their fresh runs' means.

    The surface has used these runs. But it is smooth, and where a point truly departs from it, its repeats show that first.
    """
    ours = slice(len(mean) - len(fresh.points), None)
    noise = np.array([posterior.surface.noise_at(point) for point in fresh.points])
    # Variances of the runs' means, in those of the surface.
    ratio = (noise / np.maximum(draws[:, ours].std(axis=0), 1e-9 * noise)) ** 2 / fresh.runs
    part = 1 / (1 + DOUBT * ratio)
    moved, wider = np.zeros(len(mean)), np.ones(len(mean))
    moved[ours] = part * (fresh.costs - mean[ours])
    wider[ours] = np.sqrt(1 + part**2 * ratio)  # the noise of the runs' means comes along
    middle = draws.mean(axis=0)
    return posterior.bounded(middle + moved + wider * (draws - middle)), mean + moved
