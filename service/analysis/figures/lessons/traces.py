"""What the pictures of the lessons are made of: a recorded lesson, lines, and panels above each other."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.analysis.figures.figure import TOP, VERMILION

Recorded = Mapping[str, Any]
"""A lesson's data, as `benchmarks/lessons.py` has recorded them. In a list of losses None is a run that diverged."""
Losses = Sequence[float | None]

UPPER, LOWER = (0.57, 1.0), (0.0, 0.43)
"""The parts of a figure's height that two panels take."""


def line(name: str, x: Sequence[float], y: Losses, color: str, **more: Any) -> dict[str, Any]:
    """A line; None is a gap in it. more: of Plotly's trace."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": color, "width": 2},
        "hovertemplate": f"{name}<br>%{{x:.3g}}: %{{y:.3g}}<extra></extra>",
    } | more


def marks(name: str, x: Sequence[float], y: Sequence[float], color: str, **marker: Any) -> dict[str, Any]:
    """Points."""
    shown = {"mode": "markers", "marker": {"color": color, "size": 8} | marker}
    return line(name, x, y, color) | shown


def diverged(rates: Sequence[float], y: str = "y2") -> dict[str, Any]:
    """Crosses along the top, on the axis `along_the_top`."""
    return marks("diverged", rates, [TOP] * len(rates), VERMILION, symbol="x", size=8) | {
        "yaxis": y,
        "hovertemplate": "diverged at %{x:.3g}<extra></extra>",
    }


def vertical(at: float, color: str, dash: str = "solid") -> dict[str, Any]:
    """A line over the whole height, as a shape of the layout."""
    drawn = {"color": color, "width": 2, "dash": dash}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": drawn}


def power_axis(title: str, **more: Any) -> dict[str, Any]:
    """A logarithmic axis."""
    return {"title": {"text": title}, "type": "log", "exponentformat": "power", "dtick": "D2"} | more


def lowest(x: Sequence[float], losses: Losses) -> tuple[float, float]:
    """Where the losses are lowest, and how low."""
    found = [(loss, at) for at, loss in zip(x, losses, strict=True) if loss is not None]
    loss, at = min(found)
    return at, loss


def rough(value: float) -> str:
    """Two digits, which is what pictures show; more before the point, in place of a power of ten."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def finite_mean(losses: Losses) -> float | None:
    """The mean; None where one diverged."""
    found = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    return sum(found) / len(found) if len(found) == len(losses) else None
