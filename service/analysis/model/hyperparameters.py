"""The hyperparameters of a response surface: a warp of the costs, a kernel, and the posterior of their scales, given trials.

A vector of them holds logarithms: of the length scale along the rate, of the standard deviations of departure, noise and the
quadratic's coefficients; then the slope of the noise's logarithm; then the logarithms of the other length scales; and last by how
many decades each other coordinate shifts the rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize
from scipy.special import chdtri, ndtri

from service.analysis.model.encoding import Array, low_discrepancy

MIXTURE = 2.0
"""The rational quadratic kernel's exponent: how alike the length scales are that it mixes."""

SHARED = 0.7
"""The part of the departure's variance that is the same whatever the other parameters are: a rate that is hopeless with one batch
size is so with the next, too."""

N_PROPOSED = 256
N_KEPT = 16
FARTHEST = 8.0
"""Standard deviations of a prior beyond which nothing is looked for: a search for a minimum may step as far as it likes."""
TAILS = 4
"""Degrees of freedom of the proposals."""

FIRST_LENGTH = 5
"""Where the length scales of the other parameters begin in the vector."""

JITTER = 1e-9
WARPS = (math.inf, 1.0, 0.3, 0.1)
"""In scaled costs; infinite: none."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Of a hyperparameter's logarithm, or of the slope itself: normal."""

    mean: float
    sd: float


LENGTH = Prior(mean=math.log(1.0), sd=0.6)  # decades
DEPARTURE = Prior(mean=math.log(0.1), sd=1.5)  # scaled costs, as the next two
NOISE = Prior(mean=math.log(0.1), sd=0.6)
QUADRATIC = Prior(mean=math.log(3.0), sd=0.7)
SLOPE = Prior(mean=0.0, sd=0.8)  # of the noise's logarithm, a decade
NO_SLOPE = Prior(mean=0.0, sd=0.02)
OTHER_LENGTH = Prior(mean=math.log(0.7), sd=0.7)  # parts of a parameter's range


@dataclass(frozen=True)
class Warp:
    """Scaled costs, and what the process takes them as."""

    at: float

    def of(self, cost: Array) -> Array:
        """A predicted cost may be below the best one."""
        warped: Array = cost if math.isinf(self.at) else self.at * np.log1p(np.maximum(cost / self.at, -0.5))
        return warped

    def expected(self, mean: Array, variance: Array) -> Array:
        """The mean of the cost whose warp has this mean and variance (of a lognormal): the less is known, the higher it is."""
        if math.isinf(self.at):
            return mean
        cost: Array = self.at * np.expm1(np.minimum(mean / self.at + variance / (2 * self.at**2), 50.0))
        return cost

    def variance(self, of_cost: Array, cost: Array) -> Array:
        """To first order."""
        warped: Array = of_cost / (1 + np.maximum(cost / self.at, -0.5)) ** 2
        return warped

    def log_stretch(self, cost: Array) -> float:
        """Minus the logarithm of the Jacobian: what the likelihood of costs has beside that of warped ones."""
        return 0.0 if math.isinf(self.at) else float(np.log1p(np.maximum(cost / self.at, -0.5)).sum())


