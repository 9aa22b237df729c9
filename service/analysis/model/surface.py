"""Cost over the learning rate and the other parameters searched: a Gaussian process whose hyperparameters are averaged over.

    cost = quadratic in the shifted rate, and in each other parameter
         + a smooth departure from that (rational quadratic kernel, a length scale for each parameter)
         + noise, whose logarithm may rise or fall along the shifted rate where repeated points show it

    shifted rate = log10(rate) + a shift for each other parameter, linear in its coordinate

The best rate depends on the other parameters: with momentum, rate / (1 - momentum) matters (Yuan et al. 2016), the best rate
grows with a power of the batch size (McCandlish et al. 2018), and each optimizer needs its own. So the other parameters shift one
curve along the rate, by decades that are fitted: how a rate of 1e-5 does with a momentum of 0.9 is known from 1e-4 without
momentum. Near its minimum, a response curve is close to a quadratic in the logarithm of the rate. The quadratic also uses what
trials far from the minimum show of the curvature; the departure depends on all parameters, and its size and smoothness are
fitted (explicit basis functions: Rasmussen and Williams 2006, section 2.7). Five hyperparameters, a length scale for each other
parameter and a shift for each other coordinate have priors. Their posterior is represented by its mode and by importance sampling
around it, with Student's t as proposal (Gelman et al. 2013, Bayesian Data Analysis, sections 10.4 and 13.3), so that few trials
give wide intervals. The kernel is between the squared exponential, which is too certain of valleys with unequal sides, and Matern
kernels, whose minima are not smooth.

Costs are scaled first: 0 is the best one, 1 is worse by the 80th percentile of regret. Then they are warped by
w * log(1 + cost / w), with the w of WARPS that makes the trials most likely; strong warps are preferred where costs differ by
orders of magnitude (Snelson et al. 2004). Real losses differ by factors, their noise grows with them, and they level off where
nothing is learned. Losses of more than a decade may also count by their logarithm itself (docs/decisions/0036). Predictions are
means over training seeds, with and without a warp.

Symbols beside those of `hyperparameters`, for n trials and m points:

    symbol     name in the code   shape        unit            meaning
    z          self._z            (n,)         scaled costs    (cost - best) / spread, logarithmic above BEYOND
    x          self._x            (n, 1 + c)   decades, parts  log10 of the rate, then the other coordinates
"""

import math
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.analysis.model.covariances import root_of, squared_distances
from service.analysis.model.encoding import Array
from service.analysis.model.hyperparameters import (
    DEPARTURE,
    LENGTH,
    NO_SLOPE,
    NOISE,
    OTHER_LENGTH,
    QUADRATIC,
    SLOPE,
    WARPS,
    Hyperparameters,
    Prior,
    Warp,
)
from service.analysis.model.observations import ROUNDING, Observations
from service.analysis.model.process import Coordinates, Process

FITTED_TO = 128
"""Most trials that hyperparameters are fitted to, evenly picked. They are also the inducing points with more than EXACT trials
(deterministic training conditional: Quiñonero-Candela and Rasmussen 2005, section 5)."""

EXACT = 256
"""Most trials with which the process is exact: a Cholesky factor costs the cube of their number."""
FEWEST_REPEATS = 8
"""Fewest degrees of freedom of all repeated points with which a change of the noise along the rate is fitted."""

BEYOND = 20.0
"""Scaled costs above this count by their logarithm: how bad a bad trial is says nothing about the optimum."""

UNTRAINED = 5.0
"""Scaled cost above which a trial counts as untrained."""
FEWEST_UNTRAINED = 3
"""Fewest untrained trials at the lowest rates from which it follows that lower rates learn no more."""
LEAST = 1e-12
"""The best cost, scaled, above which costs may count by their logarithm: a smaller one is what rounding leaves of 0."""
OF_ONE_SIZE = 10.0
"""Largest scaled cost of trials of one order of magnitude: above it strong warps are preferred."""
STRONG = 0.3
"""The widest warp that counts as strong."""
PREFERENCE = 10.0
"""Log likelihood by which a weaker warp must be better where strong ones are preferred: the likelihood is then dominated by bad
trials, and the predictions of good ones must not depend on them."""


