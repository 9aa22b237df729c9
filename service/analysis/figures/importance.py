"""How much each parameter matters, and the metric over the rate and the one that matters most beside it."""

import math
from collections.abc import Sequence
from typing import Any

from service.analysis.answer.importance import Interaction
from service.analysis.figures.figure import BLUE, ORANGE, Figure, layout, rate_axis, rate_of
from service.analysis.figures.metric_axis import clipped, possible, scale_of
from service.analysis.words.numbers import number
from service.domain.answer import Answer
from service.domain.trial import Trial, TrialState

# From good to bad, by lightness.
SCALE: list[tuple[float, str]] = [
    (0.0, "rgb(228,199,41)"),
    (0.25, "rgb(106,196,88)"),
    (0.5, "rgb(32,158,138)"),
    (1.0, "rgb(82,74,163)"),
]


def importance_figure(answer: Answer) -> Figure | None:
    """A bar for each searched parameter; None where the rate alone is searched."""
    found = answer.importance
    if not found:
        return None
    first = found[0]
    names = [each.parameter for each in reversed(found)]
    bars = (
        ("by itself", BLUE, [each.alone for each in reversed(found)]),
        ("together with others", ORANGE, [each.total - each.alone for each in reversed(found)]),
    )
    return Figure(
        name="importance",
        title="importance of the parameters",
        text=(
            f"{first.parameter} matters most: by itself it explains {first.alone:.0%} of how {answer.metric} varies over the"
            f" space searched, and {first.total:.0%} with its interactions (Sobol' indices of the response surface)."
        ),
        data=[
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "x": [100 * part for part in parts],
                "y": names,
                "marker": {"color": color},
                "hovertemplate": "%{y}: %{x:.0f}%",
            }
            for name, color, parts in bars
        ],
        layout=layout(
            {"title": {"text": "part of the variance, %"}, "range": [0, 100]},
            {"type": "category"},
            barmode="stack",
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        ),
    )


def interaction_figure(
    found: Interaction | None, trials: Sequence[Trial], *, answer: Answer, rate: str, sign: float
) -> Figure | None:
    """A heat map, with the trials on it. sign: 1 where lower is better, else -1. None where nothing is known."""
    if found is None or answer.learning_rate is None:
        return None
    ends = possible([trial.value for trial in trials if trial.state is TrialState.COMPLETE], sign)
    expected = [[_clipped(value, ends) for value in row] for row in found.expected]
    known = [value for row in expected for value in row if value is not None]
    if not known or min(known) == max(known):
        return None
    is_log = scale_of(known, sign) == "log"
    best = min(known) if sign > 0 else max(known)
    is_category = not all(isinstance(value, int | float) and not isinstance(value, bool) for value in found.values)
    rows: list[Any] = [str(value) for value in found.values] if is_category else list(found.values)
    points = [
        (at, str(value) if is_category else value, trial.number)
        for trial in trials
        if trial.state is TrialState.COMPLETE
        and (at := rate_of(trial, rate)) is not None
        and (value := trial.params.get(found.parameter)) is not None
    ]
    others = {name: value for name, value in answer.params.items() if name != found.parameter}
    beside = f", with {', '.join(f'{name}={number(value)}' for name, value in sorted(others.items()))}" if others else ""
    return Figure(
        name="interaction",
        title=f"{answer.metric} by learning rate and {found.parameter}",
        text=(
            f"The expected {answer.metric}{beside}: bright is better, best {number(best)}; where nothing is drawn, most trials"
            " diverge. The dots are trials."
        ),
        data=[
            {
                "type": "heatmap",
                "x": list(found.rates),
                "y": rows,
                "z": [[math.log10(value) if is_log and value is not None else value for value in row] for row in expected],
                "customdata": expected,
                "colorscale": SCALE if sign > 0 else [(1 - at, color) for at, color in reversed(SCALE)],
                "colorbar": {"title": {"text": answer.metric}, "thickness": 12, **_ticks(known, is_log)},
                "hovertemplate": "%{x:.3g}, %{y}: %{customdata:.4g}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": [x for x, _, _ in points],
                "y": [y for _, y, _ in points],
                "text": [trial for _, _, trial in points],
                "marker": {"color": "#ffffff", "size": 5, "line": {"color": "#000000", "width": 1}},
                "hovertemplate": "trial %{text}<br>%{x:.3g}, %{y}<extra></extra>",
            },
        ],
        layout=layout(
            rate_axis(found.rates),
            {"title": {"text": found.parameter}, "type": "category" if is_category else scale_of(rows)},
            showlegend=False,
        ),
    )


def _clipped(value: float | None, ends: tuple[float, float]) -> float | None:
    return None if value is None or not math.isfinite(value) else clipped(value, ends)


def _ticks(known: Sequence[float], is_log: bool) -> dict[str, Any]:
    """Marks of the colour bar, in the metric's units."""
    if not is_log:
        return {}
    low, high = math.log10(min(known)), math.log10(max(known))
    places = [low + (high - low) * part / 4 for part in range(5)]
    return {"tickvals": places, "ticktext": [f"{10**place:.2g}" for place in places]}
