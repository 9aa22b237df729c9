"""The kernel of a response surface and its quadratic basis, in the symbols of `hyperparameters`."""

from typing import NamedTuple

import numpy as np

from service.analysis.model.encoding import Array

MIXTURE = 2.0
"""The exponent of the rational quadratic kernel: the larger it is, the narrower the mixture of length scales (Rasmussen and
Williams 2006, equation 4.19). Infinity is the squared exponential; Matern kernels, whose minima are not smooth, are rougher."""

SHARED = 0.7
"""The part of the departure's variance that is the same for all values of the other parameters: a rate at which nothing is
learned with one batch size learns nothing with the next either."""


class Covariance(NamedTuple):
    """The covariance of the trials' warped costs, and what its gradient needs."""

    covariance: Array
    departure: Array
    """(n, n)."""
    own: Array
    """The part of the departure that depends on the other parameters, (n, n)."""
    at: Array
    basis: Array
    noise: Array
    """Variances, (n,)."""
    scale: Array
    """1 / l^2, (1,)."""
    other_scales: Array
    """1 / m^2, (p,)."""
    along_rate: Array
    """Squared distances in length scales, (n, n)."""
    spread_along_rate: Array
    spread_along_others: Array | None
    """(n, n), None where the rate alone is searched."""


def alike(distance: Array) -> Array:
    """The rational quadratic kernel, of squared distances in length scales."""
    return kernel(spread(distance))


def spread(distance: Array) -> Array:
    """What the kernel is a power of."""
    spread = distance / (2 * MIXTURE)
    spread += 1
    return spread


def kernel(spread: Array) -> Array:
    """The rational quadratic kernel."""
    near = spread**MIXTURE  # a negative exponent takes numpy three times as long
    return np.divide(1, near, out=near)


def powers(rate: Array) -> Array:
    """The basis of the quadratic in the shifted rate, (n, 3)."""
    powers = np.ones((len(rate), 3))
    powers[:, 1], powers[:, 2] = rate, rate**2
    return powers
