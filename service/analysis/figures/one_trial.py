"""One trial, step by step: what was measured, and the rates that the optimizer applied."""

import math
from collections.abc import Sequence
from typing import Any

from service.analysis.figures.figure import BLUE, ORANGE, VERMILION, Figure, layout
from service.analysis.figures.metric_axis import scale_of
from service.analysis.words.numbers import counted, number
from service.domain.measurement import Measurement

LOSSES = ("training_loss", "validation_loss")
"""Beside the job's metric, where that is one of them: they are on one scale."""
COLORS = (BLUE, ORANGE, "#009E73", "#CC79A7", VERMILION, "#56B4E9")
DASHES = ("solid", "dash", "dot")


def metrics_figure(measured: Sequence[Measurement], *, metric: str, step_word: str, sign: float) -> Figure | None:
    """Every metric that was measured, the job's first; the others, which have scales of their own, are shown on demand.

    sign: 1 where lower values of the job's metric are better, else -1. None before the first step.
    """
    names = sorted({name for each in measured for name in each.metrics}, key=lambda name: (name != metric, name))
    if not names:
        return None
    shown = {metric, *LOSSES} if metric in LOSSES else {metric}
    lines = [
        _line(name, [(each.step, each.metrics.get(name, math.nan)) for each in measured], place)
        | ({} if name in shown else {"visible": "legendonly"})
        for place, name in enumerate(names)
    ]
    values = [value for name, line in zip(names, lines, strict=True) if name in shown for value in line["y"] if value is not None]
    last = measured[-1]
    said = ", ".join(f"{name} {number(float(last.metrics[name]))}" for name in names if name in shown and name in last.metrics)
    hidden = len(names) - len(shown.intersection(names))
    return Figure(
        name="metrics",
        title=f"{metric} by {step_word}",
        text=f"After {step_word} {last.step}: {said or 'nothing measured'}."
        + (f" {counted(hidden, 'further metric', 'further metrics')}: click a name in the legend to draw it." if hidden else ""),
        data=lines,
        layout=layout(
            {"title": {"text": step_word}, "rangemode": "tozero"},
            {"title": {"text": metric if len(shown) == 1 else "loss"}, "type": scale_of(values, sign)},
        ),
    )


def rates_figure(measured: Sequence[Measurement], *, step_word: str) -> Figure | None:
    """The applied learning rate, a line for each parameter group where there are several. None before the first step.

    The axis is logarithmic and spans a decade at least: a rate that never changes is a line in its middle.
    """
    groups = {rate.group: None for each in measured for rate in each.group_rates}
    if len(groups) > 1:
        named = [
            (group, [(each.step, rate.learning_rate) for each in measured for rate in each.group_rates if rate.group == group])
            for group in groups
        ]
    else:
        named = [("applied learning rate", [(each.step, each.learning_rate) for each in measured])]
    drawn = [(name, [(step, value if 0 < value < math.inf else math.nan) for step, value in pairs]) for name, pairs in named]
    values = [value for _, pairs in drawn for _, value in pairs if value > 0]
    if not values:
        return None
    first, last = math.log10(min(values)), math.log10(max(values))
    room = max(0.05 * (last - first), (1 - (last - first)) / 2)
    of = "" if len(groups) < 2 else f" in {len(groups)} parameter groups"
    said = f"from {number(min(values))} to {number(max(values))}" if max(values) > min(values) else number(values[0])
    n_zero = sum(value == 0 for _, pairs in named for _, value in pairs)
    zero = f" {counted(n_zero, 'rate of 0 is', 'rates of 0 are')} not drawn." if n_zero else ""
    return Figure(
        name="rates",
        title=f"applied learning rate by {step_word}",
        text=f"The rate in the last update of each {step_word}{of}: {said}.{zero}",
        data=[_line(name, pairs, place) for place, (name, pairs) in enumerate(drawn)],
        layout=layout(
            {"title": {"text": step_word}, "rangemode": "tozero"},
            {
                **{"title": {"text": "applied learning rate"}, "type": "log", "exponentformat": "power"},
                "range": [first - room, last + room],
            },
            showlegend=len(groups) > 1,
        ),
    )


def _line(name: str, pairs: Sequence[tuple[int, float]], place: int) -> dict[str, Any]:
    """place: among the lines of its figure, which gives colour and dash."""
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(pairs) < 30 else "lines",
        "name": name,
        "x": [step for step, _ in pairs],
        "y": [value if math.isfinite(value) else None for _, value in pairs],
        "line": {"color": COLORS[place % len(COLORS)], "width": 2, "dash": DASHES[place // len(COLORS) % len(DASHES)]},
        "hovertemplate": "%{x}: %{y:.4g}",
    }
