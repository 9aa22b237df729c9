"""Covariance matrices of Gaussian processes: distances, and their Cholesky factors in spite of rounding."""

from collections.abc import Sequence

import numpy as np
from scipy import linalg

from service.analysis.model.encoding import Array
from service.analysis.model.hyperparameters import JITTER


def factor(covariance: Array, jitters: Sequence[float]) -> Array:
    """Its Cholesky factor, lower, with the first of these parts of its largest variance added that makes up for rounding.

    Raises LinAlgError when none does.
    """
    largest = covariance.diagonal().max()
    for jitter in jitters:
        try:
            root: Array = linalg.cholesky(covariance + jitter * largest * np.eye(len(covariance)), lower=True, check_finite=False)
            return root
        except linalg.LinAlgError:
            continue
    raise linalg.LinAlgError("no part of the largest variance makes up for rounding")


def root_of(covariance: Array) -> Array:
    """A matrix whose square is `covariance`, which rounding may have made slightly indefinite."""
    try:
        return factor(covariance, (JITTER, 100 * JITTER))
    except linalg.LinAlgError:
        eigenvalues, vectors = linalg.eigh(covariance, check_finite=False)
        # The symmetric one: eigenvectors may point either way, as rounding has it.
        root: Array = vectors * np.sqrt(np.maximum(eigenvalues, 0.0)) @ vectors.T
        return root


def squared_distances(left: Array, right: Array) -> Array:
    """(n, m), of points in any number of columns."""
    if left.shape[1] == 1:
        near: Array = (left - right.T) ** 2
        return near
    products = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
    squares: Array = np.maximum(products, 0.0)
    return squares
