"""The comparison of a calm with a faulty run finds every difference, and none where there is none."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.compare import differences, same
from tests.chaos.factories import job, lease, step, trial, written
from tests.chaos.history import Trial


def told(changed: Trial) -> list[str]:
    """The differences reported when the second trial is replaced."""
    return list(differences(job(), job(trials=(trial(0), changed))))


def test_times_workers_and_attempts_make_no_difference() -> None:
    again = trial(
        1,
        trial_id=7,
        leases=(lease(1, outcome="vanished", worker_id="another"), lease(2, from_step=1)),
        written=(written(1, 99.0, seconds=3.0),),
    )
    assert told(again) == []
    assert list(differences(job(), job(id="another", events=()))) == []


def test_a_loss_that_differs_in_its_last_bit_in_one_step_is_reported() -> None:
    loss = math.nextafter(1.0, 2.0)
    said = told(trial(1, steps=(step(1), step(2, metrics={"loss": loss}))))
    assert said == ["job 0: random, trial 1, step 2, metrics: calm {'loss': 1.0}, faulty {'loss': 1.0000000000000002}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "FAIL"),
        ("value", (2.0, "FINITE")),
        ("value", None),
        ("params", {"learning_rate": (0.2, "{}")}),
        ("user_attrs", {"test_loss": 1.0, "diverged_at_step": 2}),
        ("user_attrs", {"test_loss": 2.0}),
        ("system_attrs", {"constraints": [0.5]}),
    ],
)
def test_a_trial_that_differs_is_reported(name: str, value: Any) -> None:
    (said,) = told(trial(1, **{name: value}))
    assert said.startswith(f"job 0: random, trial 1, {name}: calm ")


@pytest.mark.parametrize(
    ("name", "value"),
    [("fraction", 0.9), ("in_warmup", True), ("learning_rate", 0.2), ("intermediate_value", (2.0, "FINITE"))],
)
def test_a_step_that_differs_is_reported(name: str, value: Any) -> None:
    (said,) = told(trial(1, steps=(step(1), step(2, **{name: value}))))
    assert said.startswith(f"job 0: random, trial 1, step 2, {name}: calm ")


def test_trials_and_steps_that_only_one_run_has_are_reported() -> None:
    assert list(differences(job(), job(trials=(trial(0),)))) == ["job 0: random: trial 1 is missing"]
    assert list(differences(job(trials=(trial(0),)), job())) == [
        "job 0: random: there is a trial 1 that the calm run does not have"
    ]
    assert told(trial(1, steps=(step(1),))) == ["job 0: random, trial 1, step 2 is missing"]
    assert told(trial(1, steps=(step(1), step(2), step(3)))) == [
        "job 0: random, trial 1: there is a step 3 that the calm run does not have"
    ]


def test_another_specification_is_no_comparison() -> None:
    other = replace(job(), spec={"seed": 8, "metric": "loss", "budget": {"trials": 2}})
    assert list(differences(job(), other)) == ["job 0: random: not the same specification"]


def test_nan_is_the_same_as_nan_and_as_nothing_else() -> None:
    assert same({"loss": math.nan}, {"loss": math.nan})
    assert same((math.inf, [math.nan]), (math.inf, [math.nan]))
    assert not same(math.nan, 0.0)
    assert not same({"loss": math.nan}, {"loss": None})
    assert not same([1.0], [1.0, 2.0])