class Surface:
    """The posterior of the expected cost, given trials. Costs are in the metric's units, inputs and outputs."""

    def __init__(self, seen: Observations, random: np.random.Generator) -> None:
        """Fits the surface; `seen` must hold at least four costs."""
        self._seen = seen
        best = float(seen.costs[seen.complete].min())
        smallest = ROUNDING * abs(best)
        self._offset, self._scale = best, seen.spread if seen.spread > smallest else 1e-3 * abs(best) or 1e-6
        self._z = self._scaled(seen.costs)
        # To first order, the logarithm above BEYOND scales the error of a cost as it scales the cost.
        # Divided before squaring: the square of a tiny scale underflows.
        stretch = np.maximum(1.0, 1.0 + (seen.costs - best) / self._scale - BEYOND)
        self._z_variances = (np.sqrt(seen.variances) / self._scale / stretch) ** 2
        self._x = np.column_stack([seen.rates, seen.others])
        self._coordinates = Coordinates(seen)
        picked = _evenly(np.flatnonzero(seen.complete), FITTED_TO)
        picked = np.concatenate([picked, _evenly(np.flatnonzero(~seen.complete), FITTED_TO - len(picked))])
        self._picked = picked
        preferred = STRONG if self._z.max() > OF_ONE_SIZE else math.inf
        self._fitted = min(
            (self._fit(warp) for warp in self._warps()),
            key=lambda fitted: fitted.energy_at_mode + (PREFERENCE if fitted.warp.at > preferred else 0.0),
        )
        self._fitted.look_further()
        self._warp = self._fitted.warp
        self._y = self._warp.of(self._z)
        self._extra = self._warp.variance(self._z_variances, self._z)
        self._thetas = self._fitted.sample(random)
        if len(self._y) > FITTED_TO:
            self._thetas = self._thetas[::3]  # with many trials they are well determined, and each is expensive
        self._averaged = [self._process(theta) for theta in self._thetas]
        self._at_mode = self._process(self._fitted.mode)
        self._random = random

    @property
    def trials_per_coefficient(self) -> float:
        """Complete trials per coefficient: those of the quadratic, and the shifts."""
        n_terms: int = self._coordinates.basis_of_others(self._x[:1]).shape[1]
        return float(self._seen.complete.sum()) / (3 + n_terms + len(self._coordinates.centre))

    def shifted(self, points: Array) -> Array:
        """Shifted log10 rates at points (n, 1 + columns), (n,)."""
        at: Array = points[:, 0] + (points[:, 1:] - self._coordinates.centre) @ self.shifts
        return at

    @cached_property
    def shifts(self) -> Array:
        """By how many decades each other coordinate shifts the rate over its range, (columns,)."""
        medians: Array = np.median(self._coordinates.shifts(self._thetas), axis=0)
        return medians

    def draw(self, points: Array, n_draws: int) -> tuple[Array, Array]:
        """Joint draws of the expected cost at `points` (n, 1 + columns), as (n_draws, n), and its mean, (n,)."""
        draws, means = [], []
        share = -(-n_draws // len(self._averaged))
        for process in self._averaged:
            mean, covariance = process.predict(points)
            root = root_of(covariance)
            noise = self._coordinates.noise(process.theta, points)
            draws.append(self._cost(mean + self._random.standard_normal((share, len(points))) @ root.T, noise))
            means.append(self._cost(mean, noise + np.maximum(covariance.diagonal(), 0.0)))
        return np.concatenate(draws), np.mean(means, axis=0)

    def roughly(self, points: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, (n,) each, of the warped cost at `points`, with the hyperparameters at their mode: fast,
        and good enough to choose candidates."""
        mean, variance = self._at_mode.predict_variances(points)
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def expected(self, points: Array) -> Array:
        """The expected cost at `points`, (n,), with the hyperparameters at their mode."""
        mean, variance = self._at_mode.predict_variances(points)
        return self._cost(mean, self._coordinates.noise(self._fitted.mode, points) + np.maximum(variance, 0.0))

    def least(self, points: Array) -> Array:
        """Lower bounds on the expected cost that follow from trials at higher rates, (n,); minus infinity: no bound.

        Up to the highest shifted rate below which every trial is untrained (costs UNTRAINED times the scale more than the best),
        a lower rate learns even less. Needs FEWEST_UNTRAINED such trials.
        """
        low = self._coordinates.at(self._fitted.mode, points) <= self._untrained_up_to
        least: Array = np.where(low, self._offset + UNTRAINED * self._scale, -math.inf)
        return least

    @cached_property
    def _untrained_up_to(self) -> float:
        """The highest shifted rate tried below all those at which a trial was not untrained; minus infinity with too few."""
        tried, bad = self._coordinates.at(self._fitted.mode, self._x), self._z > UNTRAINED
        below = tried[tried < tried[~bad].min()]
        return -math.inf if len(below) < FEWEST_UNTRAINED else float(below.max())

    def noise_at(self, point: Array) -> float:
        """The standard deviation of a single trial's cost at a point, (1 + columns,)."""
        noise = [theta[2] + theta[4] * float(self._coordinates.at(theta, point[None])[0]) for theta in self._thetas]
        return self._scale * self._warp.slope * math.exp(float(np.median(noise)))

    def _warps(self) -> list[Warp]:
        """Those of WARPS, and the logarithm of the cost where that is steeper than they are."""
        warps, lowest = [Warp(at) for at in WARPS], self._offset / self._scale
        return [*warps, Warp.logarithm(lowest)] if LEAST < lowest < WARPS[-1] else warps

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
            rates=x[:, 0] - self._coordinates.middle,
            half=self._coordinates.half,
            others=x[:, 1:] - self._coordinates.centre,
            basis=self._coordinates.basis_of_others(x),
            squares=np.array([squared_distances(x[:, part], x[:, part]) for part in self._coordinates.slices[1:]]).reshape(
                -1, len(x), len(x)
            ),
        )

    def _process(self, theta: Array) -> Process:
        inducing = self._x[self._picked] if len(self._y) > EXACT else None
        return Process(self._coordinates, theta, self._x, self._y, self._extra, inducing)

    def _cost(self, warped: Array, variance: Array) -> Array:
        """The mean cost, in the metric's units, given the mean and variance of the warped cost."""
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
            *(OTHER_LENGTH for _ in self._coordinates.slices[1:]),
            *shifts,
        ]

    def _slope_prior(self) -> Prior:
        """The noise may change along the rate only where repeated points can show it."""
        enough = sum(len(group) - 1 for group in self._seen.repeated) >= FEWEST_REPEATS
        return SLOPE if enough else NO_SLOPE

    def _noise_prior(self, warp: Warp) -> Prior:
        """From the replicates, where there are any."""
        groups = [warp.of(self._scaled(costs)) for costs in self._seen.repeated]
        degrees = sum(len(group) - 1 for group in groups)
        variance = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / max(1, degrees)
        if variance <= 0:
            return NOISE
        return Prior(mean=math.log(variance) / 2, sd=max(0.1, 1 / math.sqrt(2 * degrees)))


def _evenly(indices: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    """At most `most` of the indices, evenly picked from first to last."""
    if len(indices) <= most:
        return indices
    chosen: npt.NDArray[np.intp] = indices[np.linspace(0, len(indices) - 1, max(0, most)).round().astype(int)]
    return chosen
