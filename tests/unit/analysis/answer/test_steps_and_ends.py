"""Rates in steps, and what bounds an answer."""

import math
from typing import Any

import numpy as np
import pytest

from service.analysis.answer.best_lr import answer
from service.domain.answer import AnswerVerdict
from service.domain.space import FloatRange, IntRange, contains
from tests.finished_jobs import a_trial
from tests.unit.analysis.trials import LOG, bowl, job, trained

THOUSAND = {"type": "float", "low": 1e-3, "high": 1.0, "step": 1e-3}
MANY = {"type": "float", "low": 1e-4, "high": 0.2, "step": 1e-4}
WHOLE = {"type": "int", "low": 1, "high": 5000}


@pytest.mark.parametrize("rates", [MANY, WHOLE], ids=["steps", "whole"])
def test_a_step_is_answered_where_there_are_thousands(rates: dict[str, Any]) -> None:
    best = math.sqrt(rates["low"] * rates["high"])
    trials = trained(bowl(best), 24, low=rates["low"], high=rates["high"])
    found = answer(job(search_space={"learning_rate": rates}), trials)
    assert found.learning_rate is not None
    dimension = FloatRange.model_validate(rates) if rates is MANY else IntRange.model_validate(rates)
    assert contains(dimension, found.learning_rate if rates is MANY else int(found.learning_rate))
    assert found.learning_rate == pytest.approx(best, rel=0.5)


@pytest.mark.parametrize("kind", ["params", "profile", "marginal"])
def test_a_curve_over_a_thousand_steps_has_a_few_dozen_places(kind: Any) -> None:
    """Each place takes a row and a column of a covariance: a thousand took minutes and gigabytes."""
    space = {"learning_rate": THOUSAND, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    random = np.random.default_rng(0)
    trials = [
        a_trial(one.number, round(one.params["learning_rate"], 3), one.value, momentum=float(random.uniform(0, 0.9)))
        for one in trained(bowl(0.05), 32, low=1e-3)
    ]
    found = answer(job(search_space=space), trials, kind=kind)
    assert 20 < len(found.curve) <= 70
    assert all(contains(FloatRange.model_validate(THOUSAND), part.learning_rate) for part in found.curve)


@pytest.mark.parametrize("chance", [2, 5, 8, 12])
def test_a_run_that_diverged_by_chance_far_below_the_edge_moves_no_answer(chance: int) -> None:
    """Of 32 rates from 1e-5 to 1e3 all above 0.8 diverge, and one more."""
    wide = {"type": "float", "low": 1e-5, "high": 1e3, "log": True}
    trials = []
    for number in range(32):
        rate = 10 ** (-5 + 8 * (number + 0.5) / 32)
        loss = 0.1 + 0.3 * math.log10(rate / 0.1) ** 2
        trials.append(a_trial(number, rate, math.inf if rate > 0.8 or number == chance else loss))
    found = answer(job(search_space={"learning_rate": wide}), trials)
    assert found.learning_rate == pytest.approx(0.1, rel=0.3)
    assert found.divergence_edge is not None
    assert 0.5 < found.divergence_edge.at < 2.0


@pytest.mark.parametrize("seed", range(5))
def test_no_accuracy_is_expected_above_one(seed: int) -> None:
    trials = trained(lambda rate: min(1.0, 0.99 - 0.1 * math.log10(rate / 0.02) ** 2), 24, noise=0.008, seed=seed)
    trials = [a_trial(one.number, one.params["learning_rate"], min(1.0, one.value or 0.0)) for one in trials]
    found = answer(job(direction="maximize"), trials)
    assert found.expected is not None
    assert found.expected.high <= 1.0
    assert max(part.high for part in found.curve) <= 1.0


def test_a_reward_above_one_is_bounded_by_nothing() -> None:
    found = answer(job(direction="maximize"), trained(lambda rate: 2.0 - 0.4 * math.log10(rate / 0.02) ** 2, 24))
    assert found.expected is not None
    assert found.expected.high > 1.9


def test_where_losses_differ_by_many_powers_none_beyond_them_is_expected() -> None:
    random = np.random.default_rng(1)
    trials = [a_trial(number, float(10 ** random.uniform(-4, 0)), float(10 ** random.uniform(0.5, 8))) for number in range(12)]
    found = answer(job(), trials)
    assert found.expected is not None
    assert found.expected.high <= 2e8
    assert max(part.high for part in found.curve) <= 2e8


def test_a_single_choice_of_rates_is_a_fixed_one() -> None:
    one = {"type": "categorical", "choices": [0.01]}
    found = answer(job(search_space={"learning_rate": one}), [a_trial(number, 0.01, 0.1 + number) for number in range(20)])
    assert found.verdict == AnswerVerdict.RANGE_TOO_NARROW
    assert "fixes the learning rate at 0.01" in found.because


def test_an_interval_that_ends_a_candidate_short_of_the_range_is_cut() -> None:
    """The best rate lies just within the range."""
    found = answer(job(), trained(bowl(0.85, curvature=0.05), 40, noise=0.01, seed=3))
    assert found.interval is not None
    assert found.interval.high > 0.63
    assert found.verdict != AnswerVerdict.CONFIDENT


def test_the_point_of_a_trial_is_answered_with_its_own_values() -> None:
    """Few trials: one of those tried is answered."""
    space = {"learning_rate": LOG, "momentum": {"type": "float", "low": 0.0, "high": 0.99}}
    random = np.random.default_rng(2)
    trials = [
        a_trial(one.number, one.params["learning_rate"], one.value, momentum=float(random.uniform(0, 0.99)))
        for one in trained(bowl(0.02), 14)
    ]
    found = answer(job(search_space=space), trials)
    assert found.params["momentum"] in {one.params["momentum"] for one in trials}


def test_an_interval_up_to_the_last_step_is_cut_in_spite_of_rounding() -> None:
    """The fifteenth step is 0.0009149999999999999, and the range ends at 0.000915."""
    steps = {"type": "float", "low": 6.1e-05, "high": 0.000915, "step": 6.1e-05}
    random = np.random.default_rng(0)
    rates = [6.1e-05 * (1 + number % 15) for number in range(45)]
    trials = [a_trial(number, rate, 0.5 + 0.01 * float(random.standard_normal()), number) for number, rate in enumerate(rates)]
    found = answer(job(search_space={"learning_rate": steps}), trials)
    assert found.interval is not None
    assert found.interval.high == 0.000915
    assert found.verdict != AnswerVerdict.CONFIDENT


def test_what_a_foreign_script_tried_between_steps_is_answered_as_it_was() -> None:
    steps = {"type": "float", "low": 0.1, "high": 1.0, "step": 0.1}
    trials = [a_trial(number, 0.1 * (1 + number % 10), 1.0 + 0.01 * number, number) for number in range(20)]
    trials += [a_trial(20 + number, 0.45, 0.1 + 0.001 * number, 20 + number) for number in range(5)]
    found = answer(job(search_space={"learning_rate": steps}), trials)
    assert [part.learning_rate for part in found.curve] == sorted({part.learning_rate for part in found.curve})
    assert found.best_trial is not None
    assert found.best_trial.params["learning_rate"] == 0.45
