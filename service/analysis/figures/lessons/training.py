"""Pictures of what the best learning rate depends on: optimizer, momentum, batch size, initial weights; and of overfitting."""

import math

from service.analysis.figures.figure import BLUE, GREEN, GREY, ORANGE, VERMILION, Figure, layout, rate_axis
from service.analysis.figures.lessons.traces import (
    LOWER,
    UPPER,
    Losses,
    Recorded,
    line,
    lowest,
    marks,
    power_axis,
    rough,
    vertical,
)
from service.analysis.figures.rate_colors import RateColors

AS_GOOD = 1.1
"""Rates count as good as the best up to this many times its loss."""
OPTIMIZERS = {
    "sgd": ("gradient descent", GREY, GREY),
    "adagrad": ("AdaGrad", ORANGE, "rgba(230,159,0,0.25)"),
    "adam": ("Adam", BLUE, "rgba(42,143,216,0.25)"),
}
"""What each is called, its colour, and that of its band."""
INITIALIZATIONS = {
    "he-normal": ("He", BLUE),
    "orthogonal": ("orthogonal", GREEN),
    "default": ("PyTorch's default", VERMILION),
}


def adaptive_methods(recorded: Recorded) -> Figure:
    """The effective rate by epoch: its median over the weights, and the band that holds 80% of them; a panel for each method."""
    constant, *adapting = recorded["runs"]
    data, said = [], []
    every = [rate for run in recorded["runs"] for each in run["percentiles"] for rate in each]
    ends = {"range": [math.log10(min(every)) - 0.1, math.log10(max(every)) + 0.1]}
    for run, axis in zip(adapting, ("y", "y2"), strict=True):
        name, color, filled = OPTIMIZERS[run["optimizer"]]
        low, middle, high = (list(each) for each in zip(*run["percentiles"], strict=True))
        epochs = list(range(1, len(middle) + 1))
        invisible = {"line": {"width": 0}, "hoverinfo": "skip", "hovertemplate": None, "showlegend": False, "yaxis": axis}
        data.append(line(name, epochs, low, color, **invisible))
        data.append(line(name, epochs, high, color, **invisible, fill="tonexty", fillcolor=filled))
        data.append(line(f"{name} at {rough(run['learning_rate'])}", epochs, middle, color, yaxis=axis))
        unchanged = [constant["learning_rate"]] * len(epochs)
        descent, grey, _ = OPTIMIZERS[constant["optimizer"]]
        label = f"{descent} at {rough(constant['learning_rate'])}"
        data.append(line(label, epochs, unchanged, grey, yaxis=axis, showlegend=axis == "y", legendgroup=descent))
        said.append(
            f" {name}: the median goes from {rough(middle[0])} to {rough(middle[-1])}, and at the end the 90th percentile is"
            f" {rough(high[-1] / low[-1])} times the 10th."
        )
    return Figure(
        name="lesson",
        title="effective rate of the weights by epoch",
        text=f"Lines are medians over all weights, bands hold 80% of them.{''.join(said)} Gradient descent has one rate for all.",
        data=data,
        layout=layout(
            {"title": {"text": "epoch"}, "anchor": "y2", "rangemode": "tozero"},
            power_axis("effective rate", domain=UPPER, **ends),
            yaxis2=power_axis("effective rate", domain=LOWER, automargin=True, **ends),
        ),
    )


