"""Steps are the floats that people write, however small or large they are, and nothing between them is one."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.space import FloatRange, Range, as_written, contains, key_of, parse_space
from service.domain.steps import n_steps, nearest_step, spaced, step_at, step_equal_to, steps

LARGEST = sys.float_info.max


def stepped(low: float, high: float, step: float) -> FloatRange:
    return FloatRange(type="float", low=low, high=high, step=step)


@pytest.mark.parametrize(
    ("low", "high", "step", "on", "off"),
    [
        (1e-9, 5e-9, 1e-9, [1e-9, 3e-9, 3.0000000000000004e-9], [1.5e-9, 1.1e-9, 3.000001e-9]),
        (0.0, 1e10, 0.1, [1234567890.3, 0.1, 9999999999.9], [1234567890.35, 0.15]),
        (0.0, 1.0, 0.1, [0.3, 0.1 + 0.2, 0.7999999999999999], [0.3000000001, 0.35]),
        (1.0, 2.0, 0.1, [1.0 + 3 * 0.1, 1.3, 1.7000000000000002], [1.30001]),
        (-1.0, 1.0, 0.1, [0.0, -1.0 + 10 * 0.1, -1.0 + 9 * 0.1], [1e-9, 0.05]),
        (1e-300, 1e-299, 1e-300, [3e-300], [3.5e-300]),
        (0.0, 1e300, 1e299, [7e299], [7.5e299]),
        (-1e308, 7e307, 1e293, [1e293, 0.0], [5e292]),
        (0.0, 1e-322, 2e-323, [4e-323], [5e-323]),
        (1e16, 1e16 + 80, 8.0, [1e16 + 8], [1e16 + 4]),
        (0.0, 2.0**49, 1.0, [2.0**49, 2**49 - 1, 2.0**48 + 1], [2.0**48 + 0.5]),
        (0.1, 1.0, 0.4, [0.1, 0.5, 0.9], [1.0, 0.4, 0.7]),
    ],
)
def test_a_value_lies_on_a_step_by_the_precision_of_floats(
    low: float, high: float, step: float, on: list[float], off: list[float]
) -> None:
    dimension = stepped(low, high, step)
    assert [value for value in on if not contains(dimension, value)] == []
    assert [value for value in off if contains(dimension, value)] == []


def test_what_is_no_number_of_the_range_is_on_no_step() -> None:
    assert not any(contains(stepped(0.0, 1.0, 0.1), value) for value in (math.nan, math.inf, -0.1, 1.1, LARGEST, True, "0.1"))


def test_steps_are_as_people_write_them() -> None:
    assert [repr(step) for step in steps(0.0, 10.0, 0.1)] == [f"{number / 10:.1f}" for number in range(101)]
    assert list(steps(1e-9, 5e-9, 1e-9)) == [1e-9, 2e-9, 3e-9, 4e-9, 5e-9]
    assert list(steps(0.1, 1.0, 0.4)) == [0.1, 0.5, 0.9]
    assert list(steps(-0.3, 0.3, 0.1)) == [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("low", "high", "log", "values"),
    [
        (1e-5, 1.0, True, [1e-05, 0.0001, 0.001, 0.01, 0.1, 1.0]),
        (1e-300, 1e300, True, [1e-300, 1e-200, 1e-100, 1.0, 1e100, 1e200, 1e300]),
        (16.0, 256.0, True, [16.0, 32.0, 64.0, 128.0, 256.0]),
        (0.0, 0.99, False, [0.0, 0.33, 0.66, 0.99]),
        (0.0, 0.7, False, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (-LARGEST, LARGEST, False, [-LARGEST, 0.0, LARGEST]),
        (5e-324, 1e-323, True, [5e-324, 5e-324, 1e-323]),
    ],
)
def test_spaced_values_are_as_people_write_them(low: float, high: float, log: bool, values: list[float]) -> None:
    assert list(spaced(low, high, len(values), log=log)) == values


_ENDS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e307, max_value=1e307)


@given(low=_ENDS, step=st.floats(5e-324, 1e304), index=st.integers(0, 1000))
def test_a_step_is_one_float_however_it_was_reached(low: float, step: float, index: int) -> None:
    high = low + 1001.5 * step
    if step < 4 * math.ulp(max(abs(low), abs(high))):  # refused by FloatRange
        return
    exact = step_at(low, step, index)
    assert n_steps(low, high, step) > index
    for reached in (exact, low + index * step, math.nextafter(exact, math.inf)):
        if low <= reached <= high:
            assert step_equal_to(low, high, step, reached) == exact
    assert step_equal_to(low, high, step, exact + step / 2) is None
    assert nearest_step(low, high, step, exact + step / 3) == exact


@given(low=_ENDS, step=st.floats(1e-300, 1e300))
def test_nearest_steps_stay_in_the_range(low: float, step: float) -> None:
    high = low + 10 * step
    if step < 4 * math.ulp(max(abs(low), abs(high))):
        return
    assert nearest_step(low, high, step, -LARGEST) == low
    assert nearest_step(low, high, step, LARGEST) == step_at(low, step, n_steps(low, high, step) - 1)


def test_only_steps_are_written_anew() -> None:
    dimension = stepped(0.0, 10.0, 0.1)
    assert as_written(dimension, 4.6000000000000005) == 4.6
    assert as_written(dimension, 4.65) == 4.65
    assert as_written(dimension, 11.000000000000002) == 11.000000000000002
    for continuous in ({"type": "float", "low": 0.0, "high": 10.0}, {"type": "categorical", "choices": [4.6000000000000005]}):
        [found] = parse_space({"x": continuous}).values()
        assert as_written(found, 4.6000000000000005) == 4.6000000000000005  # type: ignore[arg-type]


def test_a_point_that_an_earlier_version_stored_is_the_same_point() -> None:
    ranges: dict[str, Range] = {"decay": stepped(0.0, 10.0, 0.1)}
    assert key_of(ranges, {"decay": 4.6000000000000005, "epochs": 3}) == key_of(ranges, {"epochs": 3, "decay": 4.6})
    assert key_of(ranges, {"decay": 4.7}) != key_of(ranges, {"decay": 4.6})


def test_a_stored_job_whose_step_is_larger_than_its_range_can_be_read() -> None:
    assert parse_space({"x": {"type": "float", "low": 0.1, "high": 0.2, "step": 1.0}})
    assert parse_space({"x": {"type": "int", "low": 1, "high": 3, "step": 5}})
