from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.domain.space import CategoricalRange, FloatRange, IntRange, contains, fixed, parse_space, searched

LEARNING_RATE = {"type": "float", "low": 1e-5, "high": 1.0, "log": True}


def test_a_bare_value_fixes_a_parameter_and_keeps_its_type() -> None:
    space = parse_space({"a": 1, "b": 1.0, "c": True, "d": "adam"})
    assert searched(space) == {}
    assert [(name, type(value)) for name, value in fixed(space).items()] == [("a", int), ("b", float), ("c", bool), ("d", str)]


def test_parameters_are_asked_in_the_order_of_their_names() -> None:
    space = parse_space({"z": LEARNING_RATE, "a": {"type": "int", "low": 1, "high": 2}, "m": 3})
    assert list(searched(space)) == ["a", "z"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"type": "float", "low": 1.0, "high": 0.1}, "the range is empty"),
        ({"type": "float", "low": 0.1, "high": 0.1}, "holds one value only"),
        ({"type": "int", "low": 3, "high": 3}, "holds one value only"),
        ({"type": "float", "low": 0.0, "high": 1.0, "log": True}, "must start above 0"),
        ({"type": "float", "low": -1.0, "high": 1.0, "log": True}, "must start above 0"),
        ({"type": "float", "low": 0.1, "high": 1.0, "log": True, "step": 0.1}, "takes points, not a step"),
        ({"type": "int", "low": 1, "high": 8, "log": True, "step": 2}, "takes points, not a step"),
        ({"type": "float", "low": 0.0, "high": 1.0, "step": 0.1, "points": 3}, "either step or points"),
        ({"type": "int", "low": 0, "high": 10, "step": 2, "points": 3}, "either step or points"),
        ({"type": "float", "low": 0.0, "high": float("inf")}, "finite"),
        ({"type": "float", "low": float("nan"), "high": 1.0}, "finite"),
        ({"type": "float", "low": 0.0, "high": 1.0, "step": 0.0}, "greater than 0"),
        ({"type": "float", "low": 1e16, "high": 1e16 + 100, "step": 1.0}, "too small"),
        ({"type": "int", "low": 1.5, "high": 3}, "valid integer"),
        ({"type": "int", "low": True, "high": 3}, "valid integer"),
        ({"type": "int", "low": 0, "high": 2**60}, "less than or equal"),
        ({"type": "float", "low": 0.0, "high": 1.0, "points": 1}, "greater than or equal to 2"),
        ({"type": "float", "low": 0.0, "high": 1.0, "scale": "log"}, "Extra inputs"),
        ({"type": "categorical", "choices": []}, "at least 1"),
        ({"type": "categorical", "choices": ["a", "b", "a"]}, "must differ"),
        ({"type": "categorical", "choices": [1, 1.0]}, "must differ"),
        ({"type": "categorical", "choices": [True, 1]}, "must differ"),
        ({"type": "categorical", "choices": [1.0, float("nan")]}, "finite"),
        ({"type": "normal", "mean": 0}, 'whose "type" is'),
        ({"low": 0, "high": 1}, 'whose "type" is'),
        ({"type": ["float"]}, 'whose "type" is'),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused_with_a_reason(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_space({"x": document})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("dimension", "inside", "outside"),
    [
        (FloatRange(type="float", low=0.1, high=1.0), [0.1, 0.5, 1.0, 1], [0.09, 1.01, True, "0.5"]),
        (FloatRange(type="float", low=0.0, high=1.0, step=0.1), [0.0, 0.3, 0.7, 1.0], [0.35, 1.1]),
        (IntRange(type="int", low=1, high=9), [1, 5, 9], [0, 10, 2.0, True, "5"]),
        (IntRange(type="int", low=1, high=9, step=4), [1, 5, 9], [2, 13]),
        (CategoricalRange(type="categorical", choices=(16, 32)), [16, 32], [64, 16.0, "16"]),
        (CategoricalRange(type="categorical", choices=(True, False)), [True, False], [1, 0, "true"]),
    ],
)
def test_a_range_contains_its_values_and_no_others(dimension: Any, inside: list[Any], outside: list[Any]) -> None:
    assert [value for value in inside if not contains(dimension, value)] == []
    assert [value for value in outside if contains(dimension, value)] == []


@given(low=st.floats(-1e6, 1e6), count=st.integers(1, 1000), step=st.floats(1e-3, 1e3))
def test_a_float_range_contains_every_one_of_its_steps(low: float, count: int, step: float) -> None:
    dimension = FloatRange(type="float", low=low, high=low + (count + 0.5) * step, step=step)
    assert contains(dimension, low + count * step)


def test_a_space_reads_back_from_its_own_json() -> None:
    space = parse_space(
        {
            "learning_rate": LEARNING_RATE | {"points": 9},
            "batch_size": {"type": "categorical", "choices": [16, 32.5, "all", True]},
            "epochs": {"type": "int", "low": 2, "high": 20},
            "momentum": 0.9,
        }
    )
    document = {name: value.model_dump(mode="json") if hasattr(value, "model_dump") else value for name, value in space.items()}
    assert parse_space(document) == space


def test_large_floats_are_read_as_floats_from_the_digits_that_postgresql_gives_back() -> None:
    digits = [10**300, -(10**39), 17 * 10**307, 2**63, 2**63 - 1]
    space = parse_space(
        {"x": {"type": "categorical", "choices": digits}} | {f"y{index}": value for index, value in enumerate(digits)}
    )
    expected = ["1e+300", "-1e+39", "1.7e+308", "9.223372036854776e+18", "9223372036854775807"]
    assert [repr(choice) for choice in space["x"].choices] == expected  # type: ignore[union-attr]
    assert [repr(value) for value in fixed(space).values()] == expected
