"""Recipes compared: their response curves on one pair of axes, and what each expects at its own best rate."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.analysis.figures.figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
    Figure,
    layout,
    rate_axis,
)
from service.analysis.figures.metric_axis import height_range, scale_of
from service.analysis.words.numbers import number
from service.analysis.words.ranges import estimate
from service.domain.answer import EstimateView
from service.domain.comparison import ComparisonView, JudgedView

COLORS = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, GREY)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross")
DASHES = ("solid", "dash", "dot", "dashdot")
"""Together with the colours more than there may be jobs in a comparison."""
MOST_BANDS = 3
"""Intervals of curves that are drawn: more cover each other."""
LONGEST = 48
"""Characters of a label in a figure."""
APART = 3.0
"""A factor between best rates from which on it is said."""
MANY = 4
"""Jobs above which a figure grows, so that their legend leaves it room on a phone too."""


@dataclass(frozen=True)
class Line:
    """How a job is drawn, wherever it is."""

    color: str
    symbol: str
    dash: str


def line_of(place: int) -> Line:
    """How the job at a place of the comparison's jobs is drawn."""
    kind = place % len(COLORS)
    return Line(color=COLORS[kind], symbol=SYMBOLS[kind], dash=DASHES[place // len(COLORS) % len(DASHES)])


def curves_figure(compared: ComparisonView) -> Figure | None:
    """The response curve of each job that is judged, with its best rate. None where no rate can be drawn."""
    drawn = [(place, each) for place, each in enumerate(compared.jobs) if each.learning_rate is not None and each.curve]
    names = _names(compared.jobs)
    data = [trace for place, each in drawn for trace in _curve(each, line_of(place), names[each.job], len(drawn) <= MOST_BANDS)]
    rates = [rate for trace in data for rate in trace["x"]]
    if not rates:
        return None
    level = [
        (place, each, each.expected)
        for place, each in enumerate(compared.jobs)
        if not each.curve and each.expected is not None and _is_finite(each.expected)
    ]
    data += [_level(expected, line_of(place), names[each.job], (min(rates), max(rates))) for place, each, expected in level]
    heights = [*(point.mean for _, each in drawn for point in each.curve), *(expected.mean for _, _, expected in level)]
    sign = 1 if compared.direction == "minimize" else -1
    kind = scale_of(heights, sign)
    ends = height_range(heights, kind, low_is_bad=sign < 0, high_is_bad=sign > 0)
    shared = compared.at_shared_rate
    at = [] if shared is None else [{"x0": shared.learning_rate, "x1": shared.learning_rate}]
    dotted = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": GREY, "width": 2, "dash": "dot"}}
    return Figure(
        name="curves",
        title=f"{compared.metric} by learning rate",
        text=_curves_text(compared, [each for _, each in drawn], has_bands=len(drawn) <= MOST_BANDS, has_levels=bool(level)),
        data=data,
        layout=layout(
            rate_axis([*rates, *([] if shared is None else [shared.learning_rate])]),
            {"title": {"text": compared.metric}, "type": kind, **ends},
            shapes=[{**dotted, **each} for each in at],
            **({"height": 384 + 22 * n_lines} if (n_lines := len(drawn) + len(level)) > MANY else {}),
        ),
    )


def best_values_figure(compared: ComparisonView) -> Figure | None:
    """A forest plot: the metric that each judged job expects at its own best rate, with its interval, the best on top."""
    names = _names(compared.jobs)
    found = [
        (each.expected, line_of(place), names[each.job])
        for place, each in enumerate(compared.jobs)
        if each.expected is not None and _is_finite(each.expected)
    ]
    if not found:
        return None
    sign = 1 if compared.direction == "minimize" else -1
    found.sort(key=lambda each: sign * each[0].mean)
    heights = list(reversed(range(len(found))))
    ends = [end for expected, _, _ in found for end in (expected.low, expected.mean, expected.high)]
    better = "lower" if sign == 1 else "higher"
    return Figure(
        name="best-values",
        title=f"{compared.metric} at each recipe's own best rate",
        text=(
            f"What to expect of each at its own best learning rate, with its 90% interval; {better} is better. Whether a"
            " difference is more than chance is said above: it can be certain where intervals overlap."
        ),
        data=[_interval(expected, line, name, y) for (expected, line, name), y in zip(found, heights, strict=True)],
        layout=layout(
            {"title": {"text": compared.metric}, "type": scale_of(ends, sign)},
            {"range": [-0.6, len(found) - 0.2], "visible": False, "fixedrange": True},
            annotations=[
                {
                    **{"text": name, "showarrow": False, "align": "left"},
                    **{"xref": "paper", "x": 0, "xanchor": "left", "y": y, "yanchor": "bottom", "yshift": 7},
                }
                for (_, _, name), y in zip(found, heights, strict=True)
            ],
            showlegend=False,
            height=76 + 52 * len(found),
        ),
    )


def _curve(each: JudgedView, line: Line, name: str, has_band: bool) -> Iterator[dict[str, Any]]:
    points = [point for point in each.curve if all(map(math.isfinite, (point.mean, point.low, point.high)))]
    x = [point.learning_rate for point in points]
    shared = {"type": "scatter", "legendgroup": str(each.job), "name": name}
    if has_band:
        edge = {**shared, "x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        yield {**edge, "y": [point.low for point in points]}
        yield {**edge, "y": [point.high for point in points], "fill": "tonexty", "fillcolor": _faint(line.color)}
    hover = "%{x:.3g}: %{y:.4g}<extra>%{fullData.name}</extra>"
    drawn = {"color": line.color, "width": 2.5, "dash": line.dash}
    yield {**shared, "x": x, "y": [point.mean for point in points], "mode": "lines", "line": drawn, "hovertemplate": hover}
    rate, expected = each.learning_rate, each.expected
    if rate is not None and expected is not None and _is_finite(rate) and _is_finite(expected):
        yield {
            **shared,
            **{"x": [rate.mean], "y": [expected.mean], "mode": "markers", "showlegend": False},
            "error_x": _error(rate, line.color),
            "marker": {"color": line.color, "symbol": line.symbol, "size": 11},
            "hovertemplate": f"best rate {estimate(rate)}<extra>%{{fullData.name}}</extra>",
        }


def _level(expected: EstimateView, line: Line, name: str, ends: tuple[float, float]) -> dict[str, Any]:
    return {
        **{"type": "scatter", "mode": "lines", "name": name, "x": list(ends), "y": [expected.mean] * 2},
        "line": {"color": line.color, "width": 2.5, "dash": line.dash},
        "hovertemplate": f"{estimate(expected)}<extra>%{{fullData.name}}</extra>",
    }


def _interval(expected: EstimateView, line: Line, name: str, y: int) -> dict[str, Any]:
    return {
        **{"type": "scatter", "mode": "markers", "name": name, "x": [expected.mean], "y": [y]},
        "error_x": _error(expected, line.color),
        "marker": {"color": line.color, "symbol": line.symbol, "size": 11},
        "hovertemplate": f"{estimate(expected)}<extra>%{{fullData.name}}</extra>",
    }


def _error(of: EstimateView, color: str) -> dict[str, Any]:
    above, below = max(0.0, of.high - of.mean), max(0.0, of.mean - of.low)
    return {"type": "data", "symmetric": False, "array": [above], "arrayminus": [below], "color": color, "thickness": 2}


def _curves_text(compared: ComparisonView, drawn: Sequence[JudgedView], *, has_bands: bool, has_levels: bool) -> str:
    said = (
        f"The {compared.metric} to expect of each recipe by learning rate, its other parameters at their best; the mark is its"
        " best rate, with 90% of where that may lie"
    )
    said += ", and the area 90% of where the curve may lie." if has_bands else "."
    rates = [(each.learning_rate.mean, each.label) for each in drawn if each.learning_rate is not None]
    (low, lowest), (high, highest) = min(rates), max(rates)
    if high > APART * low:
        apart = f"{float(f'{high / low:.2g}'):,g}"
        said += f" The best rates lie a factor of {apart} apart: {low:.3g} for {lowest}, {high:.3g} for {highest}."
    if has_levels:
        said += " A level line is what to expect of a recipe that searched no learning rate."
    if compared.at_shared_rate is not None:
        said += f" The dotted line is the shared rate of {number(compared.at_shared_rate.learning_rate)}."
    return said


def _names(jobs: Sequence[JudgedView]) -> Mapping[UUID, str]:
    """Labels that are short enough for a figure, and still differ."""
    labels = [" ".join(each.label.split()) for each in jobs]
    short = [label if len(label) <= LONGEST else label[: LONGEST - 1] + "…" for label in labels]
    if len(set(short)) < len(short):
        short = [f"job {str(each.job)[:8]}" for each in jobs]
    return {each.job: name for each, name in zip(jobs, short, strict=True)}


def _is_finite(of: EstimateView) -> bool:
    return all(map(math.isfinite, (of.mean, of.low, of.high)))


def _faint(color: str) -> str:
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