def momentum(recorded: Recorded) -> Figure:
    """The loss by learning rate for each momentum, and below the same by effective rate, where the curves lie on each other."""
    rates, curves = recorded["learning_rates"], recorded["curves"]
    colors = RateColors([1 / (1 - curve["momentum"]) for curve in curves])
    data, best, effective = [], [], []
    for curve in curves:
        left = 1 - curve["momentum"]
        color, name = colors.of(1 / left), rough(curve["momentum"])
        data.append(line(name, rates, curve["losses"], color, legendgroup=name))
        below = line(name, [rate / left for rate in rates], curve["losses"], color, showlegend=False, legendgroup=name)
        data.append(below | {"xaxis": "x2", "yaxis": "y2"})
        at, _ = lowest(rates, curve["losses"])
        best.append(at)
        effective.append(at / left)
    ends = [
        min(rates),
        max(rate for trace in data for rate, loss in zip(trace["x"], trace["y"], strict=True) if loss is not None),
    ]
    return Figure(
        name="lesson",
        title="loss by learning rate, for six momenta",
        text=(
            f"Above by learning rate: the best one goes from {rough(max(best))} down to {rough(min(best))}, a factor of"
            f" {rough(max(best) / min(best))}. Below by effective rate, learning rate / (1 - momentum): the best ones lie between"
            f" {rough(min(effective))} and {rough(max(effective))}, a factor of {rough(max(effective) / min(effective))}."
            " Lines end where runs diverge."
        ),
        data=data,
        layout=layout(
            rate_axis(ends),
            power_axis("validation loss", domain=UPPER),
            xaxis2=rate_axis(ends) | {"title": {"text": "effective rate"}, "anchor": "y2", "automargin": True},
            yaxis2=power_axis("validation loss", domain=LOWER, automargin=True),
            legend={"title": {"text": "momentum"}, "orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        ),
    )


def batch_size(recorded: Recorded) -> Figure:
    """The rates that are about as good as the best, by batch size, beside the linear and the square-root rule."""
    curves = recorded["curves"]
    sizes = [curve["batch_size"] for curve in curves]
    ends = [_about_best(recorded["learning_rates"], curve["losses"]) for curve in curves]
    middles = [math.sqrt(low * high) for low, high in ends]
    power = _power(sizes, middles)
    at = len(sizes) // 2
    rules = [[middles[at] * (size / sizes[at]) ** each for size in sizes] for each in (1.0, 0.5)]
    bars = {
        "array": [high - middle for (_, high), middle in zip(ends, middles, strict=True)],
        "arrayminus": [middle - low for (low, _), middle in zip(ends, middles, strict=True)],
    }
    return Figure(
        name="lesson",
        title="best learning rates by batch size",
        text=(
            f"Bars are the rates whose loss is at most {AS_GOOD - 1:.0%} above the lowest, points their middle: from"
            f" {rough(middles[0])} at a batch size of {sizes[0]} to {rough(middles[-1])} at {sizes[-1]}, about as the batch size"
            f" to the power of {rough(power)}. The lines are the two rules, drawn through the point at {sizes[at]}."
        ),
        data=[
            line("linear rule", sizes, rules[0], ORANGE, line={"color": ORANGE, "width": 2, "dash": "dash"}),
            line("square-root rule", sizes, rules[1], GREEN, line={"color": GREEN, "width": 2, "dash": "dot"}),
            marks("measured", sizes, middles, BLUE, size=10)
            | {"error_y": {"type": "data", "symmetric": False, "color": BLUE, "thickness": 2, **bars}},
        ],
        layout=layout(
            {"title": {"text": "batch size"}, "type": "log", "tickvals": sizes, "ticktext": list(map(str, sizes))},
            power_axis("learning rate"),
        ),
    )


def _about_best(rates: list[float], losses: Losses) -> tuple[float, float]:
    """The lowest and the highest rate whose loss is at most AS_GOOD times the lowest."""
    _, least = lowest(rates, losses)
    good = [rate for rate, loss in zip(rates, losses, strict=True) if loss is not None and loss <= AS_GOOD * least]
    return min(good), max(good)


def _power(x: list[float], y: list[float]) -> float:
    """The slope of the straight line through the logarithms, by least squares."""
    across, up = [math.log(each) for each in x], [math.log(each) for each in y]
    middle, height = sum(across) / len(across), sum(up) / len(up)
    moments = [((one - middle) * (other - height), (one - middle) ** 2) for one, other in zip(across, up, strict=True)]
    return sum(each for each, _ in moments) / sum(each for _, each in moments)


def initialization(recorded: Recorded) -> Figure:
    """How much of the signal is left by layer before training, and the loss by epoch."""
    data, said = [], []
    for run in recorded["runs"]:
        name, color = INITIALIZATIONS[run["initialization"]]
        layers, epochs = range(1, len(run["signal"]) + 1), range(1, len(run["losses"]) + 1)
        data.append(line(name, list(layers), run["signal"], color, mode="lines+markers", legendgroup=name))
        after = line(name, list(epochs), run["losses"], color, legendgroup=name, showlegend=False)
        data.append(after | {"xaxis": "x2", "yaxis": "y2"})
        said.append(f"{name}: {rough(run['signal'][-1])} and {rough(run['losses'][-1])}, at a rate of {rough(run['best_rate'])}")
    n_layers = len(recorded["runs"][0]["signal"])
    return Figure(
        name="lesson",
        title="signal by layer, and loss by epoch",
        text=(
            "Above: by how much the outputs of a hidden layer differ from image to image before training, as a standard"
            " deviation. Below: the validation loss while the same network is trained, each at its best learning rate of those"
            f" tried. In layer {n_layers}, and after training: {'; '.join(said)}. Guessing among ten digits has a loss of"
            f" {rough(math.log(10))}."
        ),
        data=data,
        layout=layout(
            {"title": {"text": "hidden layer"}, "dtick": 1},
            power_axis("signal", domain=UPPER, dtick=1),
            xaxis2={"title": {"text": "epoch"}, "anchor": "y2", "rangemode": "tozero", "automargin": True},
            yaxis2=power_axis("validation loss, nats", domain=LOWER, automargin=True),
        ),
    )


def overfitting(recorded: Recorded) -> Figure:
    """Training and validation loss by epoch, with the epoch at which the latter is lowest."""
    trained, validated = recorded["training_loss"], recorded["validation_loss"]
    epochs = list(range(1, len(trained) + 1))
    best, loss = lowest(epochs, validated)
    return Figure(
        name="lesson",
        title="training and validation loss by epoch",
        text=(
            f"The training loss falls to {rough(trained[-1])}. The validation loss is lowest after epoch {best}, at"
            f" {rough(loss)}, and then rises to {rough(validated[-1])}: from there on the network"
            " learns what holds for its training set only."
        ),
        data=[
            line("training loss", epochs, trained, BLUE),
            line("validation loss", epochs, validated, VERMILION),
            marks("lowest validation loss", [best], [loss], GREEN, size=12),
        ],
        layout=layout(
            {"title": {"text": "epoch"}, "rangemode": "tozero"},
            {"title": {"text": "loss, mean squared error"}, "rangemode": "tozero"},
            shapes=[vertical(best, GREEN, "dot")],
        ),
    )
