"""Trials that fit no picture: the answer is honest about them, and never an error."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.analysis.answer.across_jobs import in_brief
from service.analysis.answer.best_lr import answer, answered
from service.domain.answer import Answer, AnswerVerdict
from service.domain.measurement import CurvePoint
from service.domain.trial import Trial, TrialState
from tests.finished_jobs import a_job, trial
from tests.unit.analysis.trials import LOG, bowl, diverged, job, trained

BEST = 0.03


def decades(found: Answer) -> float:
    """How far the answer lies from the truth."""
    assert found.learning_rate is not None
    return abs(math.log10(found.learning_rate / BEST))


@pytest.mark.parametrize("seed", range(3))
def test_what_was_pruned_for_being_terrible_is_not_recommended(seed: int) -> None:
    random = np.random.default_rng(seed)
    loss = bowl(BEST)
    complete = [trial(number, float(10 ** random.uniform(-1.7, -1.4)), 0.0) for number in range(12)]
    complete = [
        replace(one, value=loss(float(one.params["learning_rate"])) + 0.05 * random.standard_normal()) for one in complete
    ]
    curves = {one.number: (point(1, 1.5 * (one.value or 0), 0.25), point(4, one.value or 0, 1.0)) for one in complete}
    pruned = []
    for number in range(12, 60):
        rate = float(10 ** random.uniform(-4, 0))
        then = 5 * loss(rate) + random.uniform()
        pruned.append(trial(number, rate, then, TrialState.PRUNED))
        curves[number] = (point(1, then, 0.25),)
    found = answer(job(), [*complete, *pruned], curves)
    assert decades(found) < 0.5
    assert found.at_edge is None


def point(step: int, value: float, fraction: float) -> CurvePoint:
    return CurvePoint(step=step, value=value, fraction=fraction, in_warmup=False)


@pytest.mark.parametrize("seed", range(4))
def test_divergence_that_has_nothing_to_do_with_the_rate_is_no_edge(seed: int) -> None:
    random = np.random.default_rng(seed)
    stray = [diverged(100 + index, float(10 ** random.uniform(-4, 0))) for index in range(30)]
    found = answer(job(), [*trained(bowl(BEST), 30, seed=seed), *stray])
    assert found.divergence_edge is None
    assert decades(found) < 0.3
    assert found.interval is not None
    assert found.interval.low < found.interval.high


def test_where_low_rates_diverge_no_range_is_called_safe_that_is_not() -> None:
    random = np.random.default_rng(1)
    stray = [diverged(100 + index, float(10 ** random.uniform(-4, -3))) for index in range(20)]
    found = answer(job(), [*trained(bowl(BEST), 20), *stray])
    assert found.safe_range is not None
    assert math.log10(found.safe_range.high / found.safe_range.low) < 3


@pytest.mark.parametrize("seed", range(6))
def test_noise_alone_is_no_edge(seed: int) -> None:
    found = answer(job(), trained(lambda _: 0.5, 30, noise=0.2, seed=seed))
    assert found.at_edge is None or found.safe_range is None or found.safe_range.high / found.safe_range.low < 100


@pytest.mark.parametrize("factor", [1e99, 1e160, 1e300, -1e300])
def test_values_whose_squares_are_no_numbers_are_no_error(factor: float) -> None:
    odd = [replace(one, value=(one.value or 0) * factor) for one in trained(bowl(BEST), 20)]
    assert answer(job(), odd).best_trial is not None
    found = answer(job(), [*trained(bowl(BEST), 20), trial(99, 0.5, factor)])
    assert found.best_trial is not None


@pytest.mark.parametrize("factor", [1e-13, 1e-30, 1e30])
def test_the_answer_does_not_hang_on_the_metrics_unit(factor: float) -> None:
    found = answer(job(), [replace(one, value=(one.value or 0) * factor) for one in trained(bowl(BEST), 40)])
    plain = answer(job(), trained(bowl(BEST), 40))
    assert found.interval is not None
    assert plain.interval is not None
    assert plain.expected is not None
    assert found.expected is not None
    assert math.log10(found.interval.high / found.interval.low) < 0.2
    assert found.expected.mean == pytest.approx(plain.expected.mean * factor, rel=0.05)


def test_a_tolerance_beyond_all_measure_is_no_error() -> None:
    huge = [replace(one, value=(one.value or 0) * 1e90) for one in trained(bowl(BEST), 20)]
    because = answer(job(), huge, tolerance=1e-300).because
    assert "more trials, most of all near it, would bring what it may lose below 1e-300 (stride extend " in because


@pytest.mark.parametrize("rate", [10**400, [0.1], {"a": 1}, True, "fast", None])
def test_a_rate_that_is_no_number_is_left_out(rate: Any) -> None:
    trials = [*trained(bowl(BEST), 16), trial(99, rate, 0.0)]
    assert answer(job(), trials).evidence.trials == 16
    assert in_brief(job(), trials).answer.evidence.trials == 16


@pytest.mark.parametrize("decay", [10**400, 1e300, -1e9, math.inf, [1]])
def test_another_parameter_that_is_far_from_its_range_is_left_out(decay: Any) -> None:
    space = {"learning_rate": LOG, "weight_decay": {"type": "float", "low": 0.0, "high": 1.0}}
    trials = [trial(one.number, one.params["learning_rate"], one.value, weight_decay=0.5) for one in trained(bowl(BEST), 16)]
    found = answer(job(search_space=space), [*trials, trial(99, 0.5, 0.3, weight_decay=decay)])
    assert found.interval is not None
    assert math.isfinite(found.interval.high)


def test_trials_that_lack_what_is_searched_are_told() -> None:
    space = {"learning_rate": LOG, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    found = answer(job(search_space=space), trained(bowl(BEST), 30))
    assert found.verdict == AnswerVerdict.MORE_TRIALS
    assert "has all the parameters that the job searches" in found.because


@pytest.mark.parametrize("size", [0, -5])
def test_batch_sizes_that_are_none_have_no_answer(size: int) -> None:
    space = {"learning_rate": LOG, "batch_size": {"type": "int", "low": 16, "high": 64}}
    trials = [
        trial(one.number, one.params["learning_rate"], one.value, batch_size=(16, 32, 64, size)[one.number % 4])
        for one in trained(bowl(BEST), 24)
    ]
    found = answered(job(search_space=space), trials)
    assert [each.batch_size for each in found.answer.by_batch_size] == [16, 32, 64]
    assert found.batch_scaling is None or math.isfinite(found.batch_scaling.power)


def test_a_range_that_foreign_trials_left_is_widened() -> None:
    trials: list[Trial] = trained(bowl(BEST), 20)
    found = answer(job(search_space={"learning_rate": {"type": "categorical", "choices": [1e-6]}}), trials)
    assert decades(found) < 0.3


def test_three_hundred_words_are_answered_soon() -> None:
    words = [f"word{index}" for index in range(300)]
    space = {"learning_rate": LOG, "activation": {"type": "categorical", "choices": words}}
    trials = [
        trial(one.number, one.params["learning_rate"], one.value, activation=words[one.number * 7])
        for one in trained(bowl(BEST), 20)
    ]
    assert answer(job(search_space=space), trials).interval is not None


@pytest.mark.parametrize("slope", [0.05, -0.05], ids=["what was worse ended worse", "what was worse ended better"])
@pytest.mark.parametrize("seed", range(3))
def test_rates_that_had_learned_nothing_when_they_were_pruned_are_not_held_possible(seed: int, slope: float) -> None:
    """Successive halving on digits: those that go on are alike, so hardly anything follows from how they stood."""
    random = np.random.default_rng(seed)
    trials, curves = [], {}
    for number in range(20):
        rate = float(10 ** random.uniform(-2, -1.2))
        then = 0.2 + 0.1 * math.log10(rate / BEST) ** 2 + 0.03 * random.uniform()
        value = 0.13 + 0.02 * math.log10(rate / BEST) ** 2 + slope * (then - 0.2) + 0.004 * random.standard_normal()
        trials.append(trial(number, rate, value, batch_size=int(random.choice([16, 32]))))
        curves[number] = (point(1, then, 0.25), point(4, value, 1.0))
    for number in range(20, 50):
        rate = float(10 ** random.choice([random.uniform(-5, -2), random.uniform(-1.2, 0)]))
        then = 0.3 + 2.0 * min(1.0, (math.log10(rate / BEST) / 2) ** 2) + 0.02 * random.standard_normal()
        trials.append(trial(number, rate, then, TrialState.PRUNED, batch_size=int(random.choice([16, 32, 64]))))
        curves[number] = (point(1, then, 0.25),)
    found = answer(a_job(space={"batch_size": {"type": "categorical", "choices": [16, 32, 64]}}), trials, curves)
    assert found.interval is not None
    assert found.interval.low > 1e-3
    assert found.learning_rate is not None
    assert 3e-3 < found.learning_rate < 0.3
    assert min(part.mean for part in found.curve if part.learning_rate < 3e-4) > 0.2
