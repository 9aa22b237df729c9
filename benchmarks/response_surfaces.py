"""Synthetic response surfaces with a known optimum, on which answers are judged.

Each draw of a family has an optimum anywhere in the range searched, and a floor, a curvature and a noise of its own. `u` is the
distance from the optimum in decades of the learning rate. Losses lie between 0.1 and about 3.

quadratic           the loss rises with the square of u
skewed              a well that is 2 to 6 times as wide below the optimum as above, and level at 2 to 3 further out
flat valley         level within 0.25 to 0.75 decades on either side, quadratic beyond
divergence cliff    quadratic, and 0.1 to 0.8 decades above the optimum trials begin to diverge
batch interaction   the optimum moves with the batch size to a power of 0.4 to 1; one batch size is best
momentum interaction    the loss depends on learning_rate / (1 - momentum); one momentum is best
heavy noise         quadratic, noise of 0.1 to 0.2 with the tails of Student's t with 3 degrees of freedom
heteroscedastic     quadratic, noise that grows two- to sixfold with each decade of the rate

The noise of the others is normal, of 0.01 to 0.04.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna

Array = npt.NDArray[np.float64]

LOW, HIGH = -5.0, 0.0
"""The range searched, log10."""
BATCH_SIZES = (16, 32, 64, 128, 256)
MAX_MOMENTUM = 0.99
GRID = np.linspace(LOW, HIGH, 2_001)
"""The log10 rates at which truths are tabulated."""


@dataclass(frozen=True, kw_only=True)
class Surface:
    """One draw of a family."""

    family: str
    optimum: float
    """log10 of the best rate, other parameters at their best."""
    profile: Array
    """Expected loss at each rate of GRID, other parameters at their best; inf where more than half diverge."""
    searched: tuple[str, ...]
    """Parameters beside the learning rate."""
    loss: Callable[[float, Mapping[str, Any]], float]
    """Expected loss of a trial at a log10 rate and the other parameters."""
    noise: Callable[[float, np.random.Generator], float]
    """A draw of what a trial's loss differs by from what is expected, at a log10 rate."""
    diverges: Callable[[float], float]
    """The probability of that at a log10 rate."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a trial showed: its parameters, and its loss, inf when it diverged."""

    params: dict[str, Any]
    loss: float


def _never(_: float) -> float:
    return 0.0


def _normal(sd: float) -> Callable[[float, np.random.Generator], float]:
    return lambda _, random: float(random.normal(0.0, sd))


def _quiet(random: np.random.Generator) -> Callable[[float, np.random.Generator], float]:
    return _normal(random.uniform(0.01, 0.04))


def _bowl(random: np.random.Generator, optimum: float, reach: float = 0.0) -> Callable[[float], float]:
    """A quadratic that is at most 3 anywhere in the range, or `reach` decades beyond."""
    floor = random.uniform(0.1, 0.5)
    farthest = max(optimum - LOW, HIGH - optimum) + reach
    curvature = random.uniform(0.5, 1.0) * (3.0 - floor) / farthest**2
    return lambda x: floor + curvature * (x - optimum) ** 2


def _alone(
    family: str,
    optimum: float,
    curve: Callable[[float], float],
    noise: Callable[[float, np.random.Generator], float],
    diverges: Callable[[float], float] = _never,
) -> Surface:
    return Surface(
        family=family,
        optimum=optimum,
        profile=np.array([curve(x) if diverges(x) <= 0.5 else math.inf for x in GRID]),
        searched=(),
        loss=lambda x, _: curve(x),
        noise=noise,
        diverges=diverges,
    )


def _optimum(random: np.random.Generator) -> float:
    return float(random.uniform(LOW, HIGH))


def quadratic(random: np.random.Generator) -> Surface:
    optimum = _optimum(random)
    return _alone("quadratic", optimum, _bowl(random, optimum), _quiet(random))


def skewed(random: np.random.Generator) -> Surface:
    optimum = _optimum(random)
    floor, height = random.uniform(0.1, 0.5), random.uniform(2.0, 2.5)
    skew, curvature = random.uniform(1.0, 2.5), random.uniform(0.1, 0.5)

    def curve(x: float) -> float:
        u = min(x - optimum, 10.0)
        linex = curvature * (math.exp(skew * u) - 1 - skew * u) / skew**2
        return float(floor + height * -math.expm1(-linex / height))

    return _alone("skewed", optimum, curve, _quiet(random))


def flat_valley(random: np.random.Generator) -> Surface:
    optimum, half = _optimum(random), random.uniform(0.25, 0.75)
    bowl = _bowl(random, optimum)
    return _alone("flat valley", optimum, lambda x: bowl(optimum + max(0.0, abs(x - optimum) - half)), _quiet(random))


