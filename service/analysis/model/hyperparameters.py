"""The hyperparameters of a response surface: a warp of the costs, a kernel, and their posterior, given n trials.

Symbols, with p other parameters with c coordinates in all; a decade is a factor of ten in the learning rate:

    symbol     name in the code       shape     unit            meaning
    r          rates                  (n,)      decades         log10 of the learning rate, from the middle of its range
    v          others                 (n, c)    parts of range  the other coordinates, from the middle of theirs
    s          shifts                 (c,)      decades         by how much each other coordinate shifts the rate
    u          at                     (n,)      decades         shifted rate: r + v s
    y          self._y                (n,)      warped costs    what the process is fitted to
    e          self._extra            (n,)      y squared       variance of the error of y: of predicted costs
    B          basis                  (n, b)    -               1, u / half, (u / half)^2, and v, v^2 of the other parameters
    l, m_j     exp(theta[0]), ...     (), (p,)  decades, parts  length scales along u and along parameter j
    a, q       exp(theta[1]), [3]     ()        warped costs    standard deviations: of the departure, of the coefficients of B
    sigma(u)   exp(theta[2] + ...)    (n,)      warped costs    standard deviation of the noise: exp(theta[2] + theta[4] u)

    cov(y) = a^2 k(du / l) (SHARED + (1 - SHARED) k(dv / m)) + q^2 B B' + diag(sigma(u)^2 + e)
    k(d) = (1 + d^2 / (2 MIXTURE))^-MIXTURE, the rational quadratic kernel

theta = (log l, log a, log sigma(0), log q, slope of log sigma, log m_1 ... log m_p, s_1 ... s_c); each has a normal prior.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.special import chdtri, ndtri

from service.analysis.model.encoding import Array, low_discrepancy
from service.analysis.model.kernel import SHARED, Covariance, kernel, spread

N_PROPOSED = 256
"""Hyperparameters proposed for importance sampling."""
AT_ONCE = 2**14
"""Covariances, in numbers, that are worked out at once: few are slow by the calls of numpy, many by the memory that they take."""
N_KEPT = 16
"""Hyperparameters resampled from these, with equal weights: each costs a Cholesky factor of all trials."""
FARTHEST = 8.0
"""Bounds of the optimization, in standard deviations of the prior: a line search could step arbitrarily far."""
TAILS = 4
"""Degrees of freedom of the proposals, Student's t: their tails must be longer than the posterior's (Gelman et al. 2013, section
10.4)."""

FIRST_LENGTH = 5
"""Index of the first length scale of the other parameters in theta."""

JITTER = 1e-9
"""Added to variances, so that covariances stay positive definite under rounding."""
WARPS = (math.inf, 1.0, 0.3, 0.1)
"""The widths of warps that are compared, in scaled costs; infinite: no warp."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """A normal prior: on the logarithm of a scale; on a slope or a shift itself."""

    mean: float
    sd: float


LENGTH = Prior(mean=math.log(1.0), sd=0.6)
"""On log l, decades: response curves bend within about a decade."""
DEPARTURE = Prior(mean=math.log(0.1), sd=1.5)
"""On log a, scaled costs: wide, since some curves are quadratic and others have cliffs."""
NOISE = Prior(mean=math.log(0.1), sd=0.6)
"""On log sigma(0), scaled costs, where no replicates show it: a tenth of the 80th percentile of regret."""
QUADRATIC = Prior(mean=math.log(3.0), sd=0.7)
"""On log q, scaled costs: over the range of rates, costs differ by a few times the 80th percentile of regret."""
SLOPE = Prior(mean=0.0, sd=0.8)
"""On the slope of log sigma, per decade: the noise may double or halve within a decade."""
NO_SLOPE = Prior(mean=0.0, sd=0.02)
"""The same where repeated points are too few to show a slope."""
OTHER_LENGTH = Prior(mean=math.log(0.7), sd=0.7)
"""On log m_j, parts of a parameter's range."""


