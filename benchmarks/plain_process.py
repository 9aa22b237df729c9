"""The best rate by a Gaussian process with default settings: the peer of Stride's answer.

scikit-learn's, Matern 5/2 with a length scale for each parameter; diverged trials count as the worst loss seen. The interval
holds 90% of the minima of its posterior samples.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from benchmarks.response_surfaces import BATCH_SIZES, HIGH, LOW, MAX_MOMENTUM, Array, Observed, Surface

N_DRAWS = 300


def interval(surface: Surface, trials: Sequence[Observed], seed: int) -> tuple[float, float, float]:
    """The interval and the best rate, log10, that a Gaussian process gives out of the box."""
    points = np.array([_point(surface, trial.params) for trial in trials])
    process = fitted(points, np.array([trial.loss for trial in trials]), seed)
    places = _places(surface)
    minima, best = minima_of(process, places, N_DRAWS, seed)
    low, high = np.quantile(places[minima, 0], (0.05, 0.95))
    return float(low), float(high), float(places[best, 0])


def fitted(points: Array, losses: Array, seed: int) -> GaussianProcessRegressor:
    """The process given what trials showed: coordinates (n, d) and losses (n,), some of them finite."""
    losses = np.where(np.isfinite(losses), losses, losses[np.isfinite(losses)].max())
    kernel = ConstantKernel(1.0) * Matern(np.ones(points.shape[1]), nu=2.5) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=seed).fit(points, losses)


def minima_of(process: GaussianProcessRegressor, places: Array, n_draws: int, seed: int) -> tuple[Array, int]:
    """Which of `places` has the lowest loss, by each of joint draws of it without noise, (draws,), and by its mean."""
    mean, covariance = process.predict(places, return_cov=True)
    covariance[np.diag_indices_from(covariance)] -= process.kernel_.k2.noise_level * process._y_train_std**2
    values, vectors = np.linalg.eigh(covariance)
    normal = np.random.default_rng(seed).standard_normal((len(places), n_draws))
    minima = (mean[:, None] + (vectors * np.sqrt(np.maximum(values, 0.0))) @ normal).argmin(axis=0)
    return minima, int(mean.argmin())


def _point(surface: Surface, params: dict[str, Any]) -> list[float]:
    point = [math.log10(params["learning_rate"])]
    if "batch_size" in surface.searched:
        point.append((math.log2(params["batch_size"]) - 4) / 4)
    if "momentum" in surface.searched:
        point.append(params["momentum"] / MAX_MOMENTUM)
    return point


def _places(surface: Surface) -> Array:
    if not surface.searched:
        return np.linspace(LOW, HIGH, 201)[:, None]
    others = np.linspace(0.0, 1.0, len(BATCH_SIZES) if "batch_size" in surface.searched else 13)
    return np.array([[rate, other] for rate in np.linspace(LOW, HIGH, 81) for other in others])
