"""A multilayer perceptron."""

from itertools import pairwise
from math import prod

from torch import nn

from objectives.models.layers import PLAIN, Between

WIDTH = 128


def mlp(
    input_shape: tuple[int, ...], n_outputs: int, between: Between = PLAIN, *, hidden_layers: int = 2, width: int = WIDTH
) -> nn.Sequential:
    """A multilayer perceptron with hidden layers of `width` units each.

    Maps inputs (n, *input_shape) to outputs (n, n_outputs). The last module is the output layer.
    """
    widths = [prod(input_shape), *[width] * hidden_layers]
    hidden = [
        module
        for n_inputs, n_units in pairwise(widths)
        for module in (nn.Linear(n_inputs, n_units), *between.modules(n_units, "units"))
    ]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(widths[-1], n_outputs))
