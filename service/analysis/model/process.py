"""The Gaussian process of a response surface: its coordinates and covariance, and its predictions at points.

The symbols are those of `hyperparameters`; theta is one vector of them.
"""

import math

import numpy as np
from scipy import linalg

from service.analysis.model.covariances import factor, squared_distances
from service.analysis.model.encoding import Array
from service.analysis.model.hyperparameters import FIRST_LENGTH, JITTER, SHARED, alike, powers
from service.analysis.model.observations import Observations


class Coordinates:
    """From points (n, 1 + columns), log10 of the rate first, to the inputs of the process."""

    def __init__(self, seen: Observations) -> None:
        self.middle, self.half = (seen.low + seen.high) / 2, max((seen.high - seen.low) / 2, 0.05)
        """The middle of the range of rates, log10, and half its width, decades."""
        self.slices = _slices(seen)
        """Columns of the learning rate, and of each other parameter."""
        self.centre = np.array([1 / axis.width if axis.width > 1 else 0.5 for axis in seen.axes for _ in range(axis.width)])
        """The middles of the other coordinates, (columns,)."""

    def shifts(self, theta: Array) -> Array:
        """By how many decades each other coordinate shifts the rate, (columns,); for several theta, a row each."""
        shifts: Array = theta[..., FIRST_LENGTH + len(self.slices) - 1 :]
        return shifts

    def at(self, theta: Array, points: Array) -> Array:
        """Shifted log10 rates, from the middle of the range, (n,)."""
        at: Array = points[:, 0] - self.middle + (points[:, 1:] - self.centre) @ self.shifts(theta)
        return at

    def basis_of_others(self, points: Array) -> Array:
        """The basis of the quadratic in the other parameters, (n, terms)."""
        columns = [np.zeros((len(points), 0))]
        for part in self.slices[1:]:
            other = 2 * points[:, part] - 1
            columns.append(other)
            if part.stop - part.start == 1:
                columns.append(other**2)
        return np.concatenate(columns, axis=1)

    def basis(self, theta: Array, points: Array) -> Array:
        """The basis of the quadratic in all parameters, (n, 3 + terms)."""
        return np.column_stack([powers(self.at(theta, points) / self.half), self.basis_of_others(points)])

    def covariance(self, theta: Array, left: Array, right: Array) -> Array:
        """Covariances of the expected costs at two sets of points, (n, m)."""
        lengths = np.exp(theta[FIRST_LENGTH : FIRST_LENGTH + len(self.slices) - 1])
        lengths = np.repeat(lengths, [part.stop - part.start for part in self.slices[1:]])
        left_at, right_at = (self.at(theta, points)[:, None] / math.exp(theta[0]) for points in (left, right))
        by_rate = alike(squared_distances(left_at, right_at))
        by_others = alike(squared_distances(left[:, 1:] / lengths, right[:, 1:] / lengths))
        departure = math.exp(2 * theta[1]) * by_rate * (SHARED + (1 - SHARED) * by_others)
        quadratic = math.exp(2 * theta[3]) * (self.basis(theta, left) @ self.basis(theta, right).T)
        covariance: Array = departure + quadratic
        return covariance

    def variance(self, theta: Array, points: Array) -> Array:
        """Variances of the expected costs at points, (n,): the diagonal of `covariance`."""
        variance: Array = math.exp(2 * theta[1]) + math.exp(2 * theta[3]) * (self.basis(theta, points) ** 2).sum(1)
        return variance

    def noise(self, theta: Array, points: Array) -> Array:
        """Variances of the noise of single trials at points, (n,)."""
        noise: Array = np.exp(2 * (theta[2] + theta[4] * self.at(theta, points)))
        return noise


class Process:
    """The process conditioned on trials, for one theta: factored once, evaluated at many points."""

    def __init__(self, coordinates: Coordinates, theta: Array, x: Array, y: Array, extra: Array, inducing: Array | None) -> None:
        """x: trials, (n, 1 + columns). y: their warped costs, (n,). extra: variances beside the noise, (n,). inducing:
        inducing points where there are many trials (deterministic training conditional), (i, 1 + columns); None: exact.

        Raises LinAlgError where no jitter makes the covariance positive definite.
        """
        self.theta = theta
        self._coordinates = coordinates
        variances = coordinates.noise(theta, x) + extra + JITTER
        self._inner: Array | None = None
        if inducing is None:
            self._x = x
            within = coordinates.covariance(theta, x, x)
            within[np.diag_indices_from(within)] += variances
            self._root = factor(within, (0.0, 1e-10, 1e-8, 1e-6))
            self._projected = linalg.solve_triangular(self._root, y, lower=True, check_finite=False)
            return
        self._x = inducing
        within = coordinates.covariance(theta, inducing, inducing)
        within[np.diag_indices_from(within)] += 10 * JITTER * within.diagonal().max()
        self._root = linalg.cholesky(within, lower=True, check_finite=False)
        across = linalg.solve_triangular(self._root, coordinates.covariance(theta, inducing, x), lower=True, check_finite=False)
        weighed = across / variances
        self._inner = linalg.cholesky(np.eye(len(inducing)) + weighed @ across.T, lower=True, check_finite=False)
        self._projected = linalg.solve_triangular(self._inner, weighed @ y, lower=True, check_finite=False)

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Mean, (n,), and covariance, (n, n), of the warped expected costs at points (n, 1 + columns)."""
        gained, lost = self._project(points)
        covariance = self._coordinates.covariance(self.theta, points, points) - gained.T @ gained
        return self._mean(gained, lost), covariance if lost is None else covariance + lost.T @ lost

    def predict_variances(self, points: Array) -> tuple[Array, Array]:
        """As `predict`, the variances alone, (n,)."""
        gained, lost = self._project(points)
        variance = self._coordinates.variance(self.theta, points) - (gained**2).sum(0)
        return self._mean(gained, lost), variance + (0.0 if lost is None else (lost**2).sum(0))

    def _project(self, points: Array) -> tuple[Array, Array | None]:
        """The whitened cross-covariance of points with the trials or inducing points, (n or i, points), which lowers their
        variance; and, with inducing points, a second term, (i, points), which raises it again.
        """
        across = self._coordinates.covariance(self.theta, self._x, points)
        gained = linalg.solve_triangular(self._root, across, lower=True, check_finite=False)
        lost = None if self._inner is None else linalg.solve_triangular(self._inner, gained, lower=True, check_finite=False)
        return gained, lost

    def _mean(self, gained: Array, lost: Array | None) -> Array:
        mean: Array = (gained if lost is None else lost).T @ self._projected
        return mean


def _slices(seen: Observations) -> list[slice]:
    slices, at = [slice(0, 1)], 1
    for axis in seen.axes:
        slices.append(slice(at, at + axis.width))
        at += axis.width
    return slices
