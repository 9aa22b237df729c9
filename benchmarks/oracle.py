"""Estimators of an optimum that know the form of its family: an upper limit for any estimator.

Maximum likelihood by scipy's least squares, with Wald intervals from the curvature of the likelihood. Student's t noise
is fitted by iterative reweighting; noise that grows along the rate with the most likely growth.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize, stats

from benchmarks.response_surfaces import HIGH, LOW, Array, Observed

Form = Callable[[Array, Array, Array], Array]
"""Losses from the form's parameters (the first is the optimum's log10 rate), the rates and the other parameter."""


def _bowl(p: Array, x: Array, _: Array) -> Array:
    loss: Array = p[1] + np.exp(p[2]) * (x - p[0]) ** 2
    return loss


def _skewed(p: Array, x: Array, _: Array) -> Array:
    height, skew = np.exp(p[3]), np.exp(p[4])
    u = np.minimum(x - p[0], 10.0)
    linex = np.exp(p[2]) * (np.exp(np.minimum(skew * u, 50.0)) - 1 - skew * u) / skew**2
    loss: Array = p[1] + height * -np.expm1(-linex / height)
    return loss


def _valley(p: Array, x: Array, _: Array) -> Array:
    loss: Array = p[1] + np.exp(p[2]) * np.maximum(0.0, np.abs(x - p[0]) - np.exp(p[3])) ** 2
    return loss


def _batches(p: Array, x: Array, log2_size: Array) -> Array:
    away = log2_size - np.round(p[4])
    loss: Array = p[1] + np.exp(p[2]) * (x - p[3] * away * math.log10(2) - p[0]) ** 2 + np.exp(p[5]) * np.abs(away)
    return loss


def _momentum(p: Array, x: Array, damping: Array) -> Array:
    away = damping - p[3]
    loss: Array = p[1] + np.exp(p[2]) * (x - away - p[0]) ** 2 + np.exp(p[4]) * away**2
    return loss


_PLAIN = [0.3, math.log(0.3)]
_FORMS: dict[str, tuple[Form, list[list[float]]]] = {
    "quadratic": (_bowl, [_PLAIN]),
    "skewed": (_skewed, [[0.3, math.log(c), math.log(2.2), math.log(s)] for c in (0.15, 0.4) for s in (1.2, 2.2)]),
    "flat valley": (_valley, [[*_PLAIN, math.log(half)] for half in (0.3, 0.5, 0.7)]),
    "divergence cliff": (_bowl, [_PLAIN]),
    "batch interaction": (_batches, [[*_PLAIN, 0.7, float(best), math.log(0.05)] for best in range(4, 9)]),
    "momentum interaction": (_momentum, [[*_PLAIN, centre, math.log(0.1)] for centre in (-1.6, -0.8, -0.2)]),
    "heavy noise": (_bowl, [_PLAIN]),
    "heteroscedastic": (_bowl, [_PLAIN]),
}
_GROWTHS = np.log(10) * np.linspace(0.0, 1.0, 9)


def interval(family: str, trials: Sequence[Observed]) -> tuple[float, float]:
    """Where the optimum lies with 90% probability, log10."""
    trained = [trial for trial in trials if math.isfinite(trial.loss)]
    x = np.log10([trial.params["learning_rate"] for trial in trained])
    y = np.array([trial.loss for trial in trained])
    other = np.array([_other(trial) for trial in trained])
    form, starts = _FORMS[family]
    fits = []
    for growth in _GROWTHS if family == "heteroscedastic" else [0.0]:
        weights = np.exp(-growth * (x - x.mean()))
        if family == "heavy noise":
            fits.append(_fit_t(form, starts, x, y, other))
        else:
            found = _fit(form, starts, x, y, other, weights)
            fits.append((len(y) / 2 * math.log(2 * found.cost / len(y)) - float(np.log(weights).sum()), found, len(y)))
    _, found, n = min(fits, key=lambda fit: fit[0])
    freedom = max(1, n - len(found.x))
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * 2 * found.cost / freedom
    reach = float(stats.t.ppf(0.95, freedom)) * math.sqrt(max(0.0, covariance[0, 0]))
    return max(LOW, found.x[0] - reach), min(HIGH, found.x[0] + reach)


def _other(trial: Observed) -> float:
    if "batch_size" in trial.params:
        return math.log2(trial.params["batch_size"])
    return math.log10(1 - trial.params["momentum"]) if "momentum" in trial.params else 0.0


def _fit(form: Form, starts: list[list[float]], x: Array, y: Array, other: Array, weights: Array) -> optimize.OptimizeResult:
    optima = np.quantile(x, (0.15, 0.5, 0.85)), x[y.argmin()]
    tried = [
        optimize.least_squares(lambda p: weights * (form(p, x, other) - y), [optimum, *start], max_nfev=200)
        for start in starts
        for optimum in np.append(*optima)
    ]
    return min(tried, key=lambda one: float(one.cost))


def _fit_t(form: Form, starts: list[list[float]], x: Array, y: Array, other: Array) -> tuple[float, optimize.OptimizeResult, int]:
    """By iteratively reweighted least squares: Student's t with 3 degrees of freedom."""
    weights = np.ones(len(y))
    for _ in range(20):
        found = _fit(form, starts, x, y, other, np.sqrt(weights))
        residuals = form(found.x, x, other) - y
        scale = float((weights * residuals**2).mean())
        weights = 4 / (3 + residuals**2 / max(scale, 1e-12))
    # The information of t is (3 + 1) / (3 + 3) of that of a normal with the same scale.
    found.cost = scale / 2 * max(1, len(y) - len(found.x)) * 6 / 4
    found.jac = found.jac / np.sqrt(weights)[:, None]
    return 0.0, found, len(y)
