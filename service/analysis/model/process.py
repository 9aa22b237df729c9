"""The Gaussian process of a response surface: its coordinates and covariance, and its predictions at points.

The symbols are those of `hyperparameters`; theta is one vector of them.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from service.analysis.model.covariances import factor, squared_distances
from service.analysis.model.encoding import Array
from service.analysis.model.hyperparameters import FIRST_LENGTH, JITTER
from service.analysis.model.kernel import SHARED, alike, powers
from service.analysis.model.observations import Observations


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """n points for one theta, whose distances are in its length scales."""

    at: Array
    """Shifted log10 rates, (n, 1)."""
    others: Array
    """The other coordinates, (n, columns)."""
    basis: Array
    """The basis of the quadratic in all parameters, (n, 3 + terms)."""


class Coordinates:
    """From points (n, 1 + columns), log10 of the rate first, to the inputs of the process."""

    def __init__(self, seen: Observations) -> None:
        self.middle, self.half = (seen.low + seen.high) / 2, max((seen.high - seen.low) / 2, 0.05)
        """The middle of the range of rates, log10, and half its width, decades."""
        self.slices = _slices(seen)
        """Columns of the learning rate, and of each other parameter."""
        self.centre = np.array([1 / axis.width if axis.width > 1 else 0.5 for axis in seen.axes for _ in range(axis.width)])
        """The middles of the other coordinates, (columns,)."""
        self.widths = [axis.width for axis in seen.axes]
        """How many columns each other parameter has."""

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

    def scaled(self, theta: Array, points: Array) -> "Scaled":
        """Points, (n, 1 + columns), as the process of this theta sees them."""
        at = self.at(theta, points)
        lengths = np.exp(theta[FIRST_LENGTH : FIRST_LENGTH + len(self.slices) - 1])
        return Scaled(
            at=at[:, None] / math.exp(theta[0]),
            others=points[:, 1:] / np.repeat(lengths, self.widths),
            basis=np.concatenate([powers(at / self.half), self.basis_of_others(points)], axis=1),
        )

    def covariance(self, theta: Array, left: "Scaled", right: "Scaled") -> Array:
        """Covariances of the expected costs at two sets of points, (n, m)."""
        departure = alike(squared_distances(left.at, right.at))
        departure *= math.exp(2 * theta[1])
        if len(self.centre):
            by_others = alike(squared_distances(left.others, right.others))
            by_others *= 1 - SHARED
            by_others += SHARED
            departure *= by_others
        # Copied: numpy takes longer for a matrix and its own transpose.
        covariance: Array = left.basis @ right.basis.T.copy()
        covariance *= math.exp(2 * theta[3])
        covariance += departure
        return covariance

    def variance(self, theta: Array, points: "Scaled") -> Array:
        """Variances of the expected costs at points, (n,): the diagonal of `covariance`."""
        variance: Array = math.exp(2 * theta[1]) + math.exp(2 * theta[3]) * (points.basis**2).sum(1)
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
        self._x = coordinates.scaled(theta, x if inducing is None else inducing)
        within = coordinates.covariance(theta, self._x, self._x)
        if inducing is None:
            within[np.diag_indices_from(within)] += variances
            self._root = factor(within, (0.0, 1e-10, 1e-8, 1e-6))
            self._projected = linalg.solve_triangular(self._root, y, lower=True, check_finite=False)
            return
        within[np.diag_indices_from(within)] += 10 * JITTER * within.diagonal().max()
        self._root = linalg.cholesky(within, lower=True, check_finite=False)
        across = coordinates.covariance(theta, self._x, coordinates.scaled(theta, x))
        across = linalg.solve_triangular(self._root, across, lower=True, check_finite=False)
        weighed = across / variances
        self._inner = linalg.cholesky(np.eye(len(inducing)) + weighed @ across.T, lower=True, check_finite=False)
        self._projected = linalg.solve_triangular(self._inner, weighed @ y, lower=True, check_finite=False)

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Mean, (n,), and covariance, (n, n), of the warped expected costs at points (n, 1 + columns)."""
        scaled = self._coordinates.scaled(self.theta, points)
        gained, lost = self._project(scaled)
        covariance = self._coordinates.covariance(self.theta, scaled, scaled)
        covariance -= gained.T @ gained
        return self._mean(gained, lost), covariance if lost is None else covariance + lost.T @ lost

    def predict_variances(self, points: Array) -> tuple[Array, Array]:
        """As `predict`, the variances alone, (n,)."""
        scaled = self._coordinates.scaled(self.theta, points)
        gained, lost = self._project(scaled)
        variance = self._coordinates.variance(self.theta, scaled) - (gained**2).sum(0)
        return self._mean(gained, lost), variance + (0.0 if lost is None else (lost**2).sum(0))

    def _project(self, points: Scaled) -> tuple[Array, Array | None]:
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