def divergence_cliff(random: np.random.Generator) -> Surface:
    optimum = _optimum(random)
    edge, sharpness = optimum + random.uniform(0.1, 0.8), random.uniform(0.02, 0.08)
    return _alone(
        "divergence cliff",
        optimum,
        _bowl(random, optimum),
        _quiet(random),
        lambda x: 1 / (1 + math.exp(min(700.0, (edge - x) / sharpness))),
    )


def batch_interaction(random: np.random.Generator) -> Surface:
    optimum, power, best = _optimum(random), random.uniform(0.4, 1.0), int(random.integers(len(BATCH_SIZES)))
    bowl, preference = _bowl(random, optimum, reach=1.0), random.uniform(0.02, 0.1)

    def loss(x: float, others: Mapping[str, Any]) -> float:
        away = math.log2(others["batch_size"] / BATCH_SIZES[best])
        return bowl(x - power * away * math.log10(2)) + preference * abs(away)

    return Surface(
        family="batch interaction",
        optimum=optimum,
        profile=np.array([min(loss(x, {"batch_size": size}) for size in BATCH_SIZES) for x in GRID]),
        searched=("batch_size",),
        loss=loss,
        noise=_quiet(random),
        diverges=_never,
    )


def momentum_interaction(random: np.random.Generator) -> Surface:
    optimum, best = _optimum(random), random.uniform(-2.0, 0.0)
    bowl, preference = _bowl(random, optimum, reach=2.0), random.uniform(0.05, 0.2)

    def damping(momentum: float) -> float:
        return math.log10(1 - momentum)

    def loss(x: float, others: Mapping[str, Any]) -> float:
        away = damping(others["momentum"]) - best
        return bowl(x - away) + preference * away**2

    dampings = np.linspace(-2.0, 0.0, 401)
    return Surface(
        family="momentum interaction",
        optimum=optimum,
        profile=np.array([min(loss(x, {"momentum": 1 - 10**each}) for each in dampings) for x in GRID]),
        searched=("momentum",),
        loss=loss,
        noise=_quiet(random),
        diverges=_never,
    )


def heavy_noise(random: np.random.Generator) -> Surface:
    optimum, sd = _optimum(random), random.uniform(0.1, 0.2)
    return _alone(
        "heavy noise",
        optimum,
        _bowl(random, optimum),
        lambda _, draw: float(sd / math.sqrt(3.0) * draw.standard_t(3)),  # whose variance is 3
    )


def heteroscedastic(random: np.random.Generator) -> Surface:
    optimum, sd, growth = _optimum(random), random.uniform(0.01, 0.04), math.log10(random.uniform(2.0, 6.0))
    return _alone(
        "heteroscedastic",
        optimum,
        _bowl(random, optimum),
        lambda x, draw: float(draw.normal(0.0, min(0.5, max(0.002, sd * 10 ** (growth * (x - optimum)))))),
    )


FAMILIES: Mapping[str, Callable[[np.random.Generator], Surface]] = {
    "quadratic": quadratic,
    "skewed": skewed,
    "flat valley": flat_valley,
    "divergence cliff": divergence_cliff,
    "batch interaction": batch_interaction,
    "momentum interaction": momentum_interaction,
    "heavy noise": heavy_noise,
    "heteroscedastic": heteroscedastic,
}


def draw(family: str, seed: int) -> Surface:
    """The surface number `seed` of a family."""
    return FAMILIES[family](np.random.default_rng([list(FAMILIES).index(family), seed]))


def sample(surface: Surface, n_trials: int, sampling: str, seed: int) -> list[Observed]:
    """What `n_trials` trials show, sampled at random or as Optuna's TPE does; fewer are their beginning."""
    random = np.random.default_rng([seed, 1])
    sampler = optuna.samplers.TPESampler(seed=seed) if sampling == "tpe" else optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(sampler=sampler)
    trials: list[Observed] = []
    for _ in range(n_trials):
        trial = study.ask()
        params: dict[str, Any] = {"learning_rate": trial.suggest_float("learning_rate", 10**LOW, 10**HIGH, log=True)}
        if "batch_size" in surface.searched:
            params["batch_size"] = trial.suggest_categorical("batch_size", BATCH_SIZES)
        if "momentum" in surface.searched:
            params["momentum"] = trial.suggest_float("momentum", 0.0, MAX_MOMENTUM)
        x = math.log10(params["learning_rate"])
        diverged = random.random() < surface.diverges(x)
        loss = math.inf if diverged else surface.loss(x, params) + surface.noise(x, random)
        study._storage.set_trial_system_attr(trial._trial_id, "constraints", [1.0 if diverged else -1.0])
        study.tell(trial, loss)
        trials.append(Observed(params=params, loss=loss))
    return trials
