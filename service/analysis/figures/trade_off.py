"""Speed against stability: how soon each configuration reaches a target, and where it ends."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.analysis.figures.figure import BLUE, GREEN, Figure, layout
from service.analysis.figures.metric_axis import scale_of
from service.analysis.words.numbers import chosen, counted, number, values, with_article
from service.domain.comparison import ConfigurationView, TradeOffView


def trade_off_figure(found: TradeOffView, searched: Sequence[str], *, step_word: str, sign: float) -> Figure | None:
    """The configurations that reach the target, with the front as a line. searched: names of parameters, for the labels.

    sign: 1 where lower is better, else -1. None where fewer than two reach it, or all at their first step: there is nothing to
    choose between.
    """
    reaching = [each for each in (*found.front, *found.others) if each.steps is not None]
    if len(reaching) < 2 or all((each.steps or 0) <= 1 for each in reaching):
        return None
    front = [each for each in found.front if each.steps is not None]
    beside = [each for each in found.others if each.steps is not None]
    missing = len(found.others) - len(beside) + found.left_out
    return Figure(
        name="trade-off",
        title=f"speed against final {found.metric}",
        text=_text(found, front, missing, step_word),
        data=[
            _points("others", beside, searched, {"mode": "markers", "marker": {"color": BLUE, "size": 7, "opacity": 0.7}}),
            _points(
                "none is both faster and better",
                front,
                searched,
                {"mode": "lines+markers", "line": {"color": GREEN, "shape": "hv"}, "marker": {"color": GREEN, "size": 10}},
            ),
        ],
        layout=layout(
            {"title": {"text": f"{step_word}s to {found.metric} {number(found.target)}"}, "rangemode": "tozero"},
            {"title": {"text": f"final {found.metric}"}, "type": scale_of([each.final.mean for each in reaching], sign)},
        ),
    )


def _points(name: str, of: Sequence[ConfigurationView], searched: Sequence[str], style: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "name": name,
        "x": [each.steps for each in of],
        "y": [each.final.mean for each in of],
        "text": [values(chosen(each.params, searched, None)) for each in of],
        "hovertemplate": "%{text}<br>%{x:.3g}: %{y:.4g}<extra></extra>",
        **style,
    }


def _text(found: TradeOffView, front: Sequence[ConfigurationView], missing: int, step_word: str) -> str:
    said = (
        f"How soon each configuration reaches {with_article(found.metric)} of {number(found.target)} ({found.why_this_target})."
    )
    if front:
        first, last = front[0], front[-1]
        said += f" The fastest, at {number(first.learning_rate)}, takes {_steps(first, step_word)}"
        if last is not first:
            said += f"; the best, at {number(last.learning_rate)}, {_steps(last, step_word)}"
        said += "."
    return said + (f" {counted(missing, 'other does', 'others do')} not reach it, or not with every seed." if missing else "")


def _steps(each: ConfigurationView, step_word: str) -> str:
    unit = step_word if each.steps == 1 else f"{step_word}s"
    return f"{number(each.steps)} {unit} and ends at {number(each.final.mean)}"
