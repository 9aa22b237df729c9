"""Which numbers are seen in a job's trials."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.analysis.answer.best_lr import answer
from service.analysis.model.observations import Observations, observe
from service.analysis.model.pruned_trials import Curves
from service.domain.job import Job
from service.domain.measurement import CurvePoint
from service.domain.trial import GUESSING, Trial, TrialState
from tests.finished_jobs import trial
from tests.unit.analysis.trials import LOG, bowl, diverged, job, trained

BEST = 0.02


def seen_in(trials: list[Trial], curves: Curves | None = None, **overrides: Any) -> Observations:
    asked = job(**overrides)
    found = observe(asked, trials, curves or {})
    assert found is not None
    return found


def with_curves(trials: list[Trial]) -> dict[int, tuple[CurvePoint, ...]]:
    """Halfway, slow rates have most of the way before them: the best rate seems four times too high."""
    curves = {}
    for one in trials:
        rate = float(one.params["learning_rate"])
        half = bowl(4 * BEST, floor=0.5)(rate) + 0.3 * ((one.value or 0) - bowl(BEST)(rate))
        curves[one.number] = (
            CurvePoint(step=2, value=half, fraction=0.5, in_warmup=False),
            CurvePoint(step=4, value=one.value or 0, fraction=1.0, in_warmup=False),
        )
    return curves


def pruned_below_the_median(trials: list[Trial]) -> tuple[list[Trial], dict[int, tuple[CurvePoint, ...]]]:
    curves = with_curves(trials)
    halfway = {number: curve[0].value for number, curve in curves.items()}
    median = sorted(halfway.values())[len(trials) // 2]
    left = []
    for one in trials:
        if one.number >= 8 and halfway[one.number] > median:
            left.append(trial(one.number, one.params["learning_rate"], halfway[one.number], TrialState.PRUNED))
            curves[one.number] = curves[one.number][:1]
        else:
            left.append(one)
    return left, curves


def test_pruned_trials_are_predicted_to_end_where_they_would_have() -> None:
    whole = trained(bowl(BEST), 48)
    left, curves = pruned_below_the_median(whole)
    seen = seen_in(left, curves)
    n_pruned = sum(one.state is TrialState.PRUNED for one in left)
    assert n_pruned > 15
    assert (~seen.complete).sum() == n_pruned
    truth = {math.log10(float(one.params["learning_rate"])): one.value or 0 for one in whole}
    predicted = seen.costs[~seen.complete]
    ends = np.array([truth[rate] for rate in seen.rates[~seen.complete]])
    # As they stood when they were pruned, they were off by far more.
    then = np.array([one.value for one in left if one.state is TrialState.PRUNED])
    assert np.abs(predicted - ends).mean() < 0.4 * np.abs(then - ends).mean()
    off = np.abs(predicted - ends) / np.sqrt(seen.variances[~seen.complete] + 0.02**2)
    assert np.mean(off < 3) > 0.8


def test_pruned_trials_do_not_bias_the_answer() -> None:
    errors, held = [], 0
    for seed in range(6):
        left, curves = pruned_below_the_median(trained(bowl(BEST), 48, seed=seed))
        found = answer(job(), left, curves)
        assert found.interval is not None
        held += found.interval.low <= BEST <= found.interval.high
        assert found.learning_rate is not None
        errors.append(math.log10(found.learning_rate / BEST))
    assert abs(float(np.mean(errors))) < 0.06
    assert held >= 5, "of six intervals of 90%"


def test_pruned_trials_narrow_the_answer() -> None:
    def width(trials: list[Trial], curves: Curves) -> float:
        interval = answer(job(), trials, curves).interval
        assert interval is not None
        return math.log10(interval.high / interval.low)

    narrower = 0
    for seed in range(6):
        left, curves = pruned_below_the_median(trained(bowl(BEST), 24, noise=0.05, seed=seed))
        narrower += width(left, curves) < width([one for one in left if one.state is TrialState.COMPLETE], curves)
    assert narrower >= 4


@pytest.mark.parametrize(
    "spoiled",
    [
        (),
        (CurvePoint(step=1, value=0.4, fraction=None, in_warmup=False),),
        (CurvePoint(step=1, value=0.4, fraction=0.5, in_warmup=True),),
        (CurvePoint(step=1, value=math.nan, fraction=0.5, in_warmup=False),),
    ],
)
def test_a_pruned_trial_that_tells_nothing_is_left_out(spoiled: tuple[CurvePoint, ...]) -> None:
    complete = trained(bowl(BEST), 16)
    curves = with_curves(complete) | {16: spoiled}
    seen = seen_in([*complete, trial(16, 0.5, 0.4, TrialState.PRUNED)], curves)
    assert len(seen.costs) == 16


def test_pruned_trials_wait_for_enough_that_went_on() -> None:
    complete = trained(bowl(BEST), 5)
    curves = with_curves(complete) | {9: (CurvePoint(step=2, value=0.4, fraction=0.5, in_warmup=False),)}
    assert len(seen_in([*complete, trial(9, 0.5, 0.4, TrialState.PRUNED)], curves).costs) == 5


def test_diverged_trials_have_no_cost_but_a_rate() -> None:
    seen = seen_in([*trained(bowl(BEST), 4), diverged(4, 0.9)])
    assert len(seen.costs) == 4
    assert seen.lost_rates == pytest.approx([math.log10(0.9)])


def test_what_repeats_a_run_counts_once() -> None:
    again = [replace(one, number=10 + one.number) for one in trained(bowl(BEST), 4)]
    seeds = [trial(20 + number, 0.01, 0.3, user_attrs={"training_seed": 7 + number % 2}) for number in range(5)]
    seen = seen_in([*trained(bowl(BEST), 4), *again, *seeds])
    assert (len(seen.costs), seen.n_repeats) == (10, 3)  # without a seed, each is a run of its own


def test_why_trials_are_left_out_is_told() -> None:
    twice = [trial(number, 0.01, 0.3, user_attrs={"training_seed": 7}) for number in range(2)]
    space = {"learning_rate": LOG, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    found = answer(job(search_space=space), [replace(one, params=one.params | {"momentum": 0.5}) for one in twice])
    assert "only 1 trial has trained to the end, at 1 rate (others: 1 repeats a run): " in found.because
    found = answer(job(search_space=space), [trial(3, 0.02, 0.3, momentum=0.5), *twice])
    assert "at 1 rate (others: 2 lack parameters that the job searches, or a value below 1e+100): " in found.because
    exploded = [trial(number, rate, cost) for number, (rate, cost) in enumerate([(0.01, 0.1), (0.02, 0.2), (0.3, 50.0)])]
    declared = [replace(one, user_attrs={GUESSING: {"loss": 2.3}}) for one in exploded]
    found = answer(job(), declared)
    assert "only 2 trials have trained to the end, at 2 different rates (others: 1 is hopeless): " in found.because


def test_points_with_several_seeds_are_repeated() -> None:
    trials = [trial(number, 0.01 if number < 3 else 0.1, value, user_attrs={"training_seed": number % 3})
              for number, value in enumerate([1.0, 2.0, 3.0, 10.0, 10.0, 13.0])]  # fmt: skip
    assert [list(costs) for costs in seen_in(trials).repeated] == [[1.0, 2.0, 3.0], [10.0, 10.0, 13.0]]


def test_the_same_seed_again_shows_no_noise() -> None:
    assert seen_in([trial(number, 0.01, 1.0, user_attrs={"training_seed": 7}) for number in range(3)]).repeated == []


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"momentum": "much"},
        {"momentum": math.nan},
        {"momentum": True},
    ],
)
def test_a_foreign_trial_without_a_searched_parameter_is_left_out(params: dict[str, Any]) -> None:
    space = {"learning_rate": LOG, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    own = [trial(0, 0.1, 0.5, momentum=0.5)]
    seen = seen_in([*own, trial(1, 0.01, 0.1, **params)], search_space=space)
    assert len(seen.costs) == 1


def test_rates_at_zero_and_below_have_no_logarithm_and_are_left_out() -> None:
    assert len(seen_in([trial(0, 0.1, 0.5), trial(1, 0.0, 0.1), trial(2, -1.0, 0.1)]).costs) == 1


def test_costs_of_a_metric_to_be_maximized_are_less_it() -> None:
    asked: Job = job(direction="maximize")
    seen = observe(asked, [trial(0, 0.1, 0.7)], {})
    assert seen is not None
    assert seen.costs == pytest.approx([-0.7])
