"""Functions whose own arguments are parameters, and what they import of Stride when nothing tunes them."""

import math
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

import stride
from stride.arguments import call, left_alone, space_of, takes_parameters


class Mode(Enum):
    FAST = 1


def by_rate(lr: float, epochs: int = 20) -> None: ...
def by_values(eta: float = 0.1, *, name: str = "a", sizes: tuple[int, ...] = (1, 2)) -> None: ...
def by_odd_values(lr: float = 0.1, dropout: float | None = None, mode: Mode = Mode.FAST, top: float = math.inf) -> None: ...
def of_a_trial(trial: Any, batch_size: int = 32) -> None: ...
def of_an_optional_trial(trial: Any = None) -> None: ...
def of_something(config: Any) -> None: ...
def of_nothing() -> None: ...
def of_any(*args: Any, **more: Any) -> None: ...
def without_a_value(lr: float, width: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "takes"),
    [
        (by_rate, True),
        (by_values, True),
        (without_a_value, True),
        (of_a_trial, False),
        (of_an_optional_trial, False),
        (of_something, False),
        (of_nothing, False),
        (of_any, False),
    ],
)
def test_a_function_takes_parameters_or_a_trial(function: Callable[..., Any], takes: bool) -> None:
    assert takes_parameters(function) is takes


def test_the_values_of_arguments_are_those_of_parameters() -> None:
    assert space_of(by_rate).keys() == {"lr", "epochs"}
    assert space_of(by_values) == {"eta": 0.1, "name": "a"}, "a tuple is left to the function"
    assert space_of(by_odd_values) == {"lr": 0.1}
    assert left_alone(by_odd_values) == {"dropout": "None", "mode": "<Mode.FAST: 1>", "top": "inf"}
    assert left_alone(by_rate) == {}
    with pytest.raises(TypeError, match=r"^its argument width has no value: write width=\.\.\., which --param width="):
        space_of(without_a_value)


def test_a_function_is_called_with_the_parameters_that_it_takes() -> None:
    found: list[Any] = []

    def train(lr: float, epochs: int = 20) -> None:
        found.append((lr, epochs))

    call(train, {"lr": 0.1, "momentum": 0.9})
    assert found == [(0.1, 20)]


def test_outside_of_a_trial_a_loop_counts_and_reports_do_nothing() -> None:
    assert list(stride.steps(3, object())) == [0, 1, 2]
    assert stride.report(loss=1.0) is False
