"""Learning curves of a job's trials, coloured by learning rate: too slow at one end, diverged at the other, best in between."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.analysis.figures.figure import VERMILION, Figure, layout, rate_of, scale_of
from service.analysis.words.numbers import counted, number
from service.domain.measurement import CurvePoint
from service.domain.trial import Trial, TrialState

MOST_CURVES = 120
"""Curves that are drawn: more cannot be told apart."""
MOST_POINTS = 120
"""Of a curve."""


def loss_figure(
    trials: Sequence[Trial], curves: Mapping[int, Sequence[CurvePoint]], *, metric: str, step_word: str, rate: str
) -> Figure | None:
    """The metric by step, a line for each trial. curves: by the trials' numbers. None while none has two points."""
    rates = {trial.number: at for trial in trials if (at := rate_of(trial, rate)) is not None}
    drawn = [trial for trial in trials if trial.number in rates and len(curves.get(trial.number, ())) > 1]
    if not drawn:
        return None
    chosen = _evenly(sorted(drawn, key=lambda trial: rates[trial.number]), MOST_CURVES)
    low, high = (math.log10(end(rates[trial.number] for trial in chosen)) for end in (min, max))
    lines = [_line(trial, curves[trial.number], rates[trial.number], low, high) for trial in chosen]
    values = [value for line in lines for value in line["y"] if value is not None]
    if not values:
        return None
    left_out = len(drawn) - len(chosen)
    return Figure(
        name="losses",
        title=f"{metric} by {step_word}",
        text=_text(chosen, left_out, metric, 10**low, 10**high),
        data=[*lines, _color_bar(low, high)],
        layout=layout(
            {"title": {"text": step_word}, "rangemode": "tozero"},
            {"title": {"text": metric}, "type": scale_of(values)},
            showlegend=False,
        ),
    )


def _line(trial: Trial, curve: Sequence[CurvePoint], rate: float, low: float, high: float) -> dict[str, Any]:
    points = _evenly(curve, MOST_POINTS)
    has_diverged = trial.state is TrialState.INFEASIBLE
    share = (math.log10(rate) - low) / (high - low) if high > low else 0.5
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [point.step for point in points],
        "y": [point.value if math.isfinite(point.value) else None for point in points],
        "line": {"color": VERMILION if has_diverged else _color(share), "width": 1.5, "dash": "dot" if has_diverged else "solid"},
        "name": f"trial {trial.number}",
        "hovertemplate": f"trial {trial.number}, rate {number(rate)}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
    }


def _color_bar(low: float, high: float) -> dict[str, Any]:
    """A trace without a point, which shows what the colours of the lines mean."""
    ticks = [float(tick) for tick in range(math.ceil(low), math.floor(high) + 1)] or [low]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [None],
        "y": [None],
        "hoverinfo": "skip",
        "marker": {
            "color": [low],
            "cmin": low,
            "cmax": high,
            "colorscale": [[share / 8, _color(share / 8)] for share in range(9)],
            "showscale": True,
            "colorbar": {
                "title": {"text": "learning rate"},
                "tickvals": ticks,
                "ticktext": [number(10**tick) for tick in ticks],
                "thickness": 12,
            },
        },
    }


_DARK, _MIDDLE, _LIGHT = (0, 62, 122), (124, 123, 120), (246, 214, 68)


def _color(share: float) -> str:
    """Between blue and yellow by lightness, as Cividis."""
    first, last, at = (_DARK, _MIDDLE, 2 * share) if share < 0.5 else (_MIDDLE, _LIGHT, 2 * share - 1)
    return "rgb(" + ",".join(str(round(a + (b - a) * at)) for a, b in zip(first, last, strict=True)) + ")"


def _evenly(values: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the values, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def _text(trials: Sequence[Trial], left_out: int, metric: str, low: float, high: float) -> str:
    n_diverged = sum(trial.state is TrialState.INFEASIBLE for trial in trials)
    said = f"{counted(len(trials), 'trial', 'trials')} at rates from {number(low)}, dark, to {number(high)}, bright"
    said += f"; {n_diverged} diverged, dotted" if n_diverged else ""
    said += f"; {left_out} between them are left out" if left_out else ""
    return f"{metric} while training: {said}."
