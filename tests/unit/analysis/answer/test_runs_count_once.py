"""The same point with the same training seed is one run, however often it was tried."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from service.analysis.answer.best_lr import answer
from service.analysis.model.observations import observe
from service.domain.job import Job
from service.domain.trial import Trial
from tests.drawn_jobs import drawn
from tests.finished_jobs import a_job, trial

RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]
CHOICES = {"learning_rate": {"type": "categorical", "choices": RATES}}
UNCERTAIN = [
    "learning_rate",
    "interval",
    "interval_at_params",
    "safe_range",
    "safe_range_retuned",
    "expected",
    "divergence_edge",
    "curve",
    "verdict",
]


def value(rate: float, seed: int) -> float:
    """A bowl about 0.05 that diverges above 0.5; what a run comes to hangs on its seed."""
    return math.inf if rate > 0.5 else 0.15 + 0.3 * math.log10(rate / 0.05) ** 2 + 0.05 * math.sin(seed % 7919 + 1e3 * rate)


def eight_choices(training_seed: str, seed: int = 0) -> tuple[Job, list[Trial]]:
    """64 random trials of eight rates."""
    job = a_job(search_space=CHOICES, budget={"trials": 64}, training_seed=training_seed, seed=seed)
    return job, drawn(job, value)


def first_of_each(trials: Sequence[Trial]) -> list[Trial]:
    return [one for at, one in enumerate(trials) if one.params not in [earlier.params for earlier in trials[:at]]]


@pytest.mark.parametrize("seed", [0, 1])
def test_repeats_with_a_shared_seed_add_nothing_to_the_answer(seed: int) -> None:
    job, trials = eight_choices("shared", seed)
    distinct = first_of_each(trials)
    assert (len(trials), len(distinct)) == (64, 8)
    found, once = answer(job, trials), answer(job, distinct)
    assert found.interval is not None
    for name in UNCERTAIN:
        assert getattr(found, name) == getattr(once, name), name


def test_all_trials_are_counted_that_the_answer_rests_on() -> None:
    found = answer(*eight_choices("shared"))
    assert (found.evidence.trials, found.evidence.seeds) == (64, 1)
    assert found.evidence.infeasible > 2, "of two rates that diverge"


def test_runs_are_few_however_often_they_are_repeated() -> None:
    seen = observe(*eight_choices("shared"), {})
    assert seen is not None
    assert (len(seen.costs), len(seen.lost_rates)) == (6, 2)
    assert "6 different runs" in answer(*eight_choices("shared")).because


def test_with_seeds_of_their_own_repeats_count() -> None:
    job, trials = eight_choices("per_trial")
    seen = observe(job, trials, {})
    assert seen is not None
    assert len(seen.costs) + len(seen.lost_rates) == 64
    found, once = answer(job, trials), answer(job, first_of_each(trials))
    assert found.expected is not None
    assert once.expected is not None
    assert found.expected.high - found.expected.low < (once.expected.high - once.expected.low) / 2
    assert found.evidence.seeds == 64


def test_the_interval_of_repeats_is_that_of_the_grid() -> None:
    """As the case has it: no narrower than the same eight runs of a grid, here with the same seed."""
    job, trials = eight_choices("shared")
    grid = a_job(search_space=CHOICES, strategy="grid", budget={"trials": 8}, training_seed="shared")
    found, of_grid = answer(job, trials), answer(grid, drawn(grid, value))
    assert found.interval == of_grid.interval, "all choices that are possible"
    assert found.learning_rate == of_grid.learning_rate
    assert found.expected is not None
    assert of_grid.expected is not None
    assert found.expected.mean == pytest.approx(of_grid.expected.mean, abs=0.01)


def test_a_point_tried_first_three_times_has_three_seeds() -> None:
    job = a_job(try_first=[{"learning_rate": 0.1}] * 3, budget={"trials": 8})
    trials = drawn(job, value)
    assert [one.params["learning_rate"] for one in trials[:3]] == [0.1, 0.1, 0.1]
    assert len({one.value for one in trials[:3]}) == 3
    seen = observe(job, trials, {})
    assert seen is not None
    assert sum(abs(rate + 1) < 1e-9 for rate in seen.rates) == 3
    assert [len(costs) for costs in seen.repeated] == [3]


def test_with_a_shared_seed_a_point_tried_first_three_times_is_one_run() -> None:
    job = a_job(try_first=[{"learning_rate": 0.1}] * 3, budget={"trials": 8}, training_seed="shared")
    trials = drawn(job, value)
    assert len({one.value for one in trials[:3]}) == 1
    seen = observe(job, trials, {})
    assert seen is not None
    assert sum(abs(rate + 1) < 1e-9 for rate in seen.rates) == 1
    assert seen.repeated == []
    assert answer(job, trials).evidence.trials == 8


def test_the_first_of_equal_runs_is_taken() -> None:
    """The same run on another machine may differ in the last digits."""
    seed = {"training_seed": 3}
    seen = observe(a_job(), [trial(0, 0.1, 0.5, user_attrs=seed), trial(1, 0.1, 0.500001, user_attrs=seed)], {})
    assert seen is not None
    assert list(seen.costs) == [0.5]


@pytest.mark.parametrize("other", [{"momentum": 0.5}, {"learning_rate": 0.2}])
def test_runs_with_one_seed_at_different_points_are_different(other: dict[str, Any]) -> None:
    job = a_job(space={"momentum": {"type": "float", "low": 0.0, "high": 0.9}}, training_seed="shared")
    one = trial(0, 0.1, 0.5, user_attrs={"training_seed": 0}, momentum=0.1)
    seen = observe(job, [one, replace(one, number=1, params=dict(one.params) | other)], {})
    assert seen is not None
    assert len(seen.costs) == 2


def test_foreign_trials_that_name_no_seed_are_runs_of_their_own() -> None:
    seen = observe(a_job(), [trial(number, 0.1, 0.5) for number in range(3)], {})
    assert seen is not None
    assert len(seen.costs) == 3


def test_a_run_that_diverges_each_time_diverged_once() -> None:
    same = [trial(number, 0.9, math.inf, user_attrs={"training_seed": 0}) for number in range(2, 9)]
    infeasible = [replace(one, state=type(one.state).INFEASIBLE) for one in same]
    seen = observe(a_job(), [trial(0, 0.1, 0.5), *infeasible], {})
    assert seen is not None
    assert len(seen.lost_rates) == 1
