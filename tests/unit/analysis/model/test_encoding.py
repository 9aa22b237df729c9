from typing import Any

import numpy as np
import pytest

from service.analysis.model.encoding import axes, decode, encode
from service.domain.space import Scalar, contains, parse_space, searched
from tests.factories import MEANING

SPACE = parse_space(
    {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "batch_size": {"type": "categorical", "choices": [16, 64, 256]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.99},
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
        "epochs": {"type": "int", "low": 2, "high": 10},
        "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
        "nesterov": {"type": "categorical", "choices": [True, False]},
        "dropout": 0.1,
    }
)
POINT: dict[str, Scalar] = {
    "batch_size": 64, "momentum": 0.9, "optimizer": "adam", "epochs": 6, "weight_decay": 1e-4, "nesterov": True,
}  # fmt: skip


def test_what_is_searched_beside_the_rate_has_an_axis() -> None:
    assert [axis.name for axis in axes(SPACE, MEANING)] == [
        "batch_size",
        "epochs",
        "momentum",
        "nesterov",
        "optimizer",
        "weight_decay",
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("batch_size", 64, [0.5]),  # the logarithm
        ("epochs", 6, [0.5]),
        ("momentum", 0.9, [0.5]),  # averages over 1, 10, 100 updates
        ("momentum", 0.0, [0.0]),
        ("optimizer", "adam", [0.0, 1.0]),
        ("nesterov", True, [1.0, 0.0]),
        ("weight_decay", 1e-4, [0.5]),
    ],
)
def test_values_lie_where_their_scale_puts_them(name: str, value: Scalar, expected: list[float]) -> None:
    axis = next(axis for axis in axes(SPACE, MEANING) if axis.name == name)
    assert axis.encode(value) == pytest.approx(expected)
    assert axis.width == len(expected)


def test_coordinates_lead_back_to_the_point() -> None:
    found = encode(POINT, axes(SPACE, MEANING))
    assert found is not None
    assert decode(np.array(found), axes(SPACE, MEANING)) == POINT


@pytest.mark.parametrize("part", [0.0, 0.31, 0.5, 0.77, 1.0])
def test_whatever_the_coordinates_the_value_is_one_that_may_be_tried(part: float) -> None:
    stepped = parse_space(
        {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
            "dropout": {"type": "float", "low": 0.1, "high": 0.5, "step": 0.05},
            "epochs": {"type": "int", "low": 3, "high": 21, "step": 3},
            "warmup": {"type": "int", "low": 1, "high": 1000, "log": True},
            "beta2": {"type": "float", "low": 0.91234, "high": 0.99987},
            "momentum": {"type": "float", "low": 0.0, "high": 1.0},
            "uneven": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.6},
            "sixteenths": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.0625},
            "far": {"type": "int", "low": 16, "high": 128, "step": 60},
            "batch_size": {"type": "categorical", "choices": [8, 100, 128]},
        }
    )
    among = axes(stepped, MEANING)
    point = decode(np.full(len(among), part), among)
    for name, value in point.items():
        assert contains(searched(stepped)[name], value), (name, value)
    assert point["momentum"] != 1.0, "it would never decay"
    if part == 0.77:
        assert point["momentum"] == 0.999168  # three digits of what is not kept


@pytest.mark.parametrize("ends", [(1000.0, 1001.0), (0.12345, 0.12399)])
def test_digits_are_those_of_the_range(ends: tuple[float, float]) -> None:
    [axis] = axes(parse_space({"dropout": {"type": "float", "low": ends[0], "high": ends[1]}}), MEANING)
    assert axis.decode(np.array([0.5])) == pytest.approx(sum(ends) / 2, rel=1e-6)


def test_looked_at_are_values_that_may_be_tried() -> None:
    [axis] = axes(parse_space({"epochs": {"type": "int", "low": 1, "high": 4}}), MEANING)
    assert sorted(set(axis.candidates(np.linspace(0, 1, 9)).ravel())) == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])


@pytest.mark.parametrize(
    ("name", "dimension", "mean", "sd"),
    [
        ("momentum", {"type": "float", "low": 0.0, "high": 0.99}, 2.0, 0.6),
        ("momentum", {"type": "categorical", "choices": ["none", "high"]}, 0.0, 1.0),
        ("momentum", {"type": "categorical", "choices": [True, False]}, 0.0, 1.0),
        ("batch_size", {"type": "categorical", "choices": [10, 1000]}, -1.5, 0.9),
        ("batch_size", {"type": "categorical", "choices": [-1, 32, 64]}, 0.0, 0.5),
        ("batch_size", {"type": "int", "low": 0, "high": 512}, 0.0, 0.5),
        ("epochs", {"type": "int", "low": 2, "high": 20}, 0.0, 0.5),
    ],
)
def test_what_is_known_of_a_shift_before_any_trial(name: str, dimension: dict[str, Any], mean: float, sd: float) -> None:
    [axis] = axes(parse_space({name: dimension}), MEANING)
    assert (axis.shift.mean, axis.shift.sd) == pytest.approx((mean, sd))


def test_a_point_is_the_coordinates_of_all_axes() -> None:
    assert encode(POINT, axes(SPACE, MEANING)) == pytest.approx([0.5, 0.5, 0.5, 1.0, 0.0, 0.0, 1.0, 0.5])


@pytest.mark.parametrize("name", POINT)
def test_a_point_that_lacks_a_parameter_has_none(name: str) -> None:
    assert encode({key: value for key, value in POINT.items() if key != name}, axes(SPACE, MEANING)) is None


@pytest.mark.parametrize("name", ["batch_size", "momentum", "optimizer"])
def test_candidates_spread_over_the_range(name: str) -> None:
    axis = next(axis for axis in axes(SPACE, MEANING) if axis.name == name)
    found = axis.candidates(np.array([0.0, 0.34, 0.67, 1.0]))
    assert found.shape == (4, axis.width)
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert len(np.unique(found, axis=0)) > 1


def test_a_choice_of_one_is_no_division_by_zero() -> None:
    axis = axes(parse_space({"batch_size": {"type": "categorical", "choices": [64]}}), MEANING)[0]
    assert axis.encode(64) == [0.0]