@dataclass(frozen=True)
class Warp:
    """The transform from scaled costs to those that the process is fitted to: s log(1 + cost / w)."""

    at: float
    """The width w, in scaled costs: those well above it count by their logarithm."""
    size: float | None = None
    """The factor s; None: w, so that costs well below it hardly change."""

    @classmethod
    def logarithm(cls, lowest: float) -> "Warp":
        """The logarithm of costs of which the lowest, 0 when scaled, is this far from none. As before, 1 stays 1: the priors are
        about the 80th percentile of regret."""
        return cls(lowest, 1 / math.log1p(1 / lowest))

    @property
    def _size(self) -> float:
        return self.at if self.size is None else self.size

    @property
    def slope(self) -> float:
        """By how much a scaled cost of 0 changes with a warped one."""
        return 1.0 if self.size is None else self.at / self.size

    def of(self, cost: Array) -> Array:
        """Warped costs, (n,), of scaled ones, (n,). A predicted cost may be below that of the best trial, which is 0."""
        warped: Array = cost if math.isinf(self.at) else self._size * np.log1p(np.maximum(cost / self.at, -0.5))
        return warped

    def expected(self, mean: Array, variance: Array) -> Array:
        """The mean scaled cost, given the mean and variance of the warped one: that of a shifted lognormal."""
        if math.isinf(self.at):
            return mean
        cost: Array = self.at * np.expm1(np.minimum(mean / self._size + variance / (2 * self._size**2), 50.0))
        return cost

    def variance(self, of_cost: Array, cost: Array) -> Array:
        """Variances of warped costs, (n,), from those of scaled costs, to first order."""
        warped: Array = of_cost / (self.slope * (1 + np.maximum(cost / self.at, -0.5))) ** 2
        return warped

    def log_stretch(self, cost: Array) -> float:
        """Minus the log Jacobian of the warp: the difference of the log likelihoods of warped costs and of costs."""
        if math.isinf(self.at):
            return 0.0
        return float(np.log1p(np.maximum(cost / self.at, -0.5)).sum()) + len(cost) * math.log(self.slope)


