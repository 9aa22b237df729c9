"""The learning rates that the optimizer applied, step by step: warm-up, schedule, and what an adaptive rule made of them."""

import math
from collections.abc import Mapping, Sequence

from service.analysis.figures.figure import Figure, evenly, layout, rate_of
from service.analysis.figures.losses import MOST_POINTS
from service.analysis.figures.rate_colors import RateColors
from service.analysis.words.numbers import counted, number
from service.domain.trial import Trial

MOST_LINES = 24
CHANGED = 1.001
"""A rate counts as changed where its largest value is this many times its smallest."""


def schedule_figure(
    trials: Sequence[Trial], applied: Mapping[int, Sequence[tuple[int, float]]], *, step_word: str, rate: str
) -> Figure | None:
    """A line for each trial, coloured as in the figure of losses. applied: pairs of step and rate, by the trials' numbers.

    None where every trial kept its rate: then there is nothing to see.
    """
    found = {
        trial.number: (at, usable)
        for trial in trials
        if (at := rate_of(trial, rate)) is not None
        and (usable := [(step, value) for step, value in applied.get(trial.number, ()) if 0 < value < math.inf])
    }
    if not any(max(value for _, value in points) > CHANGED * min(value for _, value in points) for _, points in found.values()):
        return None
    chosen = evenly(sorted(found.items(), key=lambda each: each[1][0]), MOST_LINES)
    colors = RateColors([at for _, (at, _) in chosen])
    values = [value for _, (_, points) in chosen for _, value in points]
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [step for step, _ in shown],
            "y": [value for _, value in shown],
            "line": {"color": colors.of(at), "width": 1.5},
            "name": f"trial {trial}",
            "hovertemplate": f"trial {trial}, rate {number(at)}<br>%{{x}}: %{{y:.3g}}<extra></extra>",
        }
        for trial, (at, points) in chosen
        for shown in [evenly(points, MOST_POINTS)]
    ]
    left_out = len(found) - len(chosen)
    return Figure(
        name="schedules",
        title=f"applied learning rate by {step_word}",
        text=(
            f"The rate in the last update of each {step_word}, of {counted(len(chosen), 'trial', 'trials')}"
            f"{f' out of {len(found)}' if left_out else ''}: from {number(min(values))} to {number(max(values))}."
            " The parameter learning rate is what a schedule starts from or rises to."
        ),
        data=[*lines, colors.bar()],
        layout=layout(
            {"title": {"text": step_word}, "rangemode": "tozero"},
            {"title": {"text": "applied learning rate"}, "type": "log", "exponentformat": "power"},
            showlegend=False,
        ),
    )
