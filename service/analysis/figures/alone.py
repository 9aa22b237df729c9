"""A figure as one text that stands for itself, as optuna-dashboard keeps it: its sentence is in it, and its colours are fixed."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from service.analysis.figures.figure import Figure, as_text

DIGITS = 4
"""Of each number: half the length, and no difference to the eye."""
TITLE_LINE, LINE = 50, 85
"""Characters."""
INK, PAPER = "#1c1c1c", "#ffffff"


def alone(figure: Figure, title: str, before: str = "") -> str:
    """Plotly's JSON of the figure, with a title and its sentences above it. before: a sentence that is put first."""
    heads = textwrap.wrap(title, TITLE_LINE)
    lines = textwrap.wrap(f"{before} {figure.title}. {figure.text}".strip(), LINE)
    text = "<br>".join(f"<b>{as_text(line)}</b>" for line in heads) + "<br><sup>" + "<br>".join(map(as_text, lines)) + "</sup>"
    shown = figure.to_json()
    layout = {
        **shown["layout"],
        "title": {
            "text": text,
            "x": 0,
            "xanchor": "left",
            "xref": "paper",
            "y": 0.94,
            "yanchor": "top",
            "yref": "container",
            "font": {"size": 15},
        },
        "margin": {"l": 8, "r": 8, "t": 32 + 22 * len(heads) + 18 * len(lines), "b": 95},
        "legend": {"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom", "x": 0},
        "font": {"color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
    }
    for axis in ("xaxis", "yaxis"):
        layout[axis] = {**layout[axis], "gridcolor": "#e4e4e4", "linecolor": INK}
    return json.dumps(_short({"data": shown["data"], "layout": layout}), separators=(",", ":"), allow_nan=False)


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, list | tuple):
        return [_short(each) for each in value]
    return {name: _short(each) for name, each in value.items()} if isinstance(value, Mapping) else value
