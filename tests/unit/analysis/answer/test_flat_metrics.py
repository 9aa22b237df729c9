"""All rates come to the same value, and values at the ends of floats. Warnings are errors here, as in all tests."""

import math
from collections.abc import Callable

import pytest

from service.analysis.answer.best_lr import answer
from service.analysis.model.response_curve import Kind
from service.domain.answer import AnswerVerdict
from service.domain.job import Job
from service.domain.objective import Direction
from service.domain.trial import Trial
from tests.drawn_jobs import drawn
from tests.finished_jobs import a_job, trial

LOW, HIGH = 1e-5, 1.0
RATE = {"type": "float", "low": LOW, "high": HIGH, "log": True}


def searched(value: Callable[[float, int], float], direction: Direction = "minimize", seed: int = 0) -> tuple[Job, list[Trial]]:
    job = a_job(0, direction=direction, search_space={"learning_rate": RATE}, budget={"trials": 16}, seed=seed)
    return job, drawn(job, value)


def bowl(rate: float) -> float:
    return 0.1 + math.log10(rate / 0.01) ** 2


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("value", [0.5, 1.0, 0.0, -3.0, 1e-200, 1e90])
def test_where_all_trials_came_to_one_value_any_rate_will_do(value: float, direction: Direction) -> None:
    found = answer(*searched(lambda rate, seed: value, direction))
    assert found.verdict == AnswerVerdict.ANY_RATE
    assert f"all 16 trials came to a loss of {value:.4g}" in found.because
    assert found.at_edge is None
    for each in (found.interval, found.interval_at_params, found.safe_range, found.safe_range_retuned):
        assert each is not None
        assert (each.low, each.high) == (LOW, HIGH)
    assert found.expected is not None
    assert (found.expected.low, found.expected.mean, found.expected.high) == (value, value, value)
    assert [(part.learning_rate, part.mean) for part in found.curve] == [(LOW, value), (HIGH, value)]


def test_the_tolerance_asked_for_is_the_tolerance_answered() -> None:
    job, trials = searched(lambda rate, seed: 0.5)
    found = answer(job, trials, tolerance=0.25)
    assert found.safe_range is not None
    assert found.safe_range.tolerance == 0.25


def test_values_that_differ_by_rounding_are_one_value() -> None:
    found = answer(*searched(lambda rate, seed: 0.5 * (1 + (seed % 7 - 3) * 1e-14)))
    assert found.verdict == AnswerVerdict.ANY_RATE
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (LOW, HIGH)


def test_where_a_rate_diverges_not_any_rate_will_do() -> None:
    job, trials = searched(lambda rate, seed: 0.5 if rate < 0.1 else math.inf)
    found = answer(job, trials)
    assert found.evidence.infeasible > 1
    assert found.verdict != AnswerVerdict.ANY_RATE
    assert found.learning_rate is not None
    assert found.learning_rate < min(float(each.params["learning_rate"]) for each in trials if each.value == math.inf)


def test_one_worse_trial_is_enough_to_ask_for_a_curve() -> None:
    job, trials = searched(lambda rate, seed: 1.0 if rate > 1e-4 else 0.9, "maximize")
    found = answer(job, trials)
    assert found.learning_rate is not None
    assert found.learning_rate > 1e-4
    assert found.expected is not None
    assert found.expected.mean == pytest.approx(1.0, abs=0.01)


SIZES: dict[str, Callable[[float], float]] = {
    "1e-200": lambda rate: 1e-200 * bowl(rate),
    "1e-310, with few digits": lambda rate: 1e-310 * bowl(rate),
    "1e90": lambda rate: 1e90 * bowl(rate),
    "1e98": lambda rate: 1e98 * bowl(rate),
    "on 1e12": lambda rate: 1e12 + bowl(rate),
    "on minus 1e12": lambda rate: -1e12 + bowl(rate),
}


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("size", SIZES)
def test_a_bowl_is_found_whatever_its_size(size: str, direction: Direction) -> None:
    sign = 1 if direction == "minimize" else -1
    found = answer(*searched(lambda rate, seed: sign * SIZES[size](rate), direction))
    assert found.learning_rate == pytest.approx(0.01, rel=0.1)
    assert found.verdict == AnswerVerdict.CONFIDENT
    assert found.interval is not None
    assert 0.009 < found.interval.low <= found.interval.high < 0.011
    assert found.expected is not None
    assert found.expected.low <= found.expected.mean <= found.expected.high
    assert found.expected.mean == pytest.approx(sign * SIZES[size](0.01), rel=0.05)
    assert found.safe_range is not None
    assert 0.003 < found.safe_range.low < 0.009
    assert 0.011 < found.safe_range.high < 0.03


@pytest.mark.parametrize("size", ["1e-200", "1e90"])
def test_an_answer_scales_with_the_metric(size: str) -> None:
    job, trials = searched(lambda rate, seed: SIZES[size](rate))
    plain, scaled = answer(*searched(lambda rate, seed: bowl(rate))), answer(job, trials)
    assert plain.safe_range is not None
    assert scaled.safe_range is not None
    assert scaled.safe_range.tolerance == pytest.approx(plain.safe_range.tolerance * float(size), rel=1e-3)
    assert scaled.safe_range.low == pytest.approx(plain.safe_range.low, rel=1e-2)
    assert scaled.safe_range.high == pytest.approx(plain.safe_range.high, rel=1e-2)


@pytest.mark.parametrize("kind", ["params", "profile", "marginal"])
def test_each_kind_of_curve_is_drawn_of_tiny_values(kind: Kind) -> None:
    job, trials = searched(lambda rate, seed: SIZES["1e-200"](rate))
    assert all(0 <= part.mean < 1e-197 for part in answer(job, trials, kind=kind).curve)


def test_where_most_trials_share_the_best_value_the_others_say_what_a_loss_is() -> None:
    trials = [trial(number, 10 ** (-4 + number / 8), 1.0 if number > 3 else 0.5) for number in range(32)]
    found = answer(a_job(direction="maximize", metric="score"), trials)
    assert found.safe_range is not None
    assert 0 < found.safe_range.tolerance <= 0.25
