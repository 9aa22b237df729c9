"""Pictures of what a learning rate does: on a quadratic function, on a network, over all rates, and in a range test."""

import math

from service.analysis.figures.figure import BLUE, GREEN, GREY, ORANGE, VERMILION, Figure, along_the_top, layout, rate_axis
from service.analysis.figures.lessons.traces import (
    Recorded,
    diverged,
    finite_mean,
    line,
    lowest,
    marks,
    power_axis,
    rough,
    vertical,
)
from service.analysis.figures.rate_colors import RateColors
from service.analysis.words.numbers import number

CONTOURS = (0.5, 2.5, 8.0, 18.0, 32.0, 50.0)
"""Values of the quadratic function at which it is drawn."""
AVERAGED = 7
"""Updates whose mean loss is a point of a line."""


def gradient_descent(recorded: Recorded) -> Figure:
    """Contours of the quadratic function, with the path of each rate on it."""
    flat, steep = recorded["curvature"]
    around = [2 * math.pi * place / 60 for place in range(61)]
    data = [
        line(
            "same loss",
            [math.sqrt(2 * value / flat) * math.cos(angle) for angle in around],
            [math.sqrt(2 * value / steep) * math.sin(angle) for angle in around],
            GREY,
            line={"color": GREY, "width": 0.7},
            hoverinfo="skip",
            hovertemplate=None,
            showlegend=False,
        )
        for value in CONTOURS
    ]
    said = []
    for path, color, what in zip(recorded["paths"], (ORANGE, BLUE, VERMILION), ("too small", "good", "too large"), strict=True):
        x, y = zip(*path["points"], strict=True)
        drawn = line(f"{number(path['learning_rate'])}: {what}", x, y, color, mode="lines+markers")
        data.append(drawn | {"marker": {"color": color, "size": 5}})
        began, ended = (0.5 * (flat * point[0] ** 2 + steep * point[1] ** 2) for point in (path["points"][0], path["points"][-1]))
        said.append(f"at {number(path['learning_rate'])} the loss goes from {rough(began)} to {rough(ended)}")
    data.append(marks("minimum", [0], [0], GREEN, symbol="star", size=13))
    steps = len(recorded["paths"][0]["points"]) - 1
    return Figure(
        name="lesson",
        title="gradient descent at three learning rates",
        text=(
            f"{steps} steps from the same point; each ring is a line of equal loss. {', '.join(said).capitalize()}."
            f" The curvature is {rough(flat)} along the valley and {rough(steep)} across it: above"
            f" 2/{rough(steep)} = {rough(2 / steep)} gradient descent diverges."
        ),
        data=data,
        layout=layout({"title": {"text": "first weight"}}, {"title": {"text": "second weight"}}),
    )


def learning_rate(recorded: Recorded) -> Figure:
    """The training loss by update, a line for each rate."""
    runs = recorded["runs"]
    colors = RateColors([run["learning_rate"] for run in runs])
    data, ends = [], []
    for run in runs:
        rate, has_diverged = run["learning_rate"], run["diverged"]
        x, y = _smoothed(run["losses"])
        color = VERMILION if has_diverged else colors.of(rate)
        name = f"{rough(rate)}{', diverged' if has_diverged else ''}"
        data.append(line(name, x, y, color, line={"color": color, "width": 2, "dash": "dot" if has_diverged else "solid"}))
        ends.append(f"diverged at {rough(rate)}" if has_diverged else f"{rough(y[-1])} at {rough(rate)}")
    return Figure(
        name="lesson",
        title="training loss at five learning rates",
        text=(
            f"The same network on the same data, for {recorded['epochs']} epochs; each point is the mean of {AVERAGED} updates."
            f" The loss at the end: {', '.join(ends)}."
        ),
        data=data,
        layout=layout(
            {"title": {"text": "update"}, "rangemode": "tozero"},
            power_axis("training loss, nats", range=[-2.5, 2]),
            legend={"title": {"text": "learning rate"}, "orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        ),
    )


def _smoothed(losses: list[float]) -> tuple[list[float], list[float]]:
    """The first loss, and means of AVERAGED updates, each at the last of them."""
    ends = range(AVERAGED, len(losses) + 1, AVERAGED)
    return [1.0, *ends], [losses[0], *(sum(losses[end - AVERAGED : end]) / AVERAGED for end in ends)]


def response_curve(recorded: Recorded) -> Figure:
    """The loss after training by rate: a point for each run, the mean as a line, diverged ones along the top."""
    rates, losses = recorded["learning_rates"], recorded["losses"]
    means = [finite_mean(each) for each in losses]
    best, loss = lowest(rates, means)
    points = [(rate, each) for rate, of_rate in zip(rates, losses, strict=True) for each in of_rate if each is not None]
    lost = [rate for rate, of_rate in zip(rates, losses, strict=True) for each in of_rate if each is None]
    edge = next(rate for rate, of_rate in zip(rates, losses, strict=True) if 2 * of_rate.count(None) >= len(of_rate))
    at_tenth = means[min(range(len(rates)), key=lambda place: abs(math.log(rates[place] / best * 10)))]
    said = f" At a tenth of it, {rough(best / 10)}, it is {rough(at_tenth)}." if at_tenth is not None else ""
    return Figure(
        name="lesson",
        title="loss after training by learning rate",
        text=(
            f"{len(points) + len(lost)} runs, {len(losses[0])} at each rate, with different seeds. The mean loss is lowest at"
            f" {rough(best)}: {rough(loss)}.{said} From {rough(edge)} on, half of the runs or more diverge."
        ),
        data=[
            line("mean", rates, means, BLUE),
            marks("run", [rate for rate, _ in points], [each for _, each in points], BLUE, size=6, opacity=0.6),
            marks("best", [best], [loss], GREEN, size=12),
            diverged(lost),
        ],
        layout=layout(rate_axis(rates), power_axis("validation loss, nats"), yaxis2=along_the_top()),
    )


def range_test(recorded: Recorded) -> Figure:
    """The training loss while the rate rises, beside the loss of whole trainings by rate."""
    rates, losses = recorded["learning_rates"], recorded["losses"]
    smooth = _exponential_mean(losses)
    turn = rates[min(range(len(smooth)), key=smooth.__getitem__)]
    whole = recorded["trained"]
    best, _ = lowest(whole["learning_rates"], whole["losses"])
    shown = [loss if loss < 2 * smooth[0] else None for loss in smooth]
    marked = [vertical(turn / 10, ORANGE, "dash"), vertical(best, GREEN)]
    return Figure(
        name="lesson",
        title="a range test, beside whole trainings",
        text=(
            f"In the test the loss is lowest at {rough(turn)}, and then rises: the run diverges. A tenth of that, as people often"
            f" take, is {rough(turn / 10)}, dashed. Whole trainings, one at each rate, are best at {rough(best)}, green."
        ),
        data=[
            line("range test: one run, rising rate", rates, shown, ORANGE),
            line("whole trainings", whole["learning_rates"], whole["losses"], BLUE, mode="lines+markers"),
        ],
        layout=layout(rate_axis(rates), {"title": {"text": "loss, nats"}, "rangemode": "tozero"}, shapes=marked),
    )


def _exponential_mean(losses: list[float], kept: float = 0.9) -> list[float]:
    """Smith's curves are smoothed by eye; this is the usual exponential mean, corrected for its beginning at 0."""
    found, mean = [], 0.0
    for place, loss in enumerate(losses, 1):
        mean = kept * mean + (1 - kept) * loss
        found.append(mean / (1 - kept**place))
    return found
