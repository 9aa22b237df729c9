import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.space import CategoricalRange, FloatRange, IntRange, Range, Scalar, parse_space
from service.search.strategies.grid import GridProblem, axis, point, size

GOLDEN = [(9, 3), (6, 6), (9, 4), (5, 1), (6, 3), (7, 3)]

_FINITE = st.floats(-1e308, 1e308)
_POSITIVE = st.floats(1e-300, 1e300)
_POINTS = st.integers(2, 40)


@st.composite
def float_points(draw: st.DrawFn) -> FloatRange:
    log = draw(st.booleans())
    numbers = _POSITIVE if log else _FINITE
    low, high = sorted(draw(st.tuples(numbers, numbers).filter(lambda ends: ends[0] != ends[1])))
    return FloatRange(type="float", low=low, high=high, log=log, points=draw(_POINTS))


@st.composite
def float_steps(draw: st.DrawFn) -> FloatRange:
    low, step = draw(st.floats(-1e6, 1e6)), draw(st.floats(1e-3, 1e3))
    return FloatRange(type="float", low=low, high=low + draw(st.floats(1, 50)) * step, step=step)


@st.composite
def ints(draw: st.DrawFn) -> IntRange:
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -1000, 1000))
    high = low + draw(st.integers(1, 200))
    if draw(st.booleans()):
        return IntRange(type="int", low=low, high=high, log=log, points=draw(_POINTS))
    return IntRange(type="int", low=low, high=high, log=log, step=1 if log else draw(st.integers(1, 50)))


@st.composite
def categories(draw: st.DrawFn) -> CategoricalRange:
    choices = draw(st.lists(st.integers(0, 99) | st.text(max_size=3), min_size=1, max_size=6, unique=True))
    return CategoricalRange(type="categorical", choices=tuple(choices))


RANGES = float_points() | float_steps() | ints() | categories()


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        ({"type": "float", "low": 0.0, "high": 1.0, "points": 5}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 6}, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        ({"type": "float", "low": 0.0, "high": 0.99, "points": 4}, [0.0, 0.33, 0.66, 0.99]),
        ({"type": "float", "low": 0.1, "high": 0.5, "step": 0.1}, [0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"type": "float", "low": 0.0, "high": 1.0, "step": 0.3}, [0.0, 0.3, 0.6, 0.9]),
        ({"type": "int", "low": 2, "high": 5}, [2, 3, 4, 5]),
        ({"type": "int", "low": 1, "high": 10, "step": 4}, [1, 5, 9]),
        ({"type": "int", "low": 0, "high": 100, "points": 3}, [0, 50, 100]),
        ({"type": "int", "low": 16, "high": 256, "log": True, "points": 5}, [16, 32, 64, 128, 256]),
        ({"type": "int", "low": 1, "high": 4, "log": True}, [1, 2, 3, 4]),
        ({"type": "int", "low": 1, "high": 3, "points": 9}, [1, 2, 3]),
        ({"type": "categorical", "choices": ["sgd", "adam", 3]}, ["sgd", "adam", 3]),
    ],
)
def test_an_axis_holds_the_values_that_its_range_names(dimension: dict[str, Any], values: list[Scalar]) -> None:
    found = axis("x", parse_space({"x": dimension})["x"])  # type: ignore[arg-type]
    assert found == [pytest.approx(value, rel=1e-12) if isinstance(value, float) else value for value in values]
    assert [type(value) for value in found] == [type(value) for value in values]


def test_a_range_without_a_step_or_points_spans_no_grid() -> None:
    space = parse_space({"learning_rate": {"type": "float", "low": 0.1, "high": 1.0}})
    with pytest.raises(GridProblem, match="needs a step, or a number of points") as refused:
        size(space)
    assert refused.value.parameter == "learning_rate"


@given(RANGES)
def test_an_axis_ascends_without_duplicates_between_the_ends_of_its_range(dimension: Range) -> None:
    values = axis("x", dimension)
    assert len(set(values)) == len(values) == size({"x": dimension})
    if not isinstance(dimension, CategoricalRange):
        assert values == sorted(values)  # type: ignore[type-var]
        assert values[0] == dimension.low
        assert all(dimension.low <= value <= dimension.high for value in values)  # type: ignore[operator]
        if dimension.points is not None:
            assert values[-1] == dimension.high


@given(st.dictionaries(st.sampled_from("abc"), ints() | categories(), max_size=3), st.integers(0, 2**63 - 1))
def test_the_grid_lists_as_many_different_points_as_its_size_says(space: dict[str, Any], seed: int) -> None:
    count = size(space)
    if count > 300:
        return
    points = [tuple(sorted(point(space, seed, index).items())) for index in range(count)]
    assert len(set(points)) == count
    assert len(set(points)) == math.prod(len(axis(name, dimension)) for name, dimension in space.items())


@pytest.mark.parametrize(
    "dimension",
    [
        {"type": "int", "low": -(2**53), "high": 2**53},
        {"type": "float", "low": 0.0, "high": 1e300, "step": 1e285},
        {"type": "float", "low": -1e308, "high": 1e308, "step": 1e293},
    ],
)
def test_the_size_of_an_astronomical_grid_is_known_without_listing_it(dimension: dict[str, Any]) -> None:
    assert size(parse_space({"x": dimension})) > 10**14


SPACE = parse_space(
    {
        "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 10},
        "epochs": {"type": "int", "low": 1, "high": 6},
        "momentum": 0.9,
    }
)


def test_the_order_is_a_permutation_drawn_from_the_seed() -> None:
    orders = {seed: [tuple(point(SPACE, seed, index).values()) for index in range(60)] for seed in (1, 2)}
    assert sorted(orders[1]) == sorted(orders[2])
    assert orders[1] != orders[2]
    assert orders[1] != sorted(orders[1])
    assert orders[1] == [tuple(point(SPACE, 1, index).values()) for index in range(60)]


def test_the_order_is_the_same_for_ever() -> None:
    # Workers of different versions share a grid: were the order to change, they would repeat points and leave others out.
    space = parse_space({"a": {"type": "int", "low": 0, "high": 9}, "b": {"type": "int", "low": 0, "high": 9}})
    assert [tuple(point(space, 7, index).values()) for index in range(6)] == GOLDEN


def test_half_of_a_grid_covers_every_value_of_every_parameter() -> None:
    half = [point(SPACE, 3, index) for index in range(30)]
    assert len({p["learning_rate"] for p in half}) == 10
    assert len({p["epochs"] for p in half}) == 6
