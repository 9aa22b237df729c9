"""Pictures of schedules: the rates that they apply, and what a lower rate at the end does to the loss."""

from typing import Any

from service.analysis.figures.figure import BLUE, ORANGE, VERMILION, Figure, layout
from service.analysis.figures.lessons.traces import LOWER, UPPER, Recorded, line, power_axis, rough

GAP = 0.05
"""Between two panels, as a part of the figure's height."""
DROPS = ("step", "plateau", "constant")
"""Schedules that keep their rate within an epoch."""


def schedules(recorded: Recorded) -> Figure:
    """A panel for each schedule, with the rates that were applied at its best learning rate."""
    found = recorded["schedules"]
    height = 1 / len(found)
    data, axes, names = [], {}, []
    for place, each in enumerate(found):
        top = 1 - place * height
        number_of_axis = "" if place == 0 else str(place + 1)
        epochs = list(range(len(each["applied"])))
        share = [rate / each["best_rate"] for rate in each["applied"]]
        shape = "vh" if each["schedule"] in DROPS else "linear"
        drawn = {"color": BLUE, "width": 2, "shape": shape}
        data.append(line(each["schedule"], epochs, share, BLUE, line=drawn, yaxis=f"y{number_of_axis}", fill="tozeroy"))
        axes[f"yaxis{number_of_axis}"] = {
            "domain": [top - height, top - GAP],
            "range": [0, 1.1],
            "tickvals": [0, 1],
            "automargin": True,
            "fixedrange": True,
        }
        names.append(_label(f"{each['schedule']}, loss {rough(each['loss'])}", top - GAP))
    ranked = sorted(found, key=lambda each: float(each["loss"]))
    return Figure(
        name="lesson",
        title="seven schedules, as applied",
        text=(
            "Each panel has the learning rate by epoch, as a part of its largest value, which is the best of those tried with"
            f" this schedule: {_best_rates(found)}. The losses are training losses of the last epoch: {ranked[0]['schedule']}"
            f" comes lowest, {ranked[-1]['schedule']} highest. The order differs from task to task."
        ),
        data=data,
        layout=layout(
            {"title": {"text": "epoch"}, "range": [0, len(found[0]["applied"]) - 0.8], "anchor": f"y{len(found)}"},
            axes.pop("yaxis"),
            showlegend=False,
            annotations=names,
            **axes,
        ),
    )


def _label(text: str, y: float) -> dict[str, Any]:
    at: dict[str, Any] = {"xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left", "yanchor": "bottom"}
    return {"text": text, "showarrow": False, "font": {"weight": 600}, **at}


def _best_rates(found: list[dict[str, Any]]) -> str:
    return ", ".join(f"{each['schedule']} {rough(each['best_rate'])}" for each in found)


def decay(recorded: Recorded) -> Figure:
    """The training loss of three schedules, above the rates that they apply."""
    colors = {"constant": VERMILION, "step": ORANGE, "cosine": BLUE}
    data = []
    for run in recorded["runs"]:
        epochs, color = list(range(1, len(run["losses"]) + 1)), colors[run["schedule"]]
        shape = {"color": color, "width": 2, "shape": "vh" if run["schedule"] in DROPS else "linear"}
        data.append(line(run["schedule"], epochs, run["losses"], color, legendgroup=run["schedule"]))
        applied = line(run["schedule"], epochs, run["applied"], color, line=shape, yaxis="y2", showlegend=False)
        data.append(applied | {"legendgroup": run["schedule"]})
    constant, step, cosine = (run["losses"][-1] for run in recorded["runs"])
    middle = len(recorded["runs"][0]["losses"]) // 2
    before, after = recorded["runs"][1]["losses"][middle - 1 : middle + 1]
    return Figure(
        name="lesson",
        title="training loss under three schedules",
        text=(
            f"All begin at a learning rate of {rough(recorded['learning_rate'])}. Where step divides it by ten, after epoch"
            f" {middle}, the loss falls within one epoch from {rough(before)} to {rough(after)}. At the end the loss is"
            f" {rough(constant)} at a constant rate, {rough(step)} with step and {rough(cosine)} with cosine."
        ),
        data=data,
        layout=layout(
            {"title": {"text": "epoch"}, "anchor": "y2", "rangemode": "tozero"},
            power_axis("training loss, nats", domain=UPPER),
            yaxis2={"title": {"text": "learning rate"}, "rangemode": "tozero", "domain": LOWER, "automargin": True},
        ),
    )