class Hyperparameters:
    """The posterior of the hyperparameters, given n trials."""

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
        """costs: scaled, (n,); variances: of their errors, (n,). rates: log10, from the middle of their range, (n,); half: half
        the range. others: the other coordinates, from the middle of theirs, (n, columns). basis: of the quadratic in them,
        (n, terms). squares: squared distances along each other parameter, (parameters, n, n).
        """
        self.warp = warp
        self._y = warp.of(costs)
        self._extra = warp.variance(variances, costs)
        self._rates = rates
        self._half = half
        self._others = others
        # In front are the powers of the shifted rates, which theta decides.
        self._basis = np.column_stack([np.ones((len(rates), 3)), basis])
        self._squares = squares.reshape(len(squares), len(rates) ** 2)
        self._mean = np.array([prior.mean for prior in priors])
        self._sd = np.array([prior.sd for prior in priors])
        self._stretch = self.warp.log_stretch(costs)
        self.mode, self._lowest = self._descend(self._mean)

    @property
    def energy_at_mode(self) -> float:
        """The energy of the unwarped costs at the mode, which can be compared between warps."""
        return self._lowest + self._stretch

    def look_further(self) -> None:
        """Restart the optimization from a short and a long length scale: the posterior may have a second, higher mode."""
        for length, departure, noise in ((0.0, -1.0, -1.0), (-0.8, 1.0, -1.0)):
            start = self._mean.copy()
            start[:3] += self._sd[:3] * (length, departure, noise)
            mode, lowest = self._descend(start)
            if lowest < self._lowest:
                self.mode, self._lowest = mode, lowest

    def _descend(self, start: Array) -> tuple[Array, float]:
        from scipy import optimize  # slow to import: not at each start of the API

        bounds = np.stack([self._mean - FARTHEST * self._sd, self._mean + FARTHEST * self._sd], axis=1)
        result = optimize.minimize(self.energy, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100})
        return result.x, float(result.fun)

    def energy(self, theta: Array) -> tuple[float, Array]:
        """Minus the log posterior density given the warped costs, up to a constant, and its gradient."""
        of = self._covariance(theta)
        away = (theta - self._mean) / self._sd
        misfit, root, weights = self._misfit(of.covariance)
        energy = misfit + 0.5 * float(away @ away)
        if weights is None:
            return energy, away / self._sd
        lower, _ = linalg.lapack.dpotri(root, lower=1, overwrite_c=1)
        pull = lower + lower.T  # above its diagonal `lower` is 0, as `root` is
        pull.reshape(-1)[:: len(pull) + 1] = lower.diagonal()
        pull -= weights[:, None] * weights
        on_rate = pull * of.departure
        on_rate /= of.spread_along_rate
        on_noise = pull.diagonal() * of.noise
        on_basis = math.exp(2 * theta[3]) * (pull @ of.basis)
        # The gradient by each trial's shifted rate: from the departure's distances, the quadratic's first terms, and the noise.
        on_shifted = of.scale * (on_rate @ of.at - on_rate.sum(1) * of.at)
        on_shifted += (on_basis[:, 1] + 2 * on_basis[:, 2] * of.at / self._half) / self._half + theta[4] * on_noise
        gradient = np.array(
            [
                0.5 * np.vdot(on_rate, of.along_rate),
                np.vdot(pull, of.departure),
                on_noise.sum(),
                np.vdot(on_basis, of.basis),
                on_noise @ of.at,
                *self._on_lengths(of, pull),
                *(on_shifted @ self._others),
            ]
        )
        return energy, gradient + away / self._sd

    def _energies(self, thetas: Array) -> Array:
        """The energies at thetas, (k, parameters): (k,)."""
        at_once = max(1, AT_ONCE // len(self._rates) ** 2)
        covariances = (self._covariance(thetas[at : at + at_once]).covariance for at in range(0, len(thetas), at_once))
        misfits = np.array([self._misfit(each)[0] for several in covariances for each in several])
        energies: Array = misfits + 0.5 * (((thetas - self._mean) / self._sd) ** 2).sum(1)
        return energies

    def _covariance(self, theta: Array) -> Covariance:
        """For theta, (parameters,); for several, a row each, all has one more axis in front."""
        n, n_lengths = len(self._rates), FIRST_LENGTH + len(self._squares)
        scale, other_scales = np.exp(-2 * theta[..., :1]), np.exp(-2 * theta[..., FIRST_LENGTH:n_lengths])
        departure_variance, quadratic_variance = np.exp(2 * theta[..., 1, None, None]), np.exp(2 * theta[..., 3, None, None])
        at = self._rates + theta[..., n_lengths:] @ self._others.T
        along_rate = at[..., :, None] - at[..., None, :]
        along_rate *= along_rate
        along_rate *= scale[..., None]
        spread_along_rate = spread(along_rate)
        by_rate_alike = kernel(spread_along_rate)
        departure = departure_variance * SHARED * by_rate_alike
        own = departure_variance * (1 - SHARED) * by_rate_alike
        spread_along_others = None
        if len(self._squares):
            along_others = other_scales @ self._squares
            spread_along_others = spread(along_others.reshape(along_rate.shape))
            own *= kernel(spread_along_others)
        departure += own
        basis = np.tile(self._basis, (*theta.shape[:-1], 1, 1))
        basis[..., 1] = at / self._half
        basis[..., 2] = basis[..., 1] ** 2
        noise = np.exp(2 * (theta[..., 2, None] + theta[..., 4, None] * at))
        covariance = quadratic_variance * (basis @ np.swapaxes(basis, -1, -2))
        covariance += departure
        covariance.reshape(*theta.shape[:-1], n * n)[..., :: n + 1] += noise + self._extra + JITTER
        return Covariance(
            covariance, departure, own, at, basis, noise, scale, other_scales, along_rate, spread_along_rate, spread_along_others
        )

    def _misfit(self, covariance: Array) -> tuple[float, Array, Array | None]:
        """Minus the log likelihood of the warped costs, up to a constant; the lower Cholesky factor; and the weights, (n,).

        No weights where there is no factor: only at very unlikely hyperparameters.
        """
        # LAPACK itself: an answer asks hundreds of times, and SciPy's functions around it take as long as all else here.
        root, failed = linalg.lapack.dpotrf(covariance, lower=1)
        if failed:
            return 1e10, root, None
        weights, _ = linalg.lapack.dpotrs(root, self._y, lower=1)
        return 0.5 * float(self._y @ weights) + float(np.log(root.diagonal()).sum()), root, weights

    def _on_lengths(self, of: Covariance, pull: Array) -> Array:
        """The gradient by the logarithms of the other parameters' length scales, (parameters,)."""
        if of.spread_along_others is None:
            return np.zeros(0)
        on_others = 0.5 * pull * of.own / of.spread_along_others
        on_lengths: Array = of.other_scales * (self._squares @ on_others.ravel())
        return on_lengths

    def sample(self, random: np.random.Generator) -> Array:
        """Equally weighted samples of theta, (N_KEPT, parameters), by importance resampling around the mode."""
        size, step = len(self.mode), 0.05
        curvature = np.array(
            [(self.energy(self.mode + each)[1] - self.energy(self.mode - each)[1]) / (2 * step) for each in step * np.eye(size)]
        )
        eigenvalues, vectors = linalg.eigh((curvature + curvature.T) / 2)
        widths = 1 / np.sqrt(np.maximum(eigenvalues, 1 / self._sd.max() ** 2))  # no wider than the priors
        # The symmetric root: rounding may flip the sign of eigenvectors, and with it the proposals.
        root = vectors * widths @ vectors.T
        uniform = np.clip(low_discrepancy(N_PROPOSED, size + 1, random), 1e-6, 1 - 1e-6)
        steps = ndtri(uniform[:, :size]) / np.sqrt(chdtri(TAILS, uniform[:, size:]) / TAILS)
        reach = FARTHEST * self._sd
        proposed = np.clip(self.mode + steps @ root.T, self._mean - reach, self._mean + reach)
        log_density = -(TAILS + size) / 2 * np.log1p((steps**2).sum(1) / TAILS)
        log_weight = -self._energies(proposed) - log_density
        weight = np.exp(log_weight - log_weight.max())
        ticks = (np.arange(N_KEPT) + random.random()) / N_KEPT * weight.sum()
        chosen: Array = proposed[np.minimum(np.searchsorted(weight.cumsum(), ticks), N_PROPOSED - 1)]
        return chosen
