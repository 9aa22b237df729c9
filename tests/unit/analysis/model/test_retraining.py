"""Which points are retrained."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from service.analysis.model.observations import observe
from service.analysis.model.retraining import candidates
from service.domain.space import Point, contains, searched
from service.domain.trial import Trial, TrialState
from tests.finished_jobs import trial
from tests.unit.analysis.made_up_jobs import made_up
from tests.unit.analysis.trials import bowl, diverged, job, trained

BEST = 0.02


def to_retrain(trials: Sequence[Trial], left: int | None = None, **overrides: Any) -> list[Point]:
    return candidates(job(**overrides), trials, {}, trials_left=left)


@pytest.mark.parametrize("seed", range(60))
def test_they_are_different_points_of_the_search_space(seed: int) -> None:
    made, trials, curves = made_up(seed)
    found = candidates(made, trials, curves, trials_left=None)
    ranges = searched(made.search_space)
    seen = observe(made, trials, curves)
    different = set() if seen is None else {tuple(point[name] for name in ranges) for point in seen.trained_points}
    assert min(2, len(different)) <= len(found) <= 4
    assert len({tuple(point.items()) for point in found}) == len(found)
    for point in found:
        assert point.keys() == ranges.keys()
        assert all(contains(ranges[name], value) for name, value in point.items()), point


@pytest.mark.parametrize("seed", range(6))
def test_they_are_the_same_each_time(seed: int) -> None:
    first, second = (candidates(*made_up(seed), trials_left=None) for _ in range(2))
    assert first == second


def test_the_answered_point_and_the_best_trials_come_first() -> None:
    trials = trained(bowl(BEST), 24)
    lucky = trial(90, 0.2, 0.01)
    first, second, *_ = to_retrain([*trials, lucky])
    assert abs(math.log10(float(first["learning_rate"]) / BEST)) < 0.4
    assert second == {"learning_rate": 0.2}


@pytest.mark.parametrize("left", [1, 3, 4, 7, 100, None])
def test_there_are_two_to_four(left: int | None) -> None:
    assert 2 <= len(to_retrain(trained(bowl(BEST), 24), left)) <= 4


def test_few_trials_give_the_best_of_them() -> None:
    trials = [trial(0, 0.1, 0.5), trial(1, 0.01, 0.2), trial(2, 0.001, 0.3)]
    assert to_retrain(trials)[:2] == [{"learning_rate": 0.01}, {"learning_rate": 0.001}]
    assert to_retrain(trials, direction="maximize")[0] == {"learning_rate": 0.1}


def test_where_all_but_one_diverged_it_is_that_one() -> None:
    trials = [*(diverged(number, 0.1 * (1 + number)) for number in range(6)), trial(9, 0.01, 0.2)]
    assert to_retrain(trials) == [{"learning_rate": 0.01}]


def test_a_single_point_is_one_candidate() -> None:
    trials = [trial(number, 0.01, 0.2 + number / 100, user_attrs={"training_seed": number}) for number in range(5)]
    assert to_retrain(trials) == [{"learning_rate": 0.01}]


def test_nothing_that_trained_gives_none() -> None:
    assert to_retrain([]) == []
    assert to_retrain([diverged(0, 0.1), trial(1, 0.1, None, TrialState.FAILED)]) == []
    assert to_retrain([trial(0, 0.1, None, TrialState.RUNNING)]) == []


def test_running_trials_are_not_waited_for() -> None:
    trials = trained(bowl(BEST), 24)
    assert to_retrain([*trials, trial(90, 0.5, None, TrialState.RUNNING)]) == to_retrain(trials)


def test_points_outside_of_the_space_are_not_retrained() -> None:
    space = {"learning_rate": {"type": "float", "low": 0.01, "high": 0.05, "step": 0.01}}
    trials = [trial(0, 0.7, 0.1), trial(1, 0.015, 0.15), trial(2, 0.02, 0.2), trial(3, 0.03, 0.3)]
    assert to_retrain(trials, search_space=space) == [{"learning_rate": 0.02}, {"learning_rate": 0.03}]


def test_steps_that_differ_by_rounding_are_one_point() -> None:
    space = {"learning_rate": {"type": "float", "low": 0.1, "high": 1.0, "step": 0.1}}
    trials = [trial(0, 0.30000000000000004, 0.1), trial(1, 0.3, 0.11), trial(2, 0.2, 0.3)]
    assert len(to_retrain(trials, search_space=space)) == 2


def test_whole_rates_and_choices_keep_their_type() -> None:
    random = np.random.default_rng(0)
    space = {"learning_rate": {"type": "int", "low": 1, "high": 5_000, "log": True}}
    trials = [
        trial(number, int(rate), math.log10(rate / 70) ** 2 + 0.01 * random.random())
        for number, rate in enumerate(10 ** random.uniform(0, 3.69, 30))
    ]
    assert all(isinstance(point["learning_rate"], int) for point in to_retrain(trials, search_space=space))
