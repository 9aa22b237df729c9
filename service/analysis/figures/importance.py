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

MOST_BARS = 15
LONGEST = 22
"""Characters of a bar's label: more would leave its bar no room on a phone."""
ROW, AROUND = 26, 84
"""Pixels that a bar takes, and the axis with the legend."""
MANY = 8
"""Bars above which the figure grows."""
MOST_NAMED = 4
"""Of the other parameters, with their values."""
NEGLIGIBLE = 0.02
"""A parameter that explains less than this, with all its interactions, has no map: it would show the response curve again."""

# From good to bad, by lightness.
SCALE: list[tuple[float, str]] = [
    (0.0, "rgb(228,199,41)"),
    (0.25, "rgb(106,196,88)"),
    (0.5, "rgb(32,158,138)"),
    (1.0, "rgb(82,74,163)"),
]


def importance_figure(answer: Answer) -> Figure | None:
    """A bar for each searched parameter, or for the most important ones; None where the rate alone is searched."""
    found = answer.importance[:MOST_BARS]
    if not found:
        return None
    first = found[0]
    n = len(answer.importance)
    left_out = f" The {MOST_BARS} most important of {n} are drawn." if n > MOST_BARS else ""
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
            f" space searched, and {first.total:.0%} with its interactions (Sobol' indices of the response surface).{left_out}"
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
            {"title": {"text": "variance, %"}, "range": [0, 100]},
            {"type": "category", "tickvals": names, "ticktext": _labels(names)},
            barmode="stack",
            **({"height": AROUND + ROW * len(names)} if len(names) > MANY else {}),
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        ),
    )


def _labels(names: Sequence[str]) -> list[str]:
    """Long names without their middle, which is where those of layers are most alike, as short as they still differ."""
    for length in range(LONGEST, max(map(len, names))):
        labels = [_shortened(name, length) for name in names]
        if len(set(labels)) == len(labels):
            return labels
    return list(names)


def _shortened(name: str, length: int) -> str:
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[: length - 1 - half]}…{name[-half:]}"


def interaction_figure(
    found: Interaction | None, trials: Sequence[Trial], *, answer: Answer, rate: str, sign: float
) -> Figure | None:
    """A heat map, with the trials on it. sign: 1 where lower is better, else -1.

    None where nothing is known, and where the parameter beside the rate hardly matters.
    """
    matters = {each.parameter: each.total for each in answer.importance}
    if found is None or answer.learning_rate is None or matters.get(found.parameter, 0.0) < NEGLIGIBLE:
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
    return Figure(
        name="interaction",
        title=f"{answer.metric} by learning rate and {found.parameter}",
        text=(
            f"The expected {answer.metric}{_beside(answer, found.parameter)}: bright is better, best {number(best)};"
            " where nothing is drawn, most trials diverge. The dots are trials."
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


def _beside(answer: Answer, parameter: str) -> str:
    """The values of the other parameters, the most important ones first."""
    place = {each.parameter: at for at, each in enumerate(answer.importance)}
    names = sorted(answer.params.keys() - {parameter}, key=lambda name: (place.get(name, len(place)), name))
    if not names:
        return ""
    named = ", ".join(f"{name}={number(answer.params[name])}" for name in names[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f", with {named}{f' and {more} more' if more > 0 else ''}"


def _clipped(value: float | None, ends: tuple[float, float]) -> float | None:
    return None if value is None or not math.isfinite(value) else clipped(value, ends)


def _ticks(known: Sequence[float], is_log: bool) -> dict[str, Any]:
    """Marks of the colour bar, in the metric's units."""
    if not is_log:
        return {}
    low, high = math.log10(min(known)), math.log10(max(known))
    places = [low + (high - low) * part / 4 for part in range(5)]
    return {"tickvals": places, "ticktext": [f"{10**place:.2g}" for place in places]}
