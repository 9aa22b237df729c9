"""A figure in the form of Plotly's JSON, with the sentence that says what it shows. Plain values: no page and no browser here.

Plotly takes `<b>`, `<a href>` and the like in any text for markup, and names of parameters, choices and metrics are anybody's. So
traces and layouts hold texts as they are, and `Figure.to_json` escapes them all. Only a `hovertemplate` is markup of our own: it
never holds such a name itself, but refers to it, as `%{text}`, `%{y}` or `%{fullData.name}`.

Colours are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/), which people with any kind of colour vision tell
apart. The page that shows a figure sets the colours of text and lines by its theme.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from service.domain.trial import Trial

T = TypeVar("T")
P = TypeVar("P", bound=tuple[Any, ...])

GREEN, ORANGE, VERMILION, PURPLE, GREY = "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#8a8a8a"
BLUE = "#2a8fd8"
"""Between their blue and their sky blue: these are hard to see on a dark page and on a light one."""
TEMPLATE = "hovertemplate"
"""The one property whose text is markup."""
TOP = 0.97
"""Of the height, where trials that diverged are drawn."""
MOST_MARKS = 1_500
"""Of trials in one figure: more cannot be told apart, and take a browser seconds."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure, and its text for people who do not see it."""

    name: str
    """Unique on its page."""
    title: str
    text: str
    """What it shows, as sentences."""
    data: Sequence[Mapping[str, Any]]
    """Plotly's traces."""
    layout: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """What Plotly.newPlot takes."""
        shown: dict[str, Any] = _escaped({"data": self.data, "layout": self.layout})
        return shown


def as_text(text: str) -> str:
    """A text as Plotly shows it to the letter."""
    return html.escape(text, quote=False)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, Mapping):
        return {key: each if key == TEMPLATE else _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list | tuple) else value


def layout(x: Mapping[str, Any], y: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A layout without a frame, with room for the axis titles only."""
    return {
        "xaxis": {"automargin": True, **x},
        "yaxis": {"automargin": True, **y},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},  # else it cuts names after 15 characters, in the middle of an escaped one
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        **more,
    }


def along_the_top() -> dict[str, Any]:
    """A second vertical axis, from 0 to 1, for marks at TOP."""
    return {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}


def rate_axis(rates: Sequence[float]) -> dict[str, Any]:
    """The logarithmic axis of learning rates that shows these, with a little room. Plotly takes its ends as logarithms."""
    first, last = math.log10(min(rates)), math.log10(max(rates))
    room = max(0.02 * (last - first), 0.02)
    ends = [first - room, last + room]
    return {"title": {"text": "learning rate"}, "type": "log", "range": ends, "exponentformat": "power"}


def rate_of(trial: Trial, name: str) -> float | None:
    """A trial's learning rate, the parameter of this name; None where it cannot be drawn."""
    value = trial.params.get(name)
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None


def thinned(points: Sequence[P]) -> tuple[list[P], str]:
    """At most MOST_MARKS of points that begin with their rate, evenly by it; and a sentence about the others, after a blank."""
    if len(points) <= MOST_MARKS:
        return list(points), ""
    return evenly(sorted(points), MOST_MARKS), f" {MOST_MARKS} of {len(points)} trials are drawn, evenly by their rates."


def evenly(values: Sequence[T], most: int) -> list[T]:
    """At most so many of the values, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]
