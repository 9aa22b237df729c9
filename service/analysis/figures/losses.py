"""Learning curves of a job's trials, coloured by learning rate: too slow at one end, diverged at the other, best in between."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.analysis.figures.figure import VERMILION, Figure, evenly, layout, rate_of
from service.analysis.figures.metric_axis import scale_of
from service.analysis.figures.rate_colors import RateColors
from service.analysis.words.numbers import counted, number
from service.domain.measurement import CurvePoint
from service.domain.trial import Trial, TrialState

MOST_CURVES = 120
"""Curves that are drawn: more cannot be told apart."""
MOST_POINTS = 120
"""Of a curve."""


def drawn_trials(trials: Sequence[Trial], rate: str, best: int | None = None) -> list[Trial]:
    """The trials whose curves are drawn: only theirs need be known. Evenly by their rate, and the best one.

    rate: the parameter's name. best: the trial's number.
    """
    with_rate = [(at, trial) for trial in trials if (at := rate_of(trial, rate)) is not None]
    drawn = [trial for _, trial in evenly(sorted(with_rate, key=lambda each: each[0]), MOST_CURVES)]
    return drawn + [trial for _, trial in with_rate if trial.number == best and trial not in drawn]


def loss_figure(
    trials: Sequence[Trial],
    curves: Mapping[int, Sequence[CurvePoint]],
    *,
    metric: str,
    step_word: str,
    rate: str,
    sign: float,
    best: int | None = None,
) -> Figure | None:
    """The metric by step, a line for each of `drawn_trials`. None while none has two points.

    curves: by the trials' numbers. sign: 1 where lower is better, else -1. best: the best trial's number, whose line is thick.
    """
    chosen = [trial for trial in drawn_trials(trials, rate, best) if len(curves.get(trial.number, ())) > 1]
    if not chosen:
        return None
    rates = {trial.number: float(trial.params[rate]) for trial in chosen}
    colors = RateColors(list(rates.values()))
    lines = [_line(trial, curves[trial.number], rates[trial.number], colors, is_best=trial.number == best) for trial in chosen]
    values = [value for line in lines for value in line["y"] if value is not None]
    if not values:
        return None
    left_out = max(0, sum(rate_of(trial, rate) is not None for trial in trials) - MOST_CURVES)
    return Figure(
        name="losses",
        title=f"{metric} by {step_word}",
        text=_text(chosen, left_out, metric, colors, best),
        data=[*lines, colors.bar()],
        layout=layout(
            {"title": {"text": step_word}, "rangemode": "tozero"},
            {"title": {"text": metric}, "type": scale_of(values, sign)},
            showlegend=False,
        ),
    )


def _line(trial: Trial, curve: Sequence[CurvePoint], rate: float, colors: RateColors, *, is_best: bool) -> dict[str, Any]:
    points = evenly(curve, MOST_POINTS)
    has_diverged = trial.state is TrialState.INFEASIBLE
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [point.step for point in points],
        "y": [point.value if math.isfinite(point.value) else None for point in points],
        "line": {
            "color": VERMILION if has_diverged else colors.of(rate),
            "width": 4 if is_best else 1.5,
            "dash": "dot" if has_diverged else "solid",
        },
        "name": f"trial {trial.number}",
        "hovertemplate": f"trial {trial.number}, rate {number(rate)}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
    }


def _text(trials: Sequence[Trial], left_out: int, metric: str, colors: RateColors, best: int | None) -> str:
    n_diverged = sum(trial.state is TrialState.INFEASIBLE for trial in trials)
    said = f"{counted(len(trials), 'trial', 'trials')} at rates from {number(colors.low)}, dark, to {number(colors.high)}, bright"
    said += f"; {n_diverged} diverged, dotted" if n_diverged else ""
    said += f"; the thick line is the best trial, {best}" if any(trial.number == best for trial in trials) else ""
    said += f"; {left_out} between them are left out" if left_out else ""
    return f"{metric} while training: {said}."
