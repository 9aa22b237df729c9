"""The response curve: the metric by learning rate, with the trials on it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.analysis.figures.figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    TOP,
    VERMILION,
    Figure,
    along_the_top,
    layout,
    rate_axis,
    rate_of,
    thinned,
)
from service.analysis.figures.metric_axis import clipped, height_range, outside, possible, scale_of
from service.analysis.words.numbers import counted, number
from service.domain.answer import Answer
from service.domain.trial import Trial, TrialState

HOVERED = "trial %{text}<br>%{x:.3g}: %{y:.4g}<extra></extra>"


def response_figure(answer: Answer, trials: Sequence[Trial], rate: str, *, sign: float) -> Figure | None:
    """The curve with its 90% interval, the answer's ranges, and the trials, diverged ones along the top.

    rate: of the parameter. sign: 1 where lower is better, else -1. None while no trial has a result.
    """
    by_state = {state: _drawn([trial for trial in trials if trial.state is state], rate) for state in TrialState}
    complete, pruned = by_state[TrialState.COMPLETE], by_state[TrialState.PRUNED]
    diverged = by_state[TrialState.INFEASIBLE]
    rates = [x for x, _, _ in (*complete, *pruned, *diverged)] + [point.learning_rate for point in answer.curve]
    if not rates:
        return None
    low, band, expected = _curve(answer, possible([y for _, y, _ in complete], sign))
    heights = [y for _, y, _ in complete] + expected["y"]
    kind = scale_of(heights, sign)
    ends = height_range(heights, kind, low_is_bad=sign < 0, high_is_bad=sign > 0)
    axis = {"title": {"text": answer.metric}, "type": kind, **ends}
    marks, left_out = thinned(complete)
    data = [
        low,
        band,
        _points("complete", marks, {"color": BLUE, "size": 7, "opacity": 0.75}),
        _points("pruned, at its last value", thinned(pruned)[0], {"color": GREY, "size": 7, "symbol": "line-ns-open"}),
        _diverged(thinned(diverged)[0]),
        expected,  # above the marks, of which there may be many
    ]
    shown = [trace for trace in data if trace["x"]]
    return Figure(
        name="response",
        title=f"{answer.metric} by learning rate",
        text=_text(answer, len(complete), len(pruned), len(diverged))
        + left_out
        + outside([y for _, y, _ in (*complete, *pruned)], axis),
        data=shown,
        layout=layout(
            rate_axis(rates),
            axis,
            yaxis2=along_the_top(),
            shapes=_shapes(answer),
        ),
    )


def _curve(answer: Answer, ends: tuple[float, float]) -> list[dict[str, Any]]:
    """The lower and the upper end of the interval, and the expected metric. ends: of what is possible."""
    points = [point for point in answer.curve if all(map(math.isfinite, (point.mean, point.low, point.high)))]
    x = [point.learning_rate for point in points]
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "legendgroup": "band"}
    return [
        {"type": "scatter", "x": x, "y": [clipped(point.low, ends) for point in points], "showlegend": False, **band},
        {
            "type": "scatter",
            "x": x,
            "y": [clipped(point.high, ends) for point in points],
            "fill": "tonexty",
            "fillcolor": "rgba(230,159,0,0.22)",
            "name": "90% of where the curve may lie",
            **band,
        },
        {
            "type": "scatter",
            "x": x,
            "y": [clipped(point.mean, ends) for point in points],
            "mode": "lines",
            "line": {"color": ORANGE, "width": 2.5},
            "name": "expected",
            "hovertemplate": "%{x:.3g}: %{y:.4g}<extra>expected</extra>",
        },
    ]


def _points(name: str, points: Sequence[tuple[float, float, int]], marker: Mapping[str, Any]) -> dict[str, Any]:
    x, y, numbers = (list(each) for each in zip(*points, strict=True)) if points else ([], [], [])
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": x,
        "y": y,
        "text": numbers,
        "marker": dict(marker),
        "hovertemplate": HOVERED,
    }


def _diverged(points: Sequence[tuple[float, float, int]]) -> dict[str, Any]:
    along_the_top = [(x, TOP, trial) for x, _, trial in points]
    marker = {"color": VERMILION, "size": 9, "symbol": "x"}
    return _points("diverged", along_the_top, marker) | {
        "yaxis": "y2",
        "hovertemplate": "trial %{text} diverged<br>%{x:.3g}<extra></extra>",
    }


def _shapes(answer: Answer) -> list[dict[str, Any]]:
    shapes = []
    if answer.recommends and (safe := answer.safe_range) is not None:
        shapes.append(_from(safe.low, safe.high, GREEN, 0.14))
    if (edge := answer.divergence_edge) is not None:
        shapes.append(_from(edge.low, edge.high, VERMILION, 0.10))
    if answer.recommends:
        at = {"x0": answer.learning_rate, "x1": answer.learning_rate}
        shapes.append({"type": "line", "yref": "paper", "y0": 0, "y1": 1, **at, "line": {"color": GREEN, "width": 2}})
    return shapes


def _from(low: float, high: float, color: str, opacity: float) -> dict[str, Any]:
    shape = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}, "layer": "below"}
    return {**shape, "x0": low, "x1": high, "fillcolor": color, "opacity": opacity}


def _text(answer: Answer, complete: int, pruned: int, diverged: int) -> str:
    parts = [counted(complete, "trial trained to its end", "trials trained to their end")]
    parts += [f"{diverged} diverged, along the top"] if diverged else []
    parts += [f"{pruned} pruned"] if pruned else []
    said = f"Each mark is a trial: {', '.join(parts)}."
    if not answer.recommends:
        return said
    said += f" The green line is the answer, {number(answer.learning_rate)}"
    said += "; the green area is the safe range" if answer.safe_range is not None else ""
    said += "; in the red area trials begin to diverge" if answer.divergence_edge is not None else ""
    return f"{said}." + (" The curve says what to expect at each rate, with these parameters." if answer.curve else "")


def _drawn(trials: Sequence[Trial], rate: str) -> list[tuple[float, float, int]]:
    """Rate, value and number of the trials that can be drawn; the value of a diverged one is infinite."""
    found = []
    for trial in trials:
        at, value = rate_of(trial, rate), math.nan if trial.value is None else trial.value
        if at is not None and (math.isfinite(value) or trial.state is TrialState.INFEASIBLE):
            found.append((at, value, trial.number))
    return found
