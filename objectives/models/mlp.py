"""A multilayer perceptron for images."""

from math import prod

from torch import nn

WIDTH = 128


def mlp(image_shape: tuple[int, int, int], n_classes: int) -> nn.Sequential:
    """Two hidden layers of WIDTH rectified units.

    Maps images (n, channels, height, width) to logits (n, n_classes). The last module is the output layer.
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(image_shape), WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, n_classes),
    )
