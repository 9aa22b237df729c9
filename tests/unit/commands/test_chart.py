from typing import Any

import pytest

from service.commands.chart import PLAIN, PRETTY, chart
from service.domain.answer import Answer
from tests.unit.commands.answers import LITTLE_KNOWN


def document(means: list[float], low: float = -4, high: float = 0, **overrides: Any) -> dict[str, Any]:
    rates = [10 ** (low + (high - low) * index / (len(means) - 1)) for index in range(len(means))]
    curve = [
        {"learning_rate": rate, "mean": mean, "low": mean - 0.1, "high": mean + 0.1}
        for rate, mean in zip(rates, means, strict=True)
    ]
    found = {"curve": curve, "learning_rate": rates[means.index(min(means))], "safe_range": range_(rates[1], rates[-2])}
    return found | overrides


def range_(low: float, high: float) -> dict[str, float]:
    return {"tolerance": 0.1, "low": low, "high": high}


def answer(means: list[float], low: float = -4, high: float = 0, **overrides: Any) -> Answer:
    return parsed(document(means, low, high, **overrides))


def parsed(found: dict[str, Any]) -> Answer:
    return Answer.model_validate(LITTLE_KNOWN | found)


def test_the_lowest_value_lies_at_the_bottom_above_the_best_rate() -> None:
    lines = chart(answer([2.0, 1.0, 0.5, 1.0, 2.0]), 60, PRETTY)
    heights = [line.find(PRETTY.curve) for line in lines]
    assert heights[0] >= 0
    bottom = lines[8]
    best = lines[9].index(PRETTY.best)
    assert bottom[best] == PRETTY.curve
    assert lines[0].startswith("  2 |")
    assert bottom.startswith("0.5 |")


def test_the_axis_shows_safe_range_and_powers_of_ten() -> None:
    lines = chart(answer([2.0, 1.0, 0.5, 1.0, 2.0]), 60, PLAIN)
    assert PLAIN.safe * 10 in lines[9]
    assert lines[9].count(PLAIN.best) == 1
    assert lines[10].split() == ["0.0001", "0.001", "0.01", "0.1", "1"]
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_it_is_no_wider_than_the_terminal_or_than_is_readable(width: int) -> None:
    assert all(len(line) <= max(width, 40) for line in chart(answer([2.0, 1.0, 0.5, 1.0, 2.0]), width, PRETTY))


def test_a_valley_far_below_the_rest_is_drawn_by_its_logarithm() -> None:
    lines = chart(answer([1000.0, 10.0, 1.0, 10.0, 1000.0]), 60, PRETTY)
    rows = [index for index, line in enumerate(lines[:9]) if PRETTY.curve in line]
    assert len(rows) > 5


def test_a_metric_to_be_maximized_peaks() -> None:
    lines = chart(answer([0.2, 0.6, 0.9, 0.6, 0.2], learning_rate=0.01), 60, PRETTY)
    assert lines[0].index(PRETTY.curve) <= lines[9].index(PRETTY.best) <= lines[0].rindex(PRETTY.curve)


@pytest.mark.parametrize("means", [[0.5, 0.5, 0.5], [0.0, 0.0], [-1.0, -2.0, -1.0]])
def test_flat_and_negative_curves_are_no_error(means: list[float]) -> None:
    found = answer(means, safe_range=range_(1e-4, 1.0), learning_rate=0.01)
    assert len(chart(found, 60, PRETTY)) == 11


def test_a_range_within_one_power_of_ten_names_its_ends() -> None:
    assert chart(answer([2.0, 1.0, 2.0], low=-1.9, high=-1.1), 60, PRETTY)[10].split() == ["0.013", "0.079"]


def test_without_a_curve_there_is_no_chart() -> None:
    assert chart(parsed({"curve": []}), 60, PRETTY) == []


def test_without_a_safe_range_or_a_rate_the_axis_shows_none() -> None:
    lines = chart(answer([2.0, 1.0, 0.5, 1.0, 2.0], safe_range=None, learning_rate=None), 60, PLAIN)
    assert len(lines) == 11
    assert not {PLAIN.safe, PLAIN.best} & set(lines[9])


def test_a_place_whose_interval_is_not_finite_is_left_out() -> None:
    found = document([2.0, 1.0, 0.5, 1.0, 2.0])
    found["curve"][0]["high"] = None
    assert chart(parsed(found), 60, PLAIN)[10].split() == ["0.001", "0.01", "0.1", "1"]
