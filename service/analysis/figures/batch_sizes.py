"""The best learning rate by batch size, with the power law that is fitted to it."""

import math
from typing import Any

from service.analysis.figures.figure import BLUE, GREY, ORANGE, Figure, layout
from service.analysis.words.numbers import capitalized
from service.domain.answer import Answer, BatchScalingView

FEWEST = 2
"""Batch sizes without which there is nothing to see."""
UNKNOWN = "More trials would show how the best rate goes with the batch size."


def batch_size_figure(answer: Answer, scaling: BatchScalingView | None) -> Figure | None:
    """A point with its 90% interval for each batch size. scaling: None where no power is known. None for fewer than FEWEST."""
    each = answer.by_batch_size
    if len(each) < FEWEST:
        return None
    sizes, rates = [one.batch_size for one in each], [one.learning_rate for one in each]
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "best rate, with its 90%",
            "x": sizes,
            "y": rates,
            "text": [one.trials for one in each],
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, one.interval.high - one.learning_rate) for one in each],
                "arrayminus": [max(0.0, one.learning_rate - one.interval.low) for one in each],
                "color": GREY,
                "thickness": 1.5,
            },
            "marker": {"color": BLUE, "size": 9},
            "hovertemplate": "batch size %{x}: %{y:.3g}<br>%{text} trials<extra></extra>",
        }
    ]
    if scaling is not None:
        data.append(_fitted(scaling, sizes))
    return Figure(
        name="batch-sizes",
        title="best learning rate by batch size",
        text=f"{capitalized(scaling.because)}." if scaling else UNKNOWN,
        data=data,
        layout=layout(
            {"title": {"text": "batch size"}, "type": "log", "tickvals": sizes, "ticktext": list(map(str, sizes))},
            {"title": {"text": "learning rate"}, "type": "log", "exponentformat": "power"},
        ),
    )


def _fitted(scaling: BatchScalingView, sizes: list[int]) -> dict[str, Any]:
    """The power law through the middle of the points that it was fitted to."""
    fitted = [one for one in scaling.by_batch_size if one.batch_size in scaling.fitted_to]
    middle_size = math.exp(sum(math.log(one.batch_size) for one in fitted) / len(fitted))
    middle_rate = math.exp(sum(math.log(one.learning_rate) for one in fitted) / len(fitted))
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"to the power of {scaling.power:z.2f}",
        "x": sizes,
        "y": [middle_rate * (size / middle_size) ** scaling.power for size in sizes],
        "line": {"color": ORANGE, "width": 2},
        "hoverinfo": "skip",
    }
