"""Metrics that cannot be better than their best value, as the return of an environment that is always won."""

import math

import numpy as np
import pytest

from service.analysis.answer.best_lr import answer
from service.analysis.model.estimates import any_lowest
from service.domain.answer import AnswerVerdict
from service.domain.trial import Trial
from tests.finished_jobs import trial
from tests.unit.analysis.trials import job

MOST = 500.0
LOWEST, HIGHEST = 1e-4, 1e-2
"""Between these rates every run has the best value; below, it has learned less, and above nothing: 10."""


def value_at(rate: float) -> float:
    if rate < LOWEST:
        return MOST - 150 * math.log10(LOWEST / rate)
    return MOST if rate <= HIGHEST else 10.0


def trials(n: int) -> list[Trial]:
    """Rates from 1e-5 to 1, spread by the golden ratio's multiples."""
    rates = [10 ** (-5 + 5 * (number * 0.6180339887 % 1)) for number in range(1, n + 1)]
    return [trial(number, rate, value_at(rate)) for number, rate in enumerate(rates)]


@pytest.mark.parametrize("n", [16, 32, 64])
def test_a_rate_amid_those_that_have_the_best_value_is_answered(n: int) -> None:
    found = answer(
        job(direction="maximize", search_space={"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True}}),
        trials(n),
    )
    assert found.learning_rate is not None
    assert 2 * LOWEST < found.learning_rate < HIGHEST / 2
    assert found.expected is not None
    assert found.expected.high == MOST >= found.expected.mean > 0.85 * MOST
    assert found.interval is not None
    assert math.log10(found.interval.high / found.interval.low) > 0.5
    assert found.verdict in (AnswerVerdict.CONFIDENT, AnswerVerdict.MORE_TRIALS)
    assert all(0 <= place.low <= place.mean <= place.high <= MOST for place in found.curve)


def test_of_equal_costs_each_is_chosen_as_often_as_the_others() -> None:
    draws = np.tile([3.0, 1.0, 2.0, 1.0, 1.0], (300, 1))
    assert [*np.bincount(any_lowest(draws), minlength=5)] == pytest.approx([0, 100, 0, 100, 100], abs=2)
    different = np.random.default_rng(0).normal(size=(50, 7))
    assert (any_lowest(different) == different.argmin(axis=1)).all()