class Hyperparameters:
    """Their posterior, given n trials."""

    def __init__(
        self,
        warp: Warp,
        priors: Sequence[Prior],
        *,
        costs: Array,
        variances: Array,
        rates: Array,
        half: float,
        others: Array,
        basis: Array,
        squares: Array,
    ) -> None:
        """costs: scaled, (n,); variances: of what is not known of them. rates: log10, from the middle of their range, (n,); half:
        of that range. others: the other coordinates, from the middle of theirs, (n, columns). basis: of the quadratic in them,
        (n, terms). squares: squared distances along each other parameter, (parameters, n, n).
        """
        self.warp = warp
        self._y = warp.of(costs)
        self._extra = warp.variance(variances, costs)
        self._rates = rates
        self._half = half
        self._others = others
        self._basis = basis
        self._squares = squares.reshape(len(squares), len(rates) ** 2)
        self._mean = np.array([prior.mean for prior in priors])
        self._sd = np.array([prior.sd for prior in priors])
        self._stretch = self.warp.log_stretch(costs)
        self.mode, self._lowest = self._descend(self._mean)

    @property
    def energy_at_mode(self) -> float:
        """Of the unwarped costs: it may be compared with those of other warps."""
        return self._lowest + self._stretch

    def look_further(self) -> None:
        """From a short and from a long length scale, where the posterior may have a second, higher mode."""
        for length, departure, noise in ((0.0, -1.0, -1.0), (-0.8, 1.0, -1.0)):
            start = self._mean.copy()
            start[:3] += self._sd[:3] * (length, departure, noise)
            mode, lowest = self._descend(start)
            if lowest < self._lowest:
                self.mode, self._lowest = mode, lowest

    def _descend(self, start: Array) -> tuple[Array, float]:
        bounds = np.stack([self._mean - FARTHEST * self._sd, self._mean + FARTHEST * self._sd], axis=1)
        found = optimize.minimize(self.energy, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100})
        return found.x, float(found.fun)

    def energy(self, theta: Array, *, with_gradient: bool = True) -> tuple[float, Array]:
        """Minus the logarithm of the posterior density given the warped costs, up to a constant, and its gradient."""
        scales, n_lengths = np.exp(-2 * theta[:1]), FIRST_LENGTH + len(self._squares)
        other_scales, shifts = np.exp(-2 * theta[FIRST_LENGTH:n_lengths]), theta[n_lengths:]
        at = self._rates + self._others @ shifts
        along_rate = scales[0] * (at[:, None] - at) ** 2
        along_others = (other_scales @ self._squares).reshape(along_rate.shape)
        spread_along_rate, spread_along_others = _spread(along_rate), _spread(along_others)
        by_rate_alike, by_others_alike = 1 / spread_along_rate**MIXTURE, 1 / spread_along_others**MIXTURE
        shared = math.exp(2 * theta[1]) * SHARED * by_rate_alike
        own = math.exp(2 * theta[1]) * (1 - SHARED) * by_rate_alike * by_others_alike
        departure = shared + own
        basis = np.column_stack([powers(at / self._half), self._basis])
        quadratic = math.exp(2 * theta[3]) * (basis @ basis.T)
        noise = np.exp(2 * (theta[2] + theta[4] * at))
        covariance = departure + quadratic
        covariance[np.diag_indices_from(covariance)] += noise + self._extra + JITTER
        away = (theta - self._mean) / self._sd
        try:
            root = linalg.cholesky(covariance, lower=True, check_finite=False)
        except linalg.LinAlgError:  # at hyperparameters that no trials make likely
            return 1e10 + 0.5 * float(away @ away), away / self._sd
        weights = linalg.cho_solve((root, True), self._y, check_finite=False)
        energy = 0.5 * float(self._y @ weights) + float(np.log(root.diagonal()).sum()) + 0.5 * float(away @ away)
        if not with_gradient:
            return energy, away
        lower, _ = linalg.lapack.dpotri(root, lower=1)
        pull = lower + np.tril(lower, -1).T - np.outer(weights, weights)
        on_rate = pull * departure / spread_along_rate
        on_noise = pull.diagonal() * noise
        on_basis = math.exp(2 * theta[3]) * (pull @ basis)
        # What moves each trial's shifted rate: the departure's distances, the quadratic's first terms, and the noise.
        on_shifted = scales[0] * (on_rate @ at - on_rate.sum(1) * at)
        on_shifted += (on_basis[:, 1] + 2 * on_basis[:, 2] * at / self._half) / self._half + theta[4] * on_noise
        gradient = np.array(
            [
                0.5 * np.vdot(on_rate, along_rate),
                np.vdot(pull, departure),
                on_noise.sum(),
                np.vdot(on_basis, basis),
                on_noise @ at,
                *(other_scales * (self._squares @ (0.5 * pull * own / spread_along_others).ravel())),
                *(on_shifted @ self._others),
            ]
        )
        return energy, gradient + away / self._sd

    def sample(self, random: np.random.Generator) -> Array:
        """Equally likely hyperparameters, (N_KEPT, parameters)."""
        size, step = len(self.mode), 0.05
        curvature = np.array(
            [(self.energy(self.mode + each)[1] - self.energy(self.mode - each)[1]) / (2 * step) for each in step * np.eye(size)]
        )
        eigenvalues, vectors = linalg.eigh((curvature + curvature.T) / 2)
        widths = 1 / np.sqrt(np.maximum(eigenvalues, 1 / self._sd.max() ** 2))  # no wider than the priors
        # The symmetric root: eigenvectors may point either way, as rounding has it, and the proposals with them.
        root = vectors * widths @ vectors.T
        uniform = np.clip(low_discrepancy(N_PROPOSED, size + 1, random), 1e-6, 1 - 1e-6)
        steps = ndtri(uniform[:, :size]) / np.sqrt(chdtri(TAILS, uniform[:, size:]) / TAILS)
        reach = FARTHEST * self._sd
        proposed = np.clip(self.mode + steps @ root.T, self._mean - reach, self._mean + reach)
        log_density = -(TAILS + size) / 2 * np.log1p((steps**2).sum(1) / TAILS)
        log_weight = np.array([-self.energy(theta, with_gradient=False)[0] for theta in proposed]) - log_density
        weight = np.exp(log_weight - log_weight.max())
        ticks = (np.arange(N_KEPT) + random.random()) / N_KEPT * weight.sum()
        chosen: Array = proposed[np.minimum(np.searchsorted(weight.cumsum(), ticks), N_PROPOSED - 1)]
        return chosen


def _spread(distance: Array) -> Array:
    spread: Array = 1 + distance / (2 * MIXTURE)
    return spread


def powers(rate: Array) -> Array:
    """What the quadratic has of the shifted rate, (n, 3)."""
    return np.stack([np.ones(len(rate)), rate, rate**2], axis=1)


def alike(distance: Array) -> Array:
    """The rational quadratic kernel."""
    near: Array = 1 / _spread(distance) ** MIXTURE  # a negative exponent takes numpy three times as long
    return near
