"""Covariance matrices of Gaussian processes: distances, and Cholesky factors that are robust to rounding."""

from collections.abc import Sequence

import numpy as np
from scipy import linalg

from service.analysis.model.encoding import Array
from service.analysis.model.hyperparameters import JITTER


def factor(covariance: Array, jitters: Sequence[float]) -> Array:
    """Its lower Cholesky factor. The jitters, parts of the largest variance, are added in turn until it is positive definite.

    Raises LinAlgError when no jitter is enough.
    """
    largest = covariance.diagonal().max()
    for jitter in jitters:
        jittered = covariance.copy()
        jittered.reshape(-1)[:: len(jittered) + 1] += jitter * largest
        try:
            root: Array = linalg.cholesky(jittered, lower=True, check_finite=False)
            return root
        except linalg.LinAlgError:
            continue
    raise linalg.LinAlgError("not positive definite with any jitter")


def root_of(covariance: Array) -> Array:
    """A matrix whose square is `covariance`, which rounding may have made slightly indefinite."""
    try:
        return factor(covariance, (JITTER, 100 * JITTER))
    except linalg.LinAlgError:
        eigenvalues, vectors = linalg.eigh(covariance, check_finite=False)
        # The symmetric root: rounding may flip the sign of eigenvectors.
        root: Array = vectors * np.sqrt(np.maximum(eigenvalues, 0.0)) @ vectors.T
        return root


def squared_distances(left: Array, right: Array) -> Array:
    """Squared Euclidean distances, (n, m), of points (n, columns) and (m, columns)."""
    if left.shape[1] == 1:
        squares: Array = left - right.T
        squares *= squares
        return squares
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)
    squares -= 2 * left @ right.T
    return np.maximum(squares, 0.0, out=squares)
