"""Figures of recipes that are compared."""

import html
import json
import math
import re
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]
import pytest

from service.analysis.comparison.comparison import MOST_JOBS, compare
from service.analysis.figures.figure import Figure
from service.analysis.figures.recipes import best_values_figure, curves_figure, line_of
from service.domain.answer import EstimateView
from service.domain.comparison import ComparisonView
from tests.finished_jobs import a_job, bowl, finished

MARKUP = "<b>%{x}</b> & more"


def compared(n: int = 2, rate: float | None = None, **overrides: Any) -> ComparisonView:
    """So many recipes; the best rate of each is ten times that of the one before, and its lowest loss 0.1 higher."""
    jobs = [a_job(number, name=f"{number} {MARKUP}", **overrides) for number in range(n)]
    costs = [bowl(best=10 ** (number - 4), lowest=0.1 * (number + 1)) for number in range(n)]
    return compare([finished(job, cost) for job, cost in zip(jobs, costs, strict=True)], rate)


def check(figure: Figure | None) -> Figure:
    """Plotly's library raises where a figure has a property that there is not."""
    assert figure is not None
    go.Figure(figure.to_json(), skip_invalid=False)
    assert json.dumps(figure.to_json(), allow_nan=False)
    assert figure.text.endswith(".")
    return figure


def test_each_recipe_has_a_curve_and_its_best_rate_on_it() -> None:
    figure = check(curves_figure(compared(rate=0.01)))
    marks = [trace for trace in figure.data if trace["mode"] == "markers"]
    assert [mark["x"][0] for mark in marks] == pytest.approx([1e-4, 1e-3], rel=0.1)
    assert [mark["y"][0] for mark in marks] == pytest.approx([0.1, 0.2], abs=0.02)
    curves = [trace for trace in figure.data if "hovertemplate" in trace and trace["mode"] == "lines"]
    for curve, mark in zip(curves, marks, strict=True):
        lowest = min(range(len(curve["y"])), key=lambda place: curve["y"][place])
        assert abs(math.log10(curve["x"][lowest] / mark["x"][0])) < 0.2, "the mark is at the lowest place of its curve"
    assert re.search(r"a factor of (9\.\d|10) apart", figure.text)
    assert "The dotted line is the shared rate of 0.01." in figure.text
    assert [shape["x0"] for shape in figure.layout["shapes"]] == [0.01]
    assert (figure.layout["xaxis"]["type"], figure.layout["yaxis"]["type"]) == ("log", "log")


def test_areas_are_drawn_for_few_recipes_alone() -> None:
    assert any("fill" in trace for trace in check(curves_figure(compared(2))).data)
    many = check(curves_figure(compared(4)))
    assert not any("fill" in trace for trace in many.data)
    assert "area" not in many.text


def test_names_are_shown_to_the_letter() -> None:
    found = compared()
    for figure in (check(curves_figure(found)), check(best_values_figure(found))):
        names = {trace["name"] for trace in figure.to_json()["data"]}
        assert {html.unescape(name) for name in names} == {f"{number} {MARKUP}" for number in range(2)}
        assert not any("<" in name for name in names)


def test_long_names_are_cut_as_long_as_they_differ() -> None:
    def names(*labels: str) -> list[str]:
        found = compared()
        jobs = tuple(each.model_copy(update={"label": label}) for each, label in zip(found.jobs, labels, strict=True))
        figure = check(best_values_figure(found.model_copy(update={"jobs": jobs})))
        return [trace["name"] for trace in figure.data]

    assert names("a" * 99, "b" * 99) == ["a" * 47 + "…", "b" * 47 + "…"]
    assert names("a" * 99 + "1", "a" * 99 + "2") == ["job 00000001", "job 00000002"]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_best_value_is_on_top(direction: str) -> None:
    figure = check(best_values_figure(compared(3, direction=direction)))
    on_top = max(figure.data, key=lambda trace: trace["y"][0])
    assert on_top["name"].startswith("0 ")
    assert ("lower" if direction == "minimize" else "higher") + " is better" in figure.text


def test_what_is_not_known_is_not_drawn() -> None:
    found = compared(3)
    unknown = {"expected": EstimateView(mean=math.nan, low=math.nan, high=math.inf)}
    nothing = {"expected": None, "learning_rate": None, "curve": ()}
    jobs = (found.jobs[0].model_copy(update=unknown), found.jobs[1].model_copy(update=nothing), found.jobs[2])
    some = found.model_copy(update={"jobs": jobs})
    assert len(check(best_values_figure(some)).data) == 1
    assert len([trace for trace in check(curves_figure(some)).data if trace["mode"] == "markers"]) == 1
    none = found.model_copy(update={"jobs": (jobs[1],)})
    assert (curves_figure(none), best_values_figure(none)) == (None, None)


def test_each_of_as_many_jobs_as_there_may_be_has_a_line_of_its_own() -> None:
    assert len({line_of(place) for place in range(MOST_JOBS)}) == MOST_JOBS
