"""Cost over the learning rate and the other parameters searched: a Gaussian process whose hyperparameters are averaged over.

    cost = quadratic in the shifted rate, and in each other parameter
         + a smooth departure from that (rational quadratic kernel, a length scale for each parameter)
         + noise, whose logarithm may rise or fall along the shifted rate where repeated points show it

    shifted rate = log10(rate) + a shift for each other parameter, linear in its coordinate

What counts is not the rate itself: with momentum it is rate / (1 - momentum) (Yuan et al. 2016), with batches it goes with
their size to some power (McCandlish et al. 2018), and other optimizers want other rates. So the other parameters slide one
curve along the rate, by decades that the trials tell; what a rate of 1e-5 does with a momentum of 0.9 is known from 1e-4 with
none. A response curve is close to a quadratic in the logarithm of the rate near its minimum; the quadratic takes what trials
far from it tell of the curvature, and the departure, which may hang on all parameters, is given its size and its smoothness by
the trials. (Explicit basis functions: Rasmussen and Williams 2006, section 2.7.) Five hyperparameters, a length scale for each
other parameter and a shift for each other coordinate have priors; their posterior is taken at its mode and by importance
sampling around it, with Student's t as proposal (Gelman et al. 2013, Bayesian Data Analysis, sections 10.4 and 13.3), so that
what few trials leave open widens the answer. The kernel is between the squared exponential, which is too sure of valleys with
unequal sides, and Matern's, whose curves have minima that are nowhere smooth.

Costs are scaled before: 0 is the best one, 1 is worse by the 80th percentile of regret. Then they are warped by
w * log(1 + cost / w), with the one of the WARPS that makes the trials likeliest, strong ones preferred where some costs are
of another size (Snelson et al. 2004): real losses differ by factors, their noise grows with them, and they end level where
nothing is learned. What comes out is the mean over training seeds, warped or not.

Symbols beside those of `hyperparameters`, for n trials and m points:

    symbol     name in the code       shape        unit            meaning
    z          self._z                (n,)         scaled costs    (cost - best) / spread, logarithmic above BEYOND
    x          self._x                (n, 1 + c)   decades, parts  log10 of the rate, then the other coordinates
    L          _Given.root            (n, n)       warped costs    Cholesky factor of the covariance of trials (or of the
                                                                   inducing ones)
    -          _Given.inner           (i, i)       -               Cholesky factor of I + A A', A = L^-1 K / sigma, where i
                                                                   inducing trials stand for all
    -          _Given.projected       (n,) or (i,) -               what the costs are, in the coordinates of the last factor
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import linalg

from service.analysis.model.covariances import factor, root_of, squared_distances
from service.analysis.model.encoding import Array
from service.analysis.model.hyperparameters import (
    DEPARTURE,
    FIRST_LENGTH,
    JITTER,
    LENGTH,
    NO_SLOPE,
    NOISE,
    OTHER_LENGTH,
    QUADRATIC,
    SHARED,
    SLOPE,
    WARPS,
    Hyperparameters,
    Prior,
    Warp,
    alike,
    powers,
)
from service.analysis.model.observations import ROUNDING, Observations

FITTED_TO = 128
"""Hyperparameters are fitted to at most so many trials, evenly picked; these are also the inducing ones where there are more than
EXACT (deterministic training conditional: Quiñonero-Candela and Rasmussen 2005, section 5)."""

EXACT = 256
"""With at most so many trials the process is exact: a Cholesky factor costs the cube of their number."""
FEWEST_REPEATS = 8
"""Degrees of freedom that repeated points have together, from which on they tell whether the noise changes along the rate."""

BEYOND = 20.0
"""Scaled costs above that count by their logarithm: how much worse than bad says nothing of the optimum."""

UNTRAINED = 5.0
"""Scaled cost above which a trial has hardly learned."""
FEWEST_UNTRAINED = 3
"""Trials that hardly learned at the lowest rates, from which on lower rates are said to learn no more."""
OF_ONE_SIZE = 10.0
"""Scaled cost above which costs differ by factors, so that strong warps are preferred."""
STRONG = 0.3
"""The widest warp that counts as strong."""
PREFERENCE = 10.0
"""The logarithm of the likelihood by which a weaker warp must be likelier where strong ones are preferred: most of the likelihood
is about the bad trials then, and what is said of good ones must not depend on it."""


class Surface:
    """The posterior of the expected cost, given what trials showed. Costs go in and come out in the metric's units."""

    def __init__(self, seen: Observations, random: np.random.Generator) -> None:
        """Fits; `seen` must hold at least four costs."""
        self._seen = seen
        best = float(seen.costs[seen.complete].min())
        smallest = ROUNDING * abs(best)
        self._offset, self._scale = best, seen.spread if seen.spread > smallest else 1e-3 * abs(best) or 1e-6
        self._z = self._scaled(seen.costs)
        # To first order: what the logarithm beyond BEYOND makes of a cost, it makes of its uncertainty.
        # Divided before it is squared: of tiny costs the square of the scale is no number.
        stretch = np.maximum(1.0, 1.0 + (seen.costs - best) / self._scale - BEYOND)
        self._z_variances = (np.sqrt(seen.variances) / self._scale / stretch) ** 2
        self._x = np.column_stack([seen.rates, seen.others])
        self._middle, self._half = (seen.low + seen.high) / 2, max((seen.high - seen.low) / 2, 0.05)
        self._slices = _slices(seen)
        self._centre = np.array([1 / axis.width if axis.width > 1 else 0.5 for axis in seen.axes for _ in range(axis.width)])
        picked = _evenly(np.flatnonzero(seen.complete), FITTED_TO)
        picked = np.concatenate([picked, _evenly(np.flatnonzero(~seen.complete), FITTED_TO - len(picked))])
        self._picked = picked
        preferred = STRONG if self._z.max() > OF_ONE_SIZE else math.inf
        self._fitted = min(
            (self._fit(Warp(at)) for at in WARPS),
            key=lambda fitted: fitted.energy_at_mode + (PREFERENCE if fitted.warp.at > preferred else 0.0),
        )
        self._fitted.look_further()
        self._warp = self._fitted.warp
        self._y = self._warp.of(self._z)
        self._extra = self._warp.variance(self._z_variances, self._z)
        self._thetas = self._fitted.sample(random)
        if len(self._y) > FITTED_TO:
            self._thetas = self._thetas[::3]  # so many trials leave little open about them, and each costs the more
        self._averaged = [self._given(theta) for theta in self._thetas]
        self._at_mode = self._given(self._fitted.mode)
        self._random = random

    @property
    def trials_per_coefficient(self) -> float:
        """How many trained trials there are for each coefficient: those of the quadratic, and the shifts."""
        n_terms: int = self._basis_of_others(self._x[:1]).shape[1]
        return float(self._seen.complete.sum()) / (3 + n_terms + len(self._centre))

    def shifted(self, points: Array) -> Array:
        """log10 rates at points (n, 1 + columns), moved by what the other parameters shift them, (n,)."""
        at: Array = points[:, 0] + (points[:, 1:] - self._centre) @ self.shifts
        return at

    @cached_property
    def shifts(self) -> Array:
        """By how many decades the other parameters shift the rate over their ranges, (columns,)."""
        medians: Array = np.median(self._thetas[:, FIRST_LENGTH + len(self._slices) - 1 :], axis=0)
        return medians

    def draw(self, points: Array, n_draws: int) -> tuple[Array, Array]:
        """Joint draws of the expected cost at `points` (n, 1 + columns), as (n_draws, n), and its mean, (n,)."""
        draws, means = [], []
        share = -(-n_draws // len(self._averaged))
        for given in self._averaged:
            mean, covariance = self._predict(given, points)
            root = root_of(covariance)
            noise = np.exp(2 * (given.theta[2] + given.theta[4] * self._at(given.theta, points)))
            draws.append(self._cost(mean + self._random.standard_normal((share, len(points))) @ root.T, noise))
            means.append(self._cost(mean, noise + np.maximum(covariance.diagonal(), 0.0)))
        return np.concatenate(draws), np.mean(means, axis=0)

    def roughly(self, points: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at `points` of what rises with the cost, with the hyperparameters at their mode: enough to
        see where to look."""
        mean, variance = self._predict(self._at_mode, points, only_variances=True)
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def least(self, points: Array) -> Array:
        """What trials at higher rates say that the expected cost is at least, (n,); minus infinity where they say nothing.

        They do up to the shifted rate below which every trial cost UNTRAINED times the scale more than the best: a lower rate
        learns even less. Takes FEWEST_UNTRAINED trials.
        """
        low = self._at(self._fitted.mode, points) <= self._untrained_up_to
        least: Array = np.where(low, self._offset + UNTRAINED * self._scale, -math.inf)
        return least

    @cached_property
    def _untrained_up_to(self) -> float:
        """The highest shifted rate tried below all at which a trial was good."""
        tried, bad = self._at(self._fitted.mode, self._x), self._z > UNTRAINED
        below = tried[tried < tried[~bad].min()]
        return -math.inf if len(below) < FEWEST_UNTRAINED else float(below.max())

    def noise_at(self, point: Array) -> float:
        """The standard deviation of a single trial's cost at a point, (1 + columns,)."""
        noise = [theta[2] + theta[4] * float(self._at(theta, point[None])[0]) for theta in self._thetas]
        return self._scale * math.exp(float(np.median(noise)))

    def _scaled(self, costs: Array) -> Array:
        scaled = (costs - self._offset) / self._scale
        bounded: Array = np.where(scaled > BEYOND, BEYOND + np.log1p(np.maximum(scaled - BEYOND, 0.0)), scaled)
        return bounded

    def _fit(self, warp: Warp) -> Hyperparameters:
        x = self._x[self._picked]
        return Hyperparameters(
            warp,
            self._priors(warp),
            costs=self._z[self._picked],
            variances=self._z_variances[self._picked],
            rates=x[:, 0] - self._middle,
            half=self._half,
            others=x[:, 1:] - self._centre,
            basis=self._basis_of_others(x),
            squares=np.array([squared_distances(x[:, part], x[:, part]) for part in self._slices[1:]]).reshape(
                -1, len(x), len(x)
            ),
        )

    def _cost(self, warped: Array, variance: Array) -> Array:
        """In the metric's units: the mean over what has this mean and variance where costs are warped."""
        cost: Array = self._offset + self._scale * self._warp.expected(warped, variance)
        return cost

    def _priors(self, warp: Warp) -> list[Prior]:
        shifts = [Prior(mean=axis.shift.mean, sd=axis.shift.sd) for axis in self._seen.axes for _ in range(axis.width)]
        return [
            LENGTH,
            DEPARTURE,
            self._noise_prior(warp),
            QUADRATIC,
            self._slope_prior(),
            *(OTHER_LENGTH for _ in self._slices[1:]),
            *shifts,
        ]

    def _slope_prior(self) -> Prior:
        """Noise changes along the rate only as far as repeated points show it."""
        enough = sum(len(group) - 1 for group in self._seen.repeated) >= FEWEST_REPEATS
        return SLOPE if enough else NO_SLOPE

    def _noise_prior(self, warp: Warp) -> Prior:
        """What replicates showed, where there are any."""
        groups = [warp.of(self._scaled(costs)) for costs in self._seen.repeated]
        degrees = sum(len(group) - 1 for group in groups)
        variance = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / max(1, degrees)
        if variance <= 0:
            return NOISE
        return Prior(mean=math.log(variance) / 2, sd=max(0.1, 1 / math.sqrt(2 * degrees)))

    def _at(self, theta: Array, points: Array) -> Array:
        """Their log10 rates, shifted, from the middle of the range, (n,)."""
        shifts = theta[FIRST_LENGTH + len(self._slices) - 1 :]
        at: Array = points[:, 0] - self._middle + (points[:, 1:] - self._centre) @ shifts
        return at

    def _basis_at(self, theta: Array, points: Array) -> Array:
        return np.column_stack([powers(self._at(theta, points) / self._half), self._basis_of_others(points)])

    def _basis_of_others(self, points: Array) -> Array:
        columns = [np.zeros((len(points), 0))]
        for part in self._slices[1:]:
            other = 2 * points[:, part] - 1
            columns.append(other)
            if part.stop - part.start == 1:
                columns.append(other**2)
        return np.concatenate(columns, axis=1)

    def _kernel(self, theta: Array, left: Array, right: Array) -> Array:
        lengths = np.exp(theta[FIRST_LENGTH : FIRST_LENGTH + len(self._slices) - 1])
        lengths = np.repeat(lengths, [part.stop - part.start for part in self._slices[1:]])
        left_at, right_at = (self._at(theta, points)[:, None] / math.exp(theta[0]) for points in (left, right))
        by_rate = alike(squared_distances(left_at, right_at))
        by_others = alike(squared_distances(left[:, 1:] / lengths, right[:, 1:] / lengths))
        departure = math.exp(2 * theta[1]) * by_rate * (SHARED + (1 - SHARED) * by_others)
        quadratic = math.exp(2 * theta[3]) * (self._basis_at(theta, left) @ self._basis_at(theta, right).T)
        covariance: Array = departure + quadratic
        return covariance

    def _variances(self, theta: Array) -> Array:
        """Of the noise of trials."""
        noise: Array = np.exp(2 * (theta[2] + theta[4] * self._at(theta, self._x))) + self._extra + JITTER
        return noise

    def _given(self, theta: Array) -> "_Given":
        """What trials tell, with these hyperparameters."""
        if len(self._y) <= EXACT:
            within = self._kernel(theta, self._x, self._x)
            within[np.diag_indices_from(within)] += self._variances(theta)
            root = factor(within, (0.0, 1e-10, 1e-8, 1e-6))
            return _Given(theta, self._x, root, None, linalg.solve_triangular(root, self._y, lower=True, check_finite=False))
        inducing = self._x[self._picked]
        within = self._kernel(theta, inducing, inducing)
        within[np.diag_indices_from(within)] += 10 * JITTER * within.diagonal().max()
        root = linalg.cholesky(within, lower=True, check_finite=False)
        across = linalg.solve_triangular(root, self._kernel(theta, inducing, self._x), lower=True, check_finite=False)
        weighed = across / self._variances(theta)
        inner = linalg.cholesky(np.eye(len(inducing)) + weighed @ across.T, lower=True, check_finite=False)
        projected = linalg.solve_triangular(inner, weighed @ self._y, lower=True, check_finite=False)
        return _Given(theta, inducing, root, inner, projected)

    def _predict(self, given: "_Given", points: Array, *, only_variances: bool = False) -> tuple[Array, Array]:
        theta = given.theta
        gained = linalg.solve_triangular(given.root, self._kernel(theta, given.x, points), lower=True, check_finite=False)
        lost = None if given.inner is None else linalg.solve_triangular(given.inner, gained, lower=True, check_finite=False)
        mean = (gained if lost is None else lost).T @ given.projected
        if only_variances:
            own = math.exp(2 * theta[1]) + math.exp(2 * theta[3]) * (self._basis_at(theta, points) ** 2).sum(1)
            return mean, own - (gained**2).sum(0) + (0.0 if lost is None else (lost**2).sum(0))
        covariance = self._kernel(theta, points, points) - gained.T @ gained
        return mean, covariance if lost is None else covariance + lost.T @ lost


@dataclass(frozen=True)
class _Given:
    """The process, conditioned on trials: worked out once for hyperparameters, and asked for many points."""

    theta: Array
    x: Array
    """Of the trials; of the inducing ones, where they are many."""
    root: Array
    inner: Array | None
    """None where the process is exact."""
    projected: Array


def _evenly(indices: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    """At most so many of them, from first to last."""
    if len(indices) <= most:
        return indices
    chosen: npt.NDArray[np.intp] = indices[np.linspace(0, len(indices) - 1, max(0, most)).round().astype(int)]
    return chosen


def _slices(seen: Observations) -> list[slice]:
    """Which columns belong to the learning rate and to each other parameter."""
    slices, at = [slice(0, 1)], 1
    for axis in seen.axes:
        slices.append(slice(at, at + axis.width))
        at += axis.width
    return slices
