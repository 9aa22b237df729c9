"""With momentum it is rate / (1 - momentum) that counts: what is said of the answered parameters, and of others tuned again."""

import math
from functools import cache

import numpy as np
import pytest

from service.analysis.answer.best_lr import answer
from service.domain.answer import Answer
from tests.finished_jobs import a_job, trial

BEST, CURVATURE, FLOOR = 0.05, 0.4, 0.2
MOST = 0.99
SPACE = {"momentum": {"type": "float", "low": 0.0, "high": MOST}}
"""Beside the learning rate, from 1e-5 to 1."""
NOISES = [0.0, 0.01, 0.05]
SEEDS = range(3)


def cost(rate: float, momentum: float) -> float:
    return FLOOR + CURVATURE * math.log10(rate / (1 - momentum) / BEST) ** 2


@cache
def asked(noise: float, seed: int) -> Answer:
    """Of 40 trials all over the space."""
    random = np.random.default_rng(seed)
    trials = []
    for number in range(40):
        rate, momentum = float(10 ** random.uniform(-5, 0)), float(random.uniform(0, MOST))
        trials.append(trial(number, rate, cost(rate, momentum) + noise * random.standard_normal(), momentum=momentum))
    return answer(a_job(space=SPACE), trials)


def best_with(found: Answer) -> float:
    """The true best rate with the answered momentum."""
    momentum = found.params["momentum"]
    assert isinstance(momentum, float)
    return BEST * (1 - momentum)


def decades(interval: object) -> float:
    return math.log10(interval.high / interval.low)  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", NOISES)
def test_the_answered_point_lies_on_the_ridge(noise: float, seed: int) -> None:
    found = asked(noise, seed)
    assert found.learning_rate is not None
    assert abs(math.log10(found.learning_rate / best_with(found))) < 0.1 + noise


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", NOISES)
def test_the_safe_range_is_right_at_the_answered_parameters(noise: float, seed: int) -> None:
    found = asked(noise, seed)
    safe, rate, momentum = found.safe_range, found.learning_rate, found.params["momentum"]
    assert safe is not None
    assert rate is not None
    assert isinstance(momentum, float)
    for end in (safe.low, safe.high):
        lost = cost(end, momentum) - cost(rate, momentum)
        assert lost <= 1.05 * safe.tolerance, "no more than it says"
        assert lost >= 0.5 * safe.tolerance, "and it ends where that is lost"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", NOISES)
def test_tuned_again_a_wider_range_is_safe_and_still_right(noise: float, seed: int) -> None:
    found = asked(noise, seed)
    safe, retuned = found.safe_range, found.safe_range_retuned
    assert safe is not None
    assert retuned is not None
    assert retuned.low <= safe.low
    assert safe.high <= retuned.high
    assert decades(retuned) > decades(safe)
    lowest = min(cost(retuned.low, momentum) for momentum in np.linspace(0, MOST, 1_000))
    highest = min(cost(retuned.high, momentum) for momentum in np.linspace(0, MOST, 1_000))
    assert max(lowest, highest) - FLOOR <= 1.1 * retuned.tolerance


@pytest.mark.parametrize("seed", SEEDS)
def test_without_noise_the_range_tuned_again_is_all_of_the_ridge(seed: int) -> None:
    """From the best rate with the most momentum to that with none, and as far beyond as the tolerance lets one go."""
    retuned = asked(0.0, seed).safe_range_retuned
    assert retuned is not None
    beyond = math.sqrt(retuned.tolerance / CURVATURE)
    assert math.log10(retuned.low) == pytest.approx(math.log10(BEST * (1 - MOST)) - beyond, abs=0.1)
    assert math.log10(retuned.high) == pytest.approx(math.log10(BEST) + beyond, abs=0.15)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", NOISES)
def test_with_these_parameters_the_best_rate_is_known_better(noise: float, seed: int) -> None:
    found = asked(noise, seed)
    assert found.interval is not None
    assert found.interval_at_params is not None
    assert decades(found.interval_at_params) < decades(found.interval) / 2
    assert decades(found.interval) > 0.9, "momentum makes up for two decades of the rate"


@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_the_interval_at_the_parameters_holds_their_best_rate_in_most_jobs(noise: float) -> None:
    """Of a surface that is a parabola. Few jobs, so a tenth more on either side is held, too."""
    held = 0
    for seed in range(8):
        found = asked(noise, seed)
        assert found.interval_at_params is not None
        held += found.interval_at_params.low / 1.1 <= best_with(found) <= found.interval_at_params.high * 1.1
    assert held >= 6


def test_where_the_rate_alone_is_searched_both_are_one() -> None:
    random = np.random.default_rng(0)
    rates = 10 ** random.uniform(-5, 0, 24)
    trials = [trial(number, float(rate), cost(float(rate), 0.0)) for number, rate in enumerate(rates)]
    found = answer(a_job(), trials)
    assert found.params == {}
    assert found.safe_range == found.safe_range_retuned
    assert found.interval is not None
    assert found.interval_at_params is not None
    assert math.log10(found.interval_at_params.low) == pytest.approx(math.log10(found.interval.low), abs=0.02)
    assert math.log10(found.interval_at_params.high) == pytest.approx(math.log10(found.interval.high), abs=0.02)
