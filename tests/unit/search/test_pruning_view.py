import math
import sys

from hypothesis import given
from hypothesis import strategies as st

from service.domain.measurement import CurvePoint
from service.domain.parts import is_pruning_step, parts_done
from service.search.pruning_view import values_by_part


def curve(values: dict[float | None, float], warmup: float = 0.0) -> list[CurvePoint]:
    """Values by the fraction of the schedule at which they were measured."""
    return [
        CurvePoint(step=step, value=value, fraction=fraction, in_warmup=fraction is not None and fraction <= warmup)
        for step, (fraction, value) in enumerate(values.items(), start=1)
    ]


def test_a_step_is_a_part_of_the_trials_own_schedule() -> None:
    quarters = curve({0.25: 4.0, 0.5: 3.0, 0.75: 2.0, 1.0: 1.0})
    eighths = curve({part / 8: 8.0 - part for part in range(1, 9)})
    assert values_by_part(quarters, 4) == {1: 4.0, 2: 3.0, 3: 2.0, 4: 1.0}
    assert values_by_part(eighths, 4) == {1: 6.0, 2: 4.0, 3: 2.0, 4: 0.0}


def test_the_value_of_a_part_is_the_first_one_measured_at_or_after_its_end() -> None:
    thirds = curve({1 / 3: 3.0, 2 / 3: 2.0, 1.0: 1.0})
    assert values_by_part(thirds, 4) == {1: 3.0, 2: 2.0, 3: 1.0, 4: 1.0}
    assert values_by_part(curve({1.0: 1.0}), 4) == {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0}


def test_a_measurement_before_the_end_of_the_first_part_counts_for_none() -> None:
    assert values_by_part(curve({0.1: 9.0, 0.2: 8.0}), 4) == {}


def test_parts_that_end_inside_warm_up_take_the_first_value_after_it() -> None:
    eighths = {part / 8: 8.0 - part for part in range(1, 9)}
    assert values_by_part(curve(eighths, warmup=0.5), 4) == {1: 3.0, 2: 3.0, 3: 2.0, 4: 0.0}
    assert values_by_part(curve(eighths, warmup=0.3), 4) == {1: 5.0, 2: 4.0, 3: 2.0, 4: 0.0}
    assert values_by_part(curve(eighths, warmup=1.0), 4) == {}


def test_points_of_a_foreign_script_have_no_fraction_and_are_left_out() -> None:
    assert values_by_part(curve({None: 9.0}), 4) == {}


def test_infinite_values_become_the_largest_number_there_is() -> None:
    found = values_by_part(curve({0.25: math.nan, 0.5: math.inf, 1.0: -math.inf}), 4)
    assert math.isnan(found[1])
    assert (found[2], found[3], found[4]) == (sys.float_info.max, -sys.float_info.max, -sys.float_info.max)


@given(steps=st.integers(1, 200), parts=st.integers(2, 20), warmup=st.floats(0, 1))
def test_the_pruner_is_asked_exactly_where_a_part_got_its_value(steps: int, parts: int, warmup: float) -> None:
    fractions = [step / steps for step in range(1, steps + 1)]
    points = curve({fraction: fraction for fraction in fractions}, warmup)
    asked, before = [], 0.0
    for point in points:
        assert point.fraction is not None
        if is_pruning_step(before, point.fraction, point.in_warmup, parts):
            asked.append(point.fraction)
        before = before if point.in_warmup else point.fraction
    values = values_by_part(points, parts)
    assert asked == sorted({value for value in values.values() if value < 1})
    assert all(parts_done(value, parts) >= part for part, value in values.items())
